"""The engine: a run folder from begin to end, stopped and continued, and what happens to a run that cannot go on."""

import csv
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import pytest
import torch

from diascope.core.errors import RunError
from diascope.engine import RunTask, Stopped, execute
from diascope.engine.initial_network import new_network
from diascope.predict.device import pick_device
from diascope.predict.network import load_model
from diascope.runs.folder import RunFolder

MakeTask = Callable[..., RunTask]
SAME = ("last.safetensors", "best.safetensors", "predictions.csv")


def run(task: RunTask) -> None:
    for _ in execute(task, device="cpu"):
        pass


def history(folder: Path) -> list[list[str]]:
    """Without the seconds, the last column."""
    return [line.split(",")[:-1] for line in (folder / "history.csv").read_text().splitlines()]


def predictions(folder: Path, checkpoint: str) -> list[dict[str, str]]:
    with (folder / "predictions.csv").open(newline="") as file:
        return [row for row in csv.DictReader(file) if row["checkpoint"] == checkpoint]


def test_a_run_leaves_the_folder_that_was_agreed_on(make_task: MakeTask) -> None:
    task = make_task()
    run(task)
    names = {path.name for path in task.folder.iterdir()}
    assert names == {
        "config.json",
        "provenance.json",
        "history.csv",
        "checkpoint.pt",
        "best.safetensors",
        "last.safetensors",
        "predictions.csv",
        "done.json",
    }
    done = json.loads((task.folder / "done.json").read_text())
    assert done["run_id"] == task.run_id == RunFolder(task.folder).run_id()
    assert done["epochs"] == 3
    assert json.loads((task.folder / "provenance.json").read_text())["threads"] == 1
    assert len(history(task.folder)) == 4


def test_history_and_predictions_tell_the_same(make_task: MakeTask) -> None:
    """The last epoch's validation scores, computed anew from the predictions of the last checkpoint."""
    task = make_task("arm", "training.epochs=5", "training.learning_rate=1e-2")
    run(task)
    rows = predictions(task.folder, "last")
    truth = np.array([row["label"] == "light" for row in rows])
    p = np.array([float(row["p_light"]) for row in rows])
    header, *_, last = history(task.folder)
    told = dict(zip(header, map(float, last), strict=True))
    assert told["validation_accuracy"] == np.mean((p > 0.5) == truth)
    assert told["validation_loss"] == pytest.approx(-np.mean(np.log(np.where(truth, p, 1 - p))), rel=1e-5)
    assert told["validation_accuracy"] > 0.8
    assert [row["path"] for row in rows] == task.data.paths[30:]


def test_the_best_weights_are_those_of_the_lowest_validation_loss(make_task: MakeTask) -> None:
    task = make_task("arm", "training.epochs=8", "training.learning_rate=3e-2")
    run(task)
    header, *rows = history(task.folder)
    losses = [float(row[header.index("validation_loss")]) for row in rows]
    best = json.loads((task.folder / "done.json").read_text())["best_epoch"]
    assert best == int(np.argmin(losses)) + 1
    found = predictions(task.folder, "best")
    p = [float(row[f"p_{row['label']}"]) for row in found]
    assert -np.mean(np.log(p)) == pytest.approx(min(losses), rel=1e-5)


@pytest.mark.parametrize("leave_after", [1, 2])
def test_a_run_that_was_left_goes_on_to_the_same_bits(make_task: MakeTask, leave_after: int) -> None:
    settings = ("training.epochs=4", "model.normalization=batch")
    whole, cut = make_task("arm", *settings, folder="whole"), make_task("arm", *settings, folder="cut")
    run(whole)
    epochs = execute(cut, device="cpu")
    for _ in range(leave_after):
        next(epochs)
    epochs.close()
    assert not (cut.folder / "done.json").exists()
    assert len(list(execute(cut, device="cpu"))) == 4 - leave_after
    assert history(cut.folder) == history(whole.folder)
    for name in SAME:
        assert (cut.folder / name).read_bytes() == (whole.folder / name).read_bytes(), name


def test_stopping_between_batches_keeps_the_epochs_before(make_task: MakeTask) -> None:
    whole, cut = make_task(folder="whole"), make_task(folder="cut")
    run(whole)
    asked = iter([False] * 6 + [True])  # 4 batches an epoch: in the middle of the second
    epochs = execute(cut, device="cpu", stop=lambda: next(asked))
    next(epochs)
    with pytest.raises(Stopped):
        next(epochs)
    run(cut)
    assert history(cut.folder) == history(whole.folder)
    assert (cut.folder / "last.safetensors").read_bytes() == (whole.folder / "last.safetensors").read_bytes()


def test_another_configuration_starts_anew(make_task: MakeTask) -> None:
    first, second = make_task("arm", "training.epochs=2"), make_task("arm", "training.epochs=2", "model.dropout=0.1")
    run(first)
    run(second)
    assert RunFolder(second.folder).run_id() == second.run_id != first.run_id
    assert len(history(second.folder)) == 3


def test_a_loss_that_is_no_number_ends_the_run_with_a_remedy(make_task: MakeTask) -> None:
    task = make_task("arm", "training.learning_rate=1e30")
    with pytest.raises(RunError, match=r"training loss is .*lower training.learning_rate"):
        run(task)
    assert not (task.folder / "done.json").exists()


def test_more_than_two_classes(make_task: MakeTask) -> None:
    task = make_task(labels=np.arange(40) % 3, classes=("a", "b", "c"))
    run(task)
    rows = predictions(task.folder, "last")
    for row in rows:
        assert sum(float(row[f"p_{name}"]) for name in "abc") == pytest.approx(1)
    assert {row["label"] for row in rows} == {"a", "b", "c"}


def test_a_loaded_model_gives_the_stored_probabilities(make_task: MakeTask) -> None:
    task = make_task()
    run(task)
    images = torch.from_numpy(np.load(task.data.pixels)[30:]).permute(0, 3, 1, 2).float() / 255
    for checkpoint in ("best", "last"):
        with torch.inference_mode():
            p = torch.sigmoid(load_model(task.folder, checkpoint)(images)).squeeze(1).numpy()
        stored = [float(row["p_light"]) for row in predictions(task.folder, checkpoint)]
        np.testing.assert_allclose(p, stored, atol=1e-6)


def test_a_model_of_an_unfinished_run_is_not_loaded(make_task: MakeTask) -> None:
    task = make_task()
    epochs = execute(task, device="cpu")
    next(epochs)
    epochs.close()
    with pytest.raises(RunError, match="not finished"):
        load_model(task.folder)


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a CUDA device")
def test_a_device_that_is_not_there_is_said() -> None:
    assert pick_device("auto").type == "cpu"
    with pytest.raises(RunError, match="no such usable CUDA device"):
        pick_device("cuda")


@pytest.mark.parametrize("name", ["tpu", "meta", ""])
def test_what_is_no_device_is_said(name: str) -> None:
    with pytest.raises(RunError, match=f"--device {name}: is .*device"):
        pick_device(name)


def test_a_checkpoint_of_another_name_is_refused(make_task: MakeTask) -> None:
    with pytest.raises(RunError, match="no checkpoint 'Best'"):
        load_model(make_task().folder, "Best")


def test_the_folds_of_a_seed_begin_with_weights_of_their_own(make_task: MakeTask) -> None:
    first, again = make_task(), make_task()
    other = replace(again, config=again.config.model_copy(update={"fold": 1}))
    assert first.config.run_seed == first.config.seed
    one, same, third = (new_network(task).state_dict() for task in (first, again, other))
    assert all(torch.equal(one[name], same[name]) for name in one)
    assert not torch.equal(one["features.conv1.weight"], third["features.conv1.weight"])


def test_a_network_whose_probabilities_are_no_numbers_does_not_count_as_done(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diascope.engine.run.predict", lambda *_, **__: np.full((10, 2), np.nan))
    task = make_task()
    with pytest.raises(RunError, match=r"probabilities are not finite; lower training.learning_rate"):
        list(execute(task, device="cpu"))
    assert not (task.folder / "done.json").exists()
