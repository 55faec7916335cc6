"""More epochs for a finished run, and runs that begin with another's weights."""

import json
from pathlib import Path

import pytest
import torch
from PIL import Image

from diascope.core.errors import ConfigError, RunError
from diascope.engine import RunTask, Stopped, execute
from diascope.predict.network import load_model
from diascope.runs.folder import HISTORY_COLUMNS, RunFolder
from diascope.study.images import read_images
from diascope.study.plan import Cell, check_stale, plan
from diascope.study.writing import write_study
from diascope.studyfile import Study, parse_study

TEXT = """name: tiny
data: {source: "phantom:skin", image_size: 16, phantom: {images: 40, size: 32}}
split: {kind: holdout, validation: 0.25}
model: {base_channels: 2, dropout: 0.3, normalization: batch}
augmentation: {rotation: 10, shift: 0.1, horizontal_flip: 0.5, noise: 0.05, blur: {range: 1, probability: 0.5}}
training: {epochs: 2, learning_rate: 1e-2}
seeds: 1
arms: {only: {}}
"""
PLATEAU = "training.schedule={kind: plateau, patience: 0, factor: 0.5}"


def make_study(*settings: str) -> Study:
    return parse_study(TEXT, list(settings), where="tiny.yaml", folder=Path.cwd())


def cells_of(study: Study, folder: Path) -> list[Cell]:
    return plan(study, read_images(study), folder)


def train(task: RunTask) -> None:
    for _ in execute(task, device="cpu"):
        pass


def run(folder: Path, *settings: str) -> Cell:
    """Train the study's one run, as far as it is not done."""
    study = make_study(*settings)
    images = read_images(study)
    (cell,) = plan(study, images, folder)
    write_study(study, images, folder, [cell])
    if cell.state != "done":
        train(cell.task)
    return cell


def results(folder: Path) -> dict[str, object]:
    """Everything that a run leaves but times, and the digests of files that hold times."""
    seconds = HISTORY_COLUMNS.index("seconds")
    lines = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    done = json.loads((folder / "done.json").read_text())
    return {
        **{name: (folder / name).read_bytes() for name in ("last.safetensors", "best.safetensors", "predictions.csv")},
        "history": [line[:seconds] + line[seconds + 1 :] for line in lines],
        "done": {name: value for name, value in done.items() if name not in ("seconds", "finished", "sha256")},
    }


@pytest.mark.parametrize(
    "settings",
    [
        (),
        (PLATEAU,),
        ("training.schedule={kind: step, every: 1}", "training.optimizer=sgd", "training.momentum=0.9"),
        ("training.schedule=exponential", "training.optimizer=rmsprop", "training.mixup=0.2"),
        ("training.early_stopping={metric: accuracy, patience: 2, restore_best: true}",),
        ("training.sampler=balanced", "data.normalize=standard"),
    ],
)
def test_more_epochs_equal_as_many_from_the_start_bit_for_bit(tmp_path: Path, settings: tuple[str, ...]) -> None:
    short = run(tmp_path / "parts", *settings, "training.epochs=3")
    longer = run(tmp_path / "parts", *settings, "training.epochs=6")
    whole = run(tmp_path / "whole", *settings, "training.epochs=6")
    assert longer.state == "extend"
    assert longer.task.continues == short.task.run_id
    assert longer.task.run_id == whole.task.run_id
    assert results(longer.task.folder) == results(whole.task.folder)
    assert cells_of(make_study(*settings, "training.epochs=6"), tmp_path / "parts")[0].state == "done"


def test_another_schedule_makes_a_run_stale(tmp_path: Path) -> None:
    run(tmp_path, "training.schedule=step")
    for settings in (("training.schedule=exponential",), ("training.schedule=exponential", "training.epochs=4")):
        assert cells_of(make_study(*settings), tmp_path)[0].state == "stale"


@pytest.mark.parametrize("schedule", ["cosine", "one_cycle"])
def test_a_schedule_with_a_horizon_is_not_extended(tmp_path: Path, schedule: str) -> None:
    run(tmp_path, f"training.schedule={schedule}")
    cells = cells_of(make_study(f"training.schedule={schedule}", "training.epochs=4"), tmp_path)
    assert cells[0].state == "stale"
    with pytest.raises(RunError, match=rf"the schedule {schedule} spans all epochs, so 2 epochs are not the beginning"):
        check_stale(cells, tmp_path, retrain=False)


def test_fewer_epochs_or_another_change_are_stale(tmp_path: Path) -> None:
    run(tmp_path, "training.epochs=3")
    for settings in (("training.epochs=2",), ("training.epochs=5", "training.learning_rate=1e-3")):
        assert cells_of(make_study(*settings), tmp_path)[0].state == "stale"


def test_an_extension_that_is_cut_short_goes_on(tmp_path: Path) -> None:
    run(tmp_path / "parts", "training.epochs=2")
    study = make_study("training.epochs=5")
    (cell,) = cells_of(study, tmp_path / "parts")
    epochs = execute(cell.task, device="cpu")
    assert next(epochs).epoch == 3
    epochs.close()  # type: ignore[attr-defined]
    assert not RunFolder(cell.task.folder).done.exists()
    (again,) = cells_of(study, tmp_path / "parts")
    assert again.state == "unfinished"
    train(again.task)
    whole = run(tmp_path / "whole", "training.epochs=5")
    assert results(again.task.folder) == results(whole.task.folder)


def test_an_extension_that_is_cut_in_its_first_epoch_keeps_the_epochs_before(tmp_path: Path) -> None:
    run(tmp_path / "parts", "training.epochs=4")
    study = make_study("training.epochs=6")
    (cell,) = cells_of(study, tmp_path / "parts")
    asked = iter(range(100))
    with pytest.raises(Stopped):
        list(execute(cell.task, device="cpu", stop=lambda: next(asked) >= 1))
    (again,) = cells_of(study, tmp_path / "parts")
    assert [epoch.epoch for epoch in execute(again.task, device="cpu")] == [5, 6]
    assert results(again.task.folder) == results(run(tmp_path / "whole", "training.epochs=6").task.folder)


def test_a_crash_before_the_first_write_of_an_extension_loses_nothing(tmp_path: Path) -> None:
    run(tmp_path / "parts", "training.epochs=2")
    study = make_study("training.epochs=4")
    (cell,) = cells_of(study, tmp_path / "parts")
    RunFolder(cell.task.folder).done.unlink()  # as far as it came
    (again,) = cells_of(study, tmp_path / "parts")
    assert again.state == "extend"
    train(again.task)
    assert results(again.task.folder) == results(run(tmp_path / "whole", "training.epochs=4").task.folder)


# Weights of another run


def test_a_run_begins_with_the_best_weights_of_another(tmp_path: Path) -> None:
    first = run(tmp_path / "first", "training.epochs=3")
    start = f"training.start_from={tmp_path}/first/runs/only/fold{{fold}}-seed{{seed}}"
    cell = run(tmp_path / "second", start, "training.epochs=1", "training.learning_rate=1e-30")
    before, after = load_model(first.task.folder, "best"), load_model(cell.task.folder, "last")
    for (name, old), new in zip(before.named_parameters(), after.parameters(), strict=True):
        torch.testing.assert_close(old, new, rtol=0, atol=1e-7, msg=name)
    plain = run(tmp_path / "third", "training.epochs=1", "training.learning_rate=1e-30")
    assert plain.task.run_id != cell.task.run_id


def test_other_weights_to_begin_with_make_a_run_stale(tmp_path: Path) -> None:
    run(tmp_path / "first", "training.epochs=1")
    start = f"training.start_from={tmp_path}/first/runs/only/fold0-seed0"
    run(tmp_path / "second", start)
    assert cells_of(make_study(start), tmp_path / "second")[0].state == "done"
    weights = tmp_path / "first/runs/only/fold0-seed0/best.safetensors"
    weights.write_bytes(weights.read_bytes()[:-1] + b"\x01")
    assert cells_of(make_study(start), tmp_path / "second")[0].state == "stale"


@pytest.mark.parametrize(
    ("settings", "said"),
    [
        (("split.seed=1",), r"learned from \d+ of the 8 images that only/fold0-seed0 is to be judged on"),
        (
            ("model.base_channels=3",),
            r"arm only: .* a run of another network, .*: model.base_channels 2, not 3",
        ),
        (("data.image_size=32",), r"image_size \[16, 16\], not \[32, 32\]"),
        (("data.channels=3",), "channels 1, not 3"),
    ],
)
def test_a_start_that_does_not_fit_is_refused(tmp_path: Path, settings: tuple[str, ...], said: str) -> None:
    run(tmp_path, "training.epochs=1")
    start = f"training.start_from={tmp_path}/runs/only/fold0-seed0"
    with pytest.raises(RunError, match=said):
        cells_of(make_study(start, *settings), tmp_path / "other")


def test_a_start_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(RunError, match="no finished run lies here; name the folder of a finished run"):
        cells_of(make_study(f"training.start_from={tmp_path}/nothing"), tmp_path)
    with pytest.raises(ConfigError, match=r"use \{fold\} and \{seed\}"):
        cells_of(make_study(f"training.start_from={tmp_path}/fold{{number}}"), tmp_path)


def manifest(folder: Path, name: str, validation: tuple[int, ...]) -> Path:
    """A manifest of 12 images that lie in the folder, with these on the validation side."""
    lines = ["path,label,split"]
    for number in range(12):
        file = folder / f"{number}.png"
        if not file.exists():
            file.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (16, 16), 20 * number).save(file)
        lines.append(f"{file.name},{'ab'[number % 2]},{'val' if number in validation else 'train'}")
    (folder / name).write_text("\n".join(lines) + "\n")
    return folder / name


def test_a_leak_is_seen_through_other_manifests_and_earlier_runs(tmp_path: Path) -> None:
    base = ("split={kind: given}", "training.epochs=1")
    one = manifest(tmp_path / "images", "one.csv", (0, 1, 2))
    two = manifest(tmp_path / "images", "two.csv", (3, 4, 5))
    run(tmp_path / "first", f"data.source={one}", *base)
    first = f"training.start_from={tmp_path}/first/runs/only/fold0-seed0"
    with pytest.raises(RunError, match="learned from 3 of the 3 images"):
        cells_of(make_study(f"data.source={two}", *base, first), tmp_path / "other")
    run(tmp_path / "second", f"data.source={one}", *base, first)
    second = f"training.start_from={tmp_path}/second/runs/only/fold0-seed0"
    cells_of(make_study(f"data.source={one}", *base, second), tmp_path / "third")  # nothing new was learned from
    elsewhere = manifest(tmp_path / "others", "one.csv", (0, 1, 2))
    run(tmp_path / "between", f"data.source={elsewhere}", *base, second)
    between = f"training.start_from={tmp_path}/between/runs/only/fold0-seed0"
    with pytest.raises(RunError, match=r"first/runs/only/fold0-seed0|second/runs/only/fold0-seed0"):
        cells_of(make_study(f"data.source={two}", *base, between), tmp_path / "fourth")
