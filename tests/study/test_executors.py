"""One contract for every executor."""

import json
import os
import signal
from collections.abc import Callable, Iterator
from contextlib import closing
from errno import ENOSPC
from functools import cached_property
from pathlib import Path

import numpy as np
import pytest

from diascope.engine import RunTask
from diascope.runs.claim import Claim
from diascope.runs.folder import RunFolder
from diascope.study.executors import (
    REDONE,
    Elsewhere,
    EpochDone,
    Event,
    Executor,
    Failed,
    Finished,
    Interrupted,
    Started,
)
from diascope.study.executors.processes import ProcessExecutor
from diascope.study.executors.ray import RayExecutor
from diascope.study.executors.serial import SerialExecutor

MakeTask = Callable[..., RunTask]
EXECUTORS: dict[str, Callable[[], Executor]] = {
    "serial": lambda: SerialExecutor("cpu"),
    "processes": lambda: ProcessExecutor(2, "cpu"),
    "ray": lambda: RayExecutor(2, "cpu"),
}


@pytest.fixture(params=EXECUTORS)
def executor(request: pytest.FixtureRequest) -> Executor:
    if request.param == "ray":
        request.getfixturevalue("ray_cluster")
    return EXECUTORS[request.param]()


@pytest.fixture(scope="module")
def ray_cluster() -> Iterator[None]:
    """One cluster for the tests of this file; each would start its own, which takes seconds."""
    os.environ["RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO"] = "0"
    ray = pytest.importorskip("ray")
    # local: not the cluster of another test that may run just now
    ray.init("local", num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="ERROR")
    yield
    ray.shutdown()


def test_every_task_is_finished_and_told(executor: Executor, make_task: MakeTask) -> None:
    tasks = [make_task("a", seed=seed) for seed in range(3)]
    events = list(executor(tasks))
    for task in tasks:
        told = [event for event in events if event.task.folder == task.folder]
        assert isinstance(told[0], Started)
        assert [event.epoch.epoch for event in told if isinstance(event, EpochDone)] == [1, 2, 3]
        assert isinstance(told[-1], Finished)
        assert (task.folder / "done.json").exists()


def test_no_task_is_no_event(executor: Executor) -> None:
    assert list(executor([])) == []


class OneAfterTheOther:
    """Gives a task only when the caller has seen how the one before ended."""

    def __init__(self, tasks: list[RunTask]) -> None:
        self.tasks, self.seen = tasks, 0

    def take(self) -> RunTask | None:
        given = len(self.given)
        if given == len(self.tasks) or given > self.seen:
            return None
        self.given.append(self.tasks[given])
        return self.tasks[given]

    @cached_property
    def given(self) -> list[RunTask]:
        return []


def test_a_feed_chooses_the_next_task_knowing_how_the_last_one_ended(executor: Executor, make_task: MakeTask) -> None:
    feed = OneAfterTheOther([make_task("a", "training.epochs=1", seed=seed) for seed in range(3)])
    told = []
    for event in executor(feed):
        told.append((type(event).__name__, event.task.config.seed))
        feed.seen += isinstance(event, Finished)
    assert told == [(kind, seed) for seed in range(3) for kind in ("Started", "EpochDone", "Finished")]


def test_a_run_that_raises_is_recorded_and_the_others_go_on(executor: Executor, make_task: MakeTask) -> None:
    bad = make_task("bad", pixels=make_task().folder / "nowhere.npy")
    good = [make_task("good", seed=seed) for seed in range(2)]
    events = list(executor([bad, *good]))
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.task.name == "bad/fold0-seed0"
    assert "gone from the cache" in failed.problem
    assert "Traceback" in (bad.folder / "error.txt").read_text()
    assert len([event for event in events if isinstance(event, Finished)]) == 2


def test_leaving_stops_and_the_same_tasks_go_on(executor: Executor, make_task: MakeTask) -> None:
    tasks = [make_task("a", "training.epochs=100000", seed=seed) for seed in range(2)]
    leave_after_epoch(2, executor, tasks)
    first = tasks[0].folder
    kept = len((first / "history.csv").read_text().splitlines()) - 1
    assert not (first / "done.json").exists()
    assert leave_after_epoch(kept, executor, tasks[:1]) > 1


def leave_after_epoch(number: int, executor: Executor, tasks: list[RunTask]) -> int:
    """Run until the first task has done so many epochs; returns the epoch that it began with."""
    seen = []
    with closing(executor(tasks)) as events:  # type: ignore[type-var]
        for event in events:
            if isinstance(event, EpochDone) and event.task.name == tasks[0].name:
                seen.append(event.epoch.epoch)
                if seen[-1] >= number:
                    break
    return seen[0]


def test_every_executor_computes_the_same_bits(executor: Executor, make_task: MakeTask) -> None:
    here, there = make_task("a", folder="here"), make_task("a", folder="there")
    list(SerialExecutor("cpu")([here]))
    list(executor([there]))
    for name in ("last.safetensors", "best.safetensors", "predictions.csv"):
        assert (here.folder / name).read_bytes() == (there.folder / name).read_bytes()
    assert files_of(here.folder) == files_of(there.folder)


def files_of(folder: Path) -> list[str]:
    return sorted(file.name for file in folder.glob("[!.]*"))


def test_a_run_that_another_command_trains_is_left_alone(executor: Executor, make_task: MakeTask) -> None:
    taken, free = make_task("taken"), make_task("free")
    with Claim(taken.folder):
        events = list(executor([taken, free]))
    assert [event.task.name for event in events if isinstance(event, Elsewhere)] == [taken.name]
    assert [event.task.name for event in events if isinstance(event, Finished)] == [free.name]
    assert not (taken.folder / "config.json").exists()


def test_a_run_that_failed_is_tried_again_and_forgets_its_error(executor: Executor, make_task: MakeTask) -> None:
    task = make_task("a", "training.epochs=2")
    gone = make_task("a", "training.epochs=2", pixels=task.folder / "nowhere.npy")
    assert isinstance(list(executor([gone]))[-1], Failed)
    assert (task.folder / "error.txt").exists()
    assert isinstance(list(executor([task]))[-1], Finished)
    assert not (task.folder / "error.txt").exists()


def test_a_killed_workers_run_is_begun_again_and_ends_with_the_same_bits(make_task: MakeTask) -> None:
    tasks = [make_task("a", "training.epochs=12", seed=seed) for seed in range(3)]
    events = run_and_kill(tasks, times=1)
    (interrupted,) = [event for event in events if isinstance(event, Interrupted)]
    assert interrupted.task.name == tasks[0].name
    assert "SIGKILL" in interrupted.problem
    assert len([event for event in events if isinstance(event, Finished)]) == 3
    whole = make_task("a", "training.epochs=12", folder="whole")
    list(SerialExecutor("cpu")([whole]))
    assert (tasks[0].folder / "last.safetensors").read_bytes() == (whole.folder / "last.safetensors").read_bytes()


def test_a_run_whose_workers_are_killed_again_and_again_fails_and_the_others_go_on(make_task: MakeTask) -> None:
    tasks = [make_task("a", "training.epochs=5000"), make_task("b")]
    events = run_and_kill(tasks, times=REDONE + 1)
    (failed,) = [event for event in events if isinstance(event, Failed)]
    assert failed.task.name == tasks[0].name
    assert "SIGKILL" in failed.problem
    assert [event.task.name for event in events if isinstance(event, Finished)] == [tasks[1].name]


def run_and_kill(tasks: list[RunTask], times: int) -> list[Event]:
    """The events of a process executor whose first task's worker is killed so often, each time after an epoch."""
    events: list[Event] = []
    killed: set[int] = set()
    with closing(ProcessExecutor(2, "cpu")(tasks)) as running:  # type: ignore[type-var]
        for event in running:
            events.append(event)
            if isinstance(event, EpochDone) and event.task.name == tasks[0].name and len(killed) < times:
                worker = worker_of(tasks[0])
                if worker not in killed:
                    killed.add(worker)
                    os.kill(worker, signal.SIGKILL)
    return events


def worker_of(task: RunTask) -> int:
    found = json.loads((task.folder / "provenance.json").read_text())["process"]
    assert isinstance(found, int)
    return found


def test_a_task_survives_the_way_to_a_worker(make_task: MakeTask) -> None:
    import pickle

    task = make_task()
    back = pickle.loads(pickle.dumps(task))
    assert back.config == task.config
    np.testing.assert_array_equal(back.data.training, task.data.training)


def test_a_full_disk_is_told_with_a_remedy_and_the_epochs_before_are_kept(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    task = make_task("arm", "training.epochs=4")
    append = RunFolder.append_history

    def full_at_the_third(folder: RunFolder, row: dict[str, float]) -> None:
        if row["epoch"] == 3:
            raise OSError(ENOSPC, "No space left on device")
        append(folder, row)

    monkeypatch.setattr(RunFolder, "append_history", full_at_the_third)
    *_, failed = SerialExecutor("cpu")([task])
    assert isinstance(failed, Failed)
    assert failed.problem == "the disk is full; free some space and run the same command again"
    monkeypatch.setattr(RunFolder, "append_history", append)
    events = list(SerialExecutor("cpu")([task]))
    assert isinstance(events[-1], Finished)
    assert events[1].epoch.epoch > 1  # type: ignore[union-attr]


def test_a_disk_that_is_full_before_the_run_begins_is_told_too(
    make_task: MakeTask, monkeypatch: pytest.MonkeyPatch
) -> None:
    def full(*_: object, **__: object) -> None:
        raise OSError(ENOSPC, "No space left on device")

    monkeypatch.setattr("diascope.runs.claim.write_atomic", full)
    (failed,) = SerialExecutor("cpu")([make_task()])
    assert isinstance(failed, Failed)
    assert failed.problem == "the disk is full; free some space and run the same command again"


def test_a_run_whose_claim_is_lost_stops_and_has_one_end(make_task: MakeTask, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("diascope.runs.claim.HEARTBEAT", 0.02)
    task = make_task("a", "training.epochs=5000")
    events = []
    for event in SerialExecutor("cpu")([task]):
        events.append(event)
        if isinstance(event, EpochDone) and event.epoch.epoch == 2:
            (task.folder / "claim.json").write_text("{}")
    assert isinstance(events[-1], Elsewhere)
    assert [type(event) for event in events[:-1]].count(Elsewhere) == 0
    assert not (task.folder / "done.json").exists()
