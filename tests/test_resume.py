"""A run that is killed at any instant and continued ends with the bits of one that was left alone."""

import json
import multiprocessing
import os
import random
import shutil
import signal
from collections.abc import Callable
from itertools import count
from multiprocessing.context import ForkServerContext
from pathlib import Path
from time import sleep

import pytest

from diascope.engine import RunTask, execute
from diascope.runs.folder import HISTORY_COLUMNS

MakeTask = Callable[..., RunTask]
SETTINGS = ("model.normalization=batch", "model.spatial_dropout=0.1", "training.learning_rate=1e-2")


def train(task: RunTask) -> None:
    for _ in execute(task, device="cpu"):
        pass


def results(folder: Path) -> dict[str, object]:
    """Everything that a run leaves but times: weights and predictions as bytes, the history without its seconds."""
    seconds = HISTORY_COLUMNS.index("seconds")
    lines = [line.split(",") for line in (folder / "history.csv").read_text().splitlines()]
    done = json.loads((folder / "done.json").read_text())
    return {
        **{name: (folder / name).read_bytes() for name in ("last.safetensors", "best.safetensors", "predictions.csv")},
        "history": [line[:seconds] + line[seconds + 1 :] for line in lines],
        "done": {name: done[name] for name in ("run_id", "epochs", "best_epoch")},
    }


def test_killed_at_ten_random_moments(make_task: MakeTask) -> None:
    """A process that trains dies by SIGKILL ten times; what the last one leaves equals an uninterrupted run."""
    epochs = 60
    whole = make_task("arm", f"training.epochs={epochs}", *SETTINGS, folder="whole")
    cut = make_task("arm", f"training.epochs={epochs}", *SETTINGS, folder="cut")
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["diascope.engine", "torch._dynamo"])  # else each process imports it for seconds
    assert run_until(context, whole) == 0
    usual = sorted(seconds_of(whole.folder))[epochs // 2]
    moments, reached = random.Random(0), []
    while len(reached) < 10:
        goal = epochs_of(cut.folder) + moments.randrange(5)
        if run_until(context, cut, goal, moments.uniform(0, 2 * usual)) == 0:
            shutil.rmtree(cut.folder)  # it got through: once more from the start
            continue
        reached.append(epochs_of(cut.folder))
    assert run_until(context, cut) == 0
    assert results(cut.folder) == results(whole.folder)
    assert len(set(reached)) > 3, "the moments fell into the same epochs"


def run_until(context: ForkServerContext, task: RunTask, goal: int | None = None, seconds: float = 0) -> int:
    """Train in a process of its own, killed `seconds` after `goal` epochs are in its history; returns its exit code."""
    process = context.Process(target=train, args=(task,))
    process.start()
    if goal is not None:
        while process.is_alive() and epochs_of(task.folder) < goal:
            sleep(0.001)
        sleep(seconds)
        process.kill()
    process.join()
    assert process.exitcode in (0, -signal.SIGKILL)
    return process.exitcode


def seconds_of(folder: Path) -> list[float]:
    """Of each epoch."""
    return [float(line.rpartition(",")[2]) for line in (folder / "history.csv").read_text().splitlines()[1:]]


def epochs_of(folder: Path) -> int:
    history = folder / "history.csv"
    return max(0, len(history.read_text().splitlines()) - 1) if history.exists() else 0


class Crash(BaseException):
    """Stands for the process's end: nothing that follows in it may repair anything."""


def test_killed_at_every_single_write(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    """Crash before the first, the second, ... change of a file on the disk, until a run gets through."""
    whole = make_task("arm", "training.epochs=2", *SETTINGS, folder="whole")
    train(whole)
    expected = results(whole.folder)
    for number in range(1000):
        task = make_task("arm", "training.epochs=2", *SETTINGS, folder=f"cut{number}")
        with monkeypatch.context() as patched:
            crash_at(patched, number)
            try:
                train(task)
                break
            except Crash:
                pass
        train(task)
        assert results(task.folder) == expected, f"after a crash at write {number}"
        assert not list(task.folder.glob("checkpoint.previous.pt")) + list(task.folder.glob("*.tmp"))
    assert number > 30


def crash_at(monkeypatch: pytest.MonkeyPatch, number: int) -> None:
    """From the change numbered so on nothing changes the disk any more."""
    changes = count()

    def counted(change: Callable[..., object]) -> Callable[..., object]:
        def maybe(*args: object, **kwargs: object) -> object:
            if next(changes) >= number:
                raise Crash
            return change(*args, **kwargs)

        return maybe

    monkeypatch.setattr(os, "fsync", counted(os.fsync))
    monkeypatch.setattr(Path, "replace", counted(Path.replace))
    monkeypatch.setattr(Path, "unlink", counted(Path.unlink))


@pytest.mark.parametrize("damage", ["cut", "empty", "flipped", "gone", "other"])
def test_a_damaged_checkpoint_leaves_the_one_before_it(make_task: MakeTask, damage: str) -> None:
    whole, cut = (make_task("arm", "training.epochs=6", *SETTINGS, folder=name) for name in ("whole", "cut"))
    train(whole)
    left_after(cut, 4)
    file = cut.folder / "checkpoint.pt"
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    damaged = {
        "cut": bytes(content[: len(content) // 2]),
        "empty": b"",
        "flipped": bytes(content),
        "other": b"PK\x03\x04",
    }
    file.unlink() if damage == "gone" else file.write_bytes(damaged[damage])
    epochs = [epoch.epoch for epoch in execute(cut, device="cpu")]
    assert epochs[0] in (2, 3, 4), "the checkpoint before"
    assert results(cut.folder) == results(whole.folder)


def test_a_checkpoint_damaged_anywhere_is_never_believed(make_task: MakeTask) -> None:
    """One bit wrong, anywhere: either it does not matter, or the run starts anew; the end is the same."""
    whole, cut = (make_task("arm", "training.epochs=2", *SETTINGS, folder=name) for name in ("whole", "cut"))
    train(whole)
    left_after(cut, 1)
    saved = (cut.folder / "checkpoint.pt").read_bytes()
    (cut.folder / "checkpoint.previous.pt").unlink(missing_ok=True)
    places = random.Random(1)
    for _ in range(25):
        content = bytearray(saved)
        content[places.randrange(len(content))] ^= 1 << places.randrange(8)
        (cut.folder / "done.json").unlink(missing_ok=True)
        (cut.folder / "checkpoint.pt").write_bytes(content)
        train(cut)
        assert results(cut.folder) == results(whole.folder)


def test_without_any_checkpoint_it_starts_anew(make_task: MakeTask) -> None:
    whole, cut = (make_task("arm", *SETTINGS, folder=name) for name in ("whole", "cut"))
    train(whole)
    left_after(cut, 2)
    for file in cut.folder.glob("checkpoint*"):
        file.unlink()
    assert len(list(execute(cut, device="cpu"))) == 3
    assert results(cut.folder) == results(whole.folder)


def test_a_torn_last_line_of_the_history_is_repaired(make_task: MakeTask) -> None:
    whole, cut = (make_task("arm", *SETTINGS, folder=name) for name in ("whole", "cut"))
    train(whole)
    left_after(cut, 2)
    with (cut.folder / "history.csv").open("a") as file:
        file.write("3,0.01,0.")
    assert [epoch.epoch for epoch in execute(cut, device="cpu")] == [3]
    assert results(cut.folder) == results(whole.folder)


def test_it_is_written_down_where_a_run_went_on(make_task: MakeTask) -> None:
    task = make_task("arm", *SETTINGS)
    left_after(task, 2)
    file = task.folder / "provenance.json"
    before = json.loads(file.read_text())
    file.write_text(json.dumps({**before, "torch": "1.0"}))
    train(task)
    after = json.loads(file.read_text())
    (note,) = after["continued"]
    assert (note["after_epoch"], note["changed"]) == (2, {"torch": before["torch"]})
    assert (after["started"], after["torch"]) == (before["started"], "1.0")


def left_after(task: RunTask, epochs: int) -> None:
    running = execute(task, device="cpu")
    for _ in range(epochs):
        next(running)
    running.close()
