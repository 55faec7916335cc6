"""Judging on the test side: right predictions, an honest log, nothing else touched, refusals that name the cause."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import torch
from judged_studies import SIZE, STUDY, draw_images, train
from PIL import Image

from diascope.app import judge as judging
from diascope.app.judge import Judgement
from diascope.app.judge import judge as judge_study
from diascope.core.errors import DiascopeError, RunError
from diascope.predict.network import load_model
from diascope.runs.claim import Claim
from diascope.runs.record import StudyRecord


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder with images/ and study/: 40 drawn lesions, 10 of them test; two arms, two seeds."""
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIASCOPE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        draw_images(home / "images")
        train(home)
    return home


@pytest.fixture
def study(trained: Path, tmp_path: Path) -> Path:
    """A copy of the study's folder; the images stay where they are."""
    return Path(shutil.copytree(trained / "study", tmp_path / "study"))


@pytest.fixture
def moved(trained: Path, tmp_path: Path) -> Path:
    """A copy of images and study whose images may be changed; the study's file names them where they now are."""
    shutil.copytree(trained, tmp_path / "moved")
    file = tmp_path / "moved" / "study" / "study.yaml"
    file.write_text(file.read_text().replace(str(trained), str(tmp_path / "moved")))
    return tmp_path / "moved"


def judge(folder: Path, **options: object) -> Judgement:
    return judge_study(folder, device="cpu", **options)  # type: ignore[arg-type]


def rows_of(run: Path) -> list[dict[str, str]]:
    with (run / "predictions.csv").open(newline="") as file:
        return list(csv.DictReader(file))


def runs_of(study: Path) -> list[Path]:
    return sorted(study.glob("runs/*/*"))


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_the_rows_are_those_of_an_independent_forward_pass(trained: Path, study: Path, checkpoint: str) -> None:
    judge(study, checkpoint=checkpoint)
    wanted = json.loads((study / "folds.json").read_text())["test"]
    index = {row["path"]: row for row in csv.DictReader((study / "index.csv").read_text().splitlines())}
    for run in runs_of(study):
        rows = [row for row in rows_of(run) if row["side"] == "test"]
        assert {row["checkpoint"] for row in rows} == {checkpoint}
        assert [row["path"] for row in rows] == wanted
        pixels = [np.asarray(Image.open(trained / "images" / path).convert("L")) for path in wanted]
        images = torch.tensor(np.stack(pixels), dtype=torch.float32).reshape(-1, 1, SIZE, SIZE) / 255
        with torch.inference_mode():
            p = torch.sigmoid(load_model(run, checkpoint)(images)).squeeze(1).double().numpy()
        np.testing.assert_allclose([float(row["p_melanoma"]) for row in rows], p, atol=1e-6)
        np.testing.assert_allclose([float(row["p_nevus"]) for row in rows], 1 - p, atol=1e-6)
        assert [(row["label"], row["group"]) for row in rows] == [
            (index[path]["label"], index[path]["group"]) for path in wanted
        ]


def test_training_writes_no_row_of_the_test_side(trained: Path) -> None:
    held = set(json.loads((trained / "study" / "folds.json").read_text())["test"])
    assert len(held) == 10
    for run in runs_of(trained / "study"):
        rows = rows_of(run)
        assert {row["side"] for row in rows} == {"validation"}
        assert not held & {row["path"] for row in rows}
    assert not (trained / "study" / "test_log.json").exists()


def test_other_rows_and_files_keep_their_bytes(study: Path) -> None:
    kept = {path: path.read_bytes() for path in study.glob("runs/*/*/*") if path.is_file()}
    judge(study, checkpoint="best")
    once = {run: (run / "predictions.csv").read_bytes() for run in runs_of(study)}
    judge(study, checkpoint="last")
    both = {run: (run / "predictions.csv").read_bytes() for run in runs_of(study)}
    judge(study, checkpoint="best")
    for path, before in kept.items():
        after = path.read_bytes()
        assert after.startswith(before) if path.name == "predictions.csv" else after == before
    for run in runs_of(study):
        assert both[run].startswith(once[run])
        again = (run / "predictions.csv").read_bytes()
        assert sorted(again.splitlines()) == sorted(both[run].splitlines())
        assert not (run / "claim.json").exists()


def test_one_arm_alone(study: Path) -> None:
    judged = judge(study, arms=["dropout"])
    assert judged.look.arms == ("dropout",)
    sides = {run.parent.name: {row["side"] for row in rows_of(run)} for run in runs_of(study)}
    assert sides == {"plain": {"validation"}, "dropout": {"validation", "test"}}


def test_every_call_is_logged(study: Path) -> None:
    judge(study)
    judge(study, arms=["plain"], checkpoint="last")
    first, second = json.loads((study / "test_log.json").read_text())
    assert (first["checkpoint"], first["arms"], first["images"]) == ("best", ["plain", "dropout"], 10)
    assert (second["checkpoint"], second["arms"], second["study_arms"]) == ("last", ["plain"], ["plain", "dropout"])
    assert first["begun"] <= first["finished"] <= second["begun"]
    assert len(first["runs"]) == 4
    for found in first["runs"]:
        run = study / "runs" / found["arm"] / f"fold{found['fold']}-seed{found['seed']}"
        assert found["run_id"] == json.loads((run / "config.json").read_text())["run_id"]
        assert found["weights"] == _sha256((run / "best.safetensors").read_bytes())
        lines = [line for line in (run / "predictions.csv").read_bytes().splitlines(keepends=True)
                 if line.startswith(b"best,test,")]  # fmt: skip
        assert found["predictions"] == _sha256(b"".join(lines))


def _sha256(content: bytes) -> str:
    from hashlib import sha256

    return sha256(content).hexdigest()


def test_a_call_that_fails_midway_stays_in_the_log(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    calls = iter([judging.predict_rows, judging.predict_rows])
    monkeypatch.setattr(judging, "predict_rows", lambda *args, **options: next(calls)(*args, **options))
    with pytest.raises(StopIteration):
        judge(study)
    (look,) = json.loads((study / "test_log.json").read_text())
    assert look["finished"] is None
    monkeypatch.undo()
    judge(study)
    assert [look["finished"] is None for look in json.loads((study / "test_log.json").read_text())] == [True, False]


def test_the_log_is_written_before_any_prediction(study: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    seen = []
    monkeypatch.setattr(
        judging, "predict_rows", lambda *args, **options: seen.append((study / "test_log.json").exists())
    )
    with pytest.raises(AttributeError):
        judge(study)
    assert seen == [True]


def test_without_a_log_that_can_be_read_nothing_is_judged(study: Path) -> None:
    (study / "test_log.json").write_text("[{]")
    with pytest.raises(RunError, match=r"test_log.json: damaged"):
        judge(study)
    assert all(row["side"] == "validation" for run in runs_of(study) for row in rows_of(run))


def test_changed_weights_are_not_judged_and_no_look_is_logged(study: Path) -> None:
    weights = study / "runs" / "plain" / "fold0-seed1" / "best.safetensors"
    shutil.copy(study / "runs" / "plain" / "fold0-seed0" / "best.safetensors", weights)
    with pytest.raises(RunError, match=r"best\.safetensors: was changed, or damaged, after the run ended"):
        judge(study)
    assert not (study / "test_log.json").exists()


def test_what_is_not_finished_is_named_and_left_out(study: Path) -> None:
    (study / "runs" / "plain" / "fold0-seed1" / "done.json").unlink()
    shutil.rmtree(study / "runs" / "dropout" / "fold0-seed0")
    judged = judge(study)
    assert judged.missing == ("plain/fold0-seed1", "dropout/fold0-seed0")
    assert [(run.arm, run.seed) for run in judged.look.runs] == [("plain", 0), ("dropout", 1)]


def test_a_run_in_training_is_waited_for(study: Path) -> None:
    with Claim(study / "runs" / "plain" / "fold0-seed1"), pytest.raises(RunError, match="plain/fold0-seed1; wait"):
        judge(study, arms=["dropout"])
    assert not (study / "test_log.json").exists()


def _no_test(folder: Path) -> None:
    tree = json.loads((folder / "folds.json").read_text())
    (folder / "folds.json").write_text(json.dumps({**tree, "test": []}))


def _nothing_done(folder: Path) -> None:
    for done in folder.glob("runs/*/*/done.json"):
        done.unlink()


def _no_weights(folder: Path) -> None:
    (folder / "runs" / "plain" / "fold0-seed0" / "best.safetensors").unlink()


def _side_moved(folder: Path) -> None:
    tree = json.loads((folder / "folds.json").read_text())
    tree["folds"][0]["training"] += tree["test"][:2]
    tree["test"] = tree["test"][2:]
    (folder / "folds.json").write_text(json.dumps(tree))


@pytest.mark.parametrize(
    ("harm", "options", "said"),
    [
        (_no_test, {}, r"this study keeps no test side; set split\.test .* in another folder"),
        (_nothing_done, {}, "no run of plain, dropout is finished"),
        (_no_weights, {}, r"best\.safetensors: cannot be read"),
        (_side_moved, {}, "the test side|lie on more than one side|other pixels, sides"),
        (lambda folder: None, {"arms": ["drpout"]}, "no arm 'drpout'; did you mean 'dropout'"),
        (lambda folder: shutil.rmtree(folder), {}, "no such folder"),
    ],
)
def test_refusals(study: Path, harm: Callable[[Path], None], options: dict[str, object], said: str) -> None:
    harm(study)
    with pytest.raises(DiascopeError, match=said):
        judge(study, **options)
    assert not (study / "test_log.json").exists()


def test_changed_pixels_are_named(moved: Path) -> None:
    judge(moved / "study")  # as they are, they are accepted from a new place
    path = json.loads((moved / "study" / "folds.json").read_text())["test"][0]
    Image.new("L", (SIZE, SIZE), 7).save(moved / "images" / path)
    with pytest.raises(RunError, match=rf"other pixels, sides.*written since then: .*{path}"):
        judge(moved / "study")
    assert len(json.loads((moved / "study" / "test_log.json").read_text())) == 1


def test_images_that_are_gone_new_or_labelled_otherwise_are_named(moved: Path) -> None:
    manifest = moved / "images" / "manifest.csv"
    header, first, second, *rest = manifest.read_text().splitlines()
    path, label, *cells = second.split(",")
    other = ",".join([path, "nevus" if label == "melanoma" else "melanoma", *cells])
    manifest.write_text("\n".join([header, other, *rest]) + "\n")
    with pytest.raises(RunError) as caught:
        judge(moved / "study")
    assert f"1 gone or cannot be read ({first.split(',')[0]})" in str(caught.value)
    assert f"1 labelled otherwise ({path})" in str(caught.value)


def test_an_unreadable_image_counts_as_gone(moved: Path) -> None:
    path = json.loads((moved / "study" / "folds.json").read_text())["test"][0]
    (moved / "images" / path).write_bytes(b"no image")
    with pytest.raises(RunError, match=rf"1 gone or cannot be read \({path}\)"):
        judge(moved / "study")


def test_a_retrained_run_loses_its_test_rows_and_the_log_remembers(moved: Path) -> None:
    study = moved / "study"
    judge(study)
    train(moved, "training.learning_rate=1e-2", retrain=True)
    assert all(row["side"] == "validation" for run in runs_of(study) for row in rows_of(run))
    assert len(StudyRecord(study).test_log) == 1
    judge(study)
    assert {row["side"] for row in rows_of(study / "runs" / "plain" / "fold0-seed0")} == {"validation", "test"}


def test_every_fold_judges_the_same_test_side(trained: Path, tmp_path: Path) -> None:
    (tmp_path / "images").symlink_to(trained / "images")
    study = train(tmp_path, "split={kind: kfold, folds: 2, test: 0.25}", "seeds=1", "training.epochs=1")
    judge(study)
    wanted = json.loads((study / "folds.json").read_text())["test"]
    for run in runs_of(study):
        assert [row["path"] for row in rows_of(run) if row["side"] == "test"] == wanted
    assert len(runs_of(study)) == 4


def test_an_npz_with_its_own_test_arrays(tmp_path: Path) -> None:
    random = np.random.default_rng(0)
    arrays = {}
    for side, count in (("train", 16), ("val", 8), ("test", 12)):
        labels = np.arange(count) % 2
        arrays[f"{side}_labels"] = labels[:, None].astype(np.uint8)
        arrays[f"{side}_images"] = (random.integers(0, 99, (count, SIZE, SIZE)) + 120 * labels[:, None, None]).astype(
            np.uint8
        )
    np.savez(tmp_path / "set.npz", **arrays)
    text = STUDY.replace(
        "images/manifest.csv, group: group, classes: [nevus, melanoma]", "set.npz, classes: [dark, light]"
    )
    study = train(tmp_path, "split={kind: given}", "seeds=1", "training.epochs=1", text=text)
    judge(study, checkpoint="last")
    for run in runs_of(study):
        rows = [row for row in rows_of(run) if row["side"] == "test"]
        assert [row["path"] for row in rows] == [f"test/{number:06d}" for number in range(12)]
        images = torch.from_numpy(arrays["test_images"]).float().unsqueeze(1) / 255
        with torch.inference_mode():
            p = torch.sigmoid(load_model(run, "last")(images)).squeeze(1).numpy()
        np.testing.assert_allclose([float(row["p_light"]) for row in rows], p, atol=1e-6)
