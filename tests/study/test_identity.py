"""What makes a run another run: the plan and the report ask one rule, key by key."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diascope.config.run_identity import SEEN_IN_CONTENT, WITHOUT_EFFECT
from diascope.core.files import write_json
from diascope.runs.folder import RunFolder
from diascope.runs.record import StudyRecord
from diascope.study.images import read_images
from diascope.study.plan import plan
from diascope.study.writing import write_study
from diascope.studyfile import dump_study, parse_study

TEXT = "name: tiny\ndata: {source: here.csv, image_size: 16}\nsplit: {kind: holdout}\nseeds: 1\n"
# Other words for the same images, labels, sides and weights.
SAME_IMAGES = {
    "data.source": ["data.source=there.csv"],
    "data.label": ["data.label=diagnosis"],
    "data.group": ["data.group=image"],
    "data.where": ["data.where={label: [a, b]}"],
    "data.classes": ["data.classes=[a, b]"],
    "data.bits": ["data.bits=12"],
    "data.phantom": ["data.phantom.images=80"],
    "data.positive": ["data.positive=a"],
    "data.allow": ["data.allow=[leak-duplicates]"],
}
OTHERS = ["data.resize=crop", "model.dropout=0.4", "augmentation.rotation=10", "training.epochs=1"]


def states(folder: Path, monkeypatch: pytest.MonkeyPatch, *settings: str, name: str = "out") -> tuple[str, str]:
    """What the plan says of the study's one run, and what the report does."""
    monkeypatch.chdir(folder)
    study = parse_study(TEXT, list(settings), where="tiny.yaml", folder=folder)
    images = read_images(study)
    (cell,) = plan(study, images, folder / name)
    if cell.state == "todo":
        write_study(study, images, folder / name, [cell])
        config = cell.task.config.model_dump(mode="json")
        write_json(
            RunFolder(cell.task.folder).config, {"run_id": cell.task.run_id, "classes": ["a", "b"], "config": config}
        )
        write_json(RunFolder(cell.task.folder).done, {"run_id": cell.task.run_id})
        return "done", StudyRecord(folder / name).runs[0].state
    (folder / name / "study.yaml").write_text(dump_study(study))
    return cell.state, StudyRecord(folder / name).runs[0].state


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    random = np.random.default_rng(0)
    rows = ["path,label,diagnosis,image"]
    for number in range(16):
        Image.fromarray(random.integers(0, 255, (16, 16), dtype=np.uint8)).save(tmp_path / f"{number:02}.png")
        rows.append(f"{number:02}.png,{'ab'[number % 2]},{'ab'[number % 2]},{number:02}")
    for name in ("here.csv", "there.csv"):
        (tmp_path / name).write_text("\n".join(rows))
    return tmp_path


def test_every_key_that_decides_nothing_is_tried_here() -> None:
    listed = {
        f"{section}.{key}" for lists in (SEEN_IN_CONTENT, WITHOUT_EFFECT) for section in lists for key in lists[section]
    }
    assert listed - {"training.start_from"} == set(SAME_IMAGES)


@pytest.mark.parametrize("key", SAME_IMAGES)
def test_the_same_images_in_other_words_keep_a_run_in_plan_and_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, key: str
) -> None:
    assert states(folder, monkeypatch) == ("done", "done")
    assert states(folder, monkeypatch, *SAME_IMAGES[key]) == ("done", "done")


@pytest.mark.parametrize("setting", OTHERS)
def test_what_decides_makes_a_run_stale_in_plan_and_report(
    folder: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    assert states(folder, monkeypatch) == ("done", "done")
    assert states(folder, monkeypatch, setting) == ("stale", "stale")


@pytest.mark.parametrize("setting", ["data.phantom.seed=1", "data.phantom.images=24", "data.source=phantom:bone"])
def test_other_phantoms_are_other_images_in_plan_and_report(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, setting: str
) -> None:
    drawn = ["data.source=phantom:skin", "data.phantom={images: 32, size: 28}"]
    assert states(tmp_path, monkeypatch, *drawn) == ("done", "done")
    assert states(tmp_path, monkeypatch, *drawn, setting) == ("stale", "stale")


def test_a_run_to_start_from_may_lie_elsewhere(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("first", "second"):
        states(folder, monkeypatch, name=name)
        (folder / name / "runs/baseline/fold0-seed0/best.safetensors").write_bytes(b"weights")
    run = "runs/baseline/fold{fold}-seed{seed}"
    assert states(folder, monkeypatch, f"training.start_from=first/{run}") == ("done", "done")
    assert states(folder, monkeypatch, f"training.start_from=second/{run}") == ("done", "done")
