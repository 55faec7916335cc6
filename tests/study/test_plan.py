"""The plan: which runs there are, which are done, and what makes one stale."""

import json
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diascope.core.errors import ConfigError, RunError
from diascope.core.files import write_json
from diascope.runs.claim import Claim
from diascope.runs.folder import RunFolder
from diascope.study.images import read_images
from diascope.study.plan import Cell, check_stale, plan, same_arms
from diascope.study.writing import write_study
from diascope.studyfile import Study, parse_study

TEXT = """name: tiny
data: {source: "phantom:skin", image_size: 16, phantom: {images: 40, size: 32}}
split: {kind: holdout, validation: 0.25, test: 0.2}
seeds: 2
arms: {gray: {}, colour: {data.channels: 3}, drop: {model.dropout: 0.4}}
"""


def make_study(*settings: str) -> Study:
    return parse_study(TEXT, list(settings), where="tiny.yaml", folder=Path.cwd())


def cells_of(study: Study, folder: Path) -> list[Cell]:
    return plan(study, read_images(study), folder)


def finish(cell: Cell) -> None:
    write_json(RunFolder(cell.task.folder).config, {"run_id": cell.task.run_id})
    write_json(RunFolder(cell.task.folder).done, {"run_id": cell.task.run_id})


def test_every_arm_fold_and_seed_once_seed_by_seed(tmp_path: Path) -> None:
    cells = cells_of(make_study("split={kind: kfold, folds: 2}"), tmp_path)
    order = [(cell.task.config.seed, cell.task.config.fold, cell.task.arm) for cell in cells]
    arms = ("gray", "colour", "drop")
    assert order == [(seed, fold, arm) for seed in (0, 1) for fold in (0, 1) for arm in arms]
    assert len({cell.task.run_id for cell in cells}) == 12
    assert cells[0].task.folder == tmp_path / "runs" / "gray" / "fold0-seed0"


def test_arms_share_images_and_sides_but_not_the_view(tmp_path: Path) -> None:
    gray, colour, drop = (cell.task.data for cell in cells_of(make_study("seeds=1"), tmp_path))
    assert gray.paths == colour.paths
    np.testing.assert_array_equal(gray.training, colour.training)
    assert np.load(gray.pixels).shape == (40, 16, 16, 1)
    assert np.load(colour.pixels).shape == (40, 16, 16, 3)
    assert gray.pixels == drop.pixels


def test_the_test_side_is_kept_from_every_run(tmp_path: Path) -> None:
    study = make_study()
    images = read_images(study)
    assert len(images.folds.test) == 8
    for cell in plan(study, images, tmp_path):
        seen = set(cell.task.data.training) | set(cell.task.data.validation)
        assert len(seen) == 32
        assert not seen & set(images.folds.test)


def test_states(tmp_path: Path) -> None:
    first, second, third, *_ = cells_of(make_study(), tmp_path)
    finish(first)
    write_json(RunFolder(second.task.folder).config, {"run_id": second.task.run_id})
    write_json(RunFolder(third.task.folder).config, {"run_id": "another"})
    states = [cell.state for cell in cells_of(make_study(), tmp_path)]
    assert states == ["done", "unfinished", "stale", "todo", "todo", "todo"]


@pytest.mark.parametrize("setting", ["data.phantom.seed=1", "split.seed=1", "training.epochs=1", "data.resize=crop"])
def test_changes_of_images_split_or_training_make_runs_stale(tmp_path: Path, setting: str) -> None:
    for cell in cells_of(make_study(), tmp_path):
        finish(cell)
    assert {cell.state for cell in cells_of(make_study("name=other", "seeds=2"), tmp_path)} == {"done"}
    changed = cells_of(make_study(setting), tmp_path)
    assert {cell.state for cell in changed} == {"stale"}
    with pytest.raises(RunError, match=r"6 of 6 runs were trained .* give another --out"):
        check_stale(changed, tmp_path, retrain=False)
    check_stale(changed, tmp_path, retrain=True)


def test_a_corrected_label_makes_runs_stale(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    rows = ["path,label"]
    for number in range(16):
        Image.fromarray(random.integers(0, 255, (16, 16), dtype=np.uint8)).save(tmp_path / f"{number}.png")
        rows.append(f"{number}.png,{'ab'[number % 2]}")
    split = "split={kind: holdout, validation: 0.25, test: 0}"
    source = f"data.source={tmp_path / 'all.csv'}"
    (tmp_path / "all.csv").write_text("\n".join(rows))
    before = cells_of(make_study(source, split), tmp_path / "out")
    (tmp_path / "all.csv").write_text("\n".join(rows).replace("3.png,b", "3.png,a"))
    after = cells_of(make_study(source, split), tmp_path / "out")
    assert before[0].task.run_id != after[0].task.run_id


def test_arms_with_other_images_are_refused() -> None:
    with pytest.raises(ConfigError, match=r"arm 'more' sets data.phantom.images, which all arms of a study share"):
        make_study("arms.more={data.phantom.images: 60}")


def test_retraining_clears_what_is_stale_before_anything_is_trained(tmp_path: Path) -> None:
    study = make_study()
    for cell in cells_of(study, tmp_path):
        finish(cell)
    changed = make_study("split.seed=1")
    images = read_images(changed)
    write_study(changed, images, tmp_path, plan(changed, images, tmp_path))
    assert not list(tmp_path.glob("runs/*/*/done.json"))


def test_what_another_command_trains_is_neither_cleared_nor_described_anew(tmp_path: Path) -> None:
    study = make_study()
    cells = cells_of(study, tmp_path)
    write_study(study, read_images(study), tmp_path)
    finish(cells[0])
    changed = make_study("split.seed=1")
    images = read_images(changed)
    before = (tmp_path / "study.yaml").read_text()
    with Claim(cells[0].task.folder):
        with pytest.raises(RunError, match=r"another command trains .* for a study file that says something else"):
            write_study(changed, images, tmp_path, plan(changed, images, tmp_path))
        (tmp_path / "study.yaml").unlink()
        with pytest.raises(RunError, match=r"another command trains it, with another configuration"):
            write_study(changed, images, tmp_path, plan(changed, images, tmp_path))
        (tmp_path / "study.yaml").write_text(before)
        write_study(study, read_images(study), tmp_path, cells)
    assert cells[0].task.folder.joinpath("done.json").exists()
    assert (tmp_path / "study.yaml").read_text() == before


def test_a_folder_that_holds_another_study_is_refused(tmp_path: Path) -> None:
    study, other = make_study(), make_study("name=other")
    write_study(study, read_images(study), tmp_path)
    write_study(other, read_images(other), tmp_path)  # nothing was trained yet
    finish(cells_of(other, tmp_path)[0])
    with pytest.raises(RunError, match=r"it holds the study 'other', not .*; give another --out, or keep the name"):
        write_study(study, read_images(study), tmp_path)


def test_arms_may_plant_a_shortcut_into_the_same_images(tmp_path: Path) -> None:
    study = make_study("arms.letters={data.phantom.shortcut: letters}", "seeds=1")
    gray, *_, letters = cells_of(study, tmp_path)
    assert gray.task.data.paths == letters.task.data.paths
    assert gray.task.run_id != letters.task.run_id


def test_what_is_written_before_training(tmp_path: Path) -> None:
    study = make_study()
    images = read_images(study)
    write_study(study, images, tmp_path)
    assert {path.name for path in tmp_path.iterdir()} - {".study.lock"} == {
        "study.yaml",
        "index.csv",
        "folds.json",
        "findings.json",
        "samples",
    }
    folds = json.loads((tmp_path / "folds.json").read_text())
    assert len(folds["folds"][0]["training"]) == 22
    assert len(folds["test"]) == 8
    samples = sorted(path.name for path in (tmp_path / "samples").iterdir())
    assert samples == [f"{name}-{number}.png" for name in ("melanoma", "nevus") for number in range(6)]
    shown = np.asarray(Image.open(tmp_path / "samples" / "nevus-0.png"))
    training = images.caches["gray"].pixels[images.folds.folds[0].training, :, :, 0]
    assert any(np.array_equal(shown, pixels) for pixels in training)


def test_a_folder_that_cannot_be_written_is_named(tmp_path: Path) -> None:
    study = make_study()
    (tmp_path / "file").touch()
    with pytest.raises(RunError, match=r"file.*give another --out"):
        write_study(study, read_images(study), tmp_path / "file" / "out")


def test_a_stale_run_tells_what_is_different(tmp_path: Path) -> None:
    def trained(*settings: str) -> list[Cell]:
        return cells_of(make_study("seeds=1", *settings), tmp_path)

    for cell in trained():
        finish(cell)
        config = {"run_id": cell.task.run_id, "config": cell.task.config.model_dump(mode="json")}
        write_json(RunFolder(cell.task.folder).config, config)
    gray, *_ = trained("training.epochs=1", "augmentation.rotation=10")
    assert "training.epochs was 50 and is 1" in gray.why
    with pytest.raises(RunError, match=r"training\.epochs was 50 and is 1; give another --out"):
        check_stale(trained("training.epochs=1"), tmp_path, retrain=False)
    gray, *_ = trained("data.phantom.seed=1")
    assert gray.why == "data.phantom.seed was 0 and is 1"
    gray, *_ = trained("split.seed=1")
    assert gray.why.startswith("the images, their labels or sides")


def test_arms_that_are_the_same_are_warned_of() -> None:
    (finding,) = same_arms({"a": "1", "b": "2", "c": "1"})
    assert finding.sentence == "The arms a and c are the same configuration: is an override missing?"
    assert same_arms({"a": "1", "b": "2"}) == []
