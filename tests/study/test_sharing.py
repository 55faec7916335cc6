"""Several commands on one study folder share its runs, train none twice, and take over from one that dies."""

import multiprocessing
from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from multiprocessing.connection import Connection
from multiprocessing.context import ForkServerContext
from multiprocessing.synchronize import Barrier

import pytest

from diascope.core.files import write_atomic
from diascope.engine import RunTask
from diascope.runs.claim import Claim
from diascope.runs.folder import RunFolder
from diascope.study import sharing
from diascope.study.executors import Elsewhere, Event, Failed, Finished, Started
from diascope.study.executors.serial import SerialExecutor
from diascope.study.sharing import share

MakeTask = Callable[..., RunTask]
Told = list[tuple[str, str]]


@pytest.fixture(autouse=True)
def _quick(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(sharing, "PAUSE", 0.05)


@pytest.fixture
def context() -> ForkServerContext:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["diascope.engine", "diascope.study.sharing", "torch._dynamo"])
    return context


def command(tasks: Sequence[RunTask], pipe: Connection, ready: Barrier | None = None) -> None:
    """What `diascope run` does with its tasks; says each event and, last, that it is over."""
    sharing.PAUSE = 0.05
    if ready is not None:
        ready.wait()
    for event in share(SerialExecutor("cpu"), tasks):
        pipe.send((type(event).__name__, event.task.name))
    pipe.send(None)


def told(pipe: Connection) -> Iterator[tuple[str, str]]:
    while (event := pipe.recv()) is not None:
        yield event


def test_two_commands_share_the_runs_and_train_none_twice(make_task: MakeTask, context: ForkServerContext) -> None:
    tasks = [make_task("a", "training.epochs=8", seed=seed) for seed in range(6)]
    pipes, processes = [], []
    ready = context.Barrier(2)
    for _ in range(2):
        here, there = context.Pipe()
        processes.append(context.Process(target=command, args=(tasks, there, ready)))
        pipes.append(here)
        processes[-1].start()
    heard: list[Told] = [list(told(pipe)) for pipe in pipes]
    for process in processes:
        process.join()
    started = [[name for kind, name in events if kind == "Started"] for events in heard]
    assert sorted(started[0] + started[1]) == sorted(task.name for task in tasks), "each run is begun once"
    assert all(started), "both had work"
    for events in heard:
        assert Counter(name for kind, name in events if kind == "Finished") == Counter(task.name for task in tasks)


def test_the_runs_of_a_command_that_is_killed_are_taken_over(make_task: MakeTask, context: ForkServerContext) -> None:
    tasks = [make_task("a", "training.epochs=40", seed=seed) for seed in range(2)]
    here, there = context.Pipe()
    process = context.Process(target=command, args=(tasks, there))
    process.start()
    events = told(here)
    for kind, _ in events:
        if kind == "EpochDone":
            break
    mine = []
    for event in share(SerialExecutor("cpu"), tasks):
        mine.append(event)
        if isinstance(event, Started):
            assert event.task.name == tasks[1].name or not process.is_alive()
            process.kill()
            process.join()
    assert [event.task.name for event in mine if isinstance(event, Finished)] == [tasks[1].name, tasks[0].name]
    whole = make_task("a", "training.epochs=40", folder="whole")
    list(SerialExecutor("cpu")([whole]))
    assert (tasks[0].folder / "last.safetensors").read_bytes() == (whole.folder / "last.safetensors").read_bytes()


def no_work(tasks: Sequence[RunTask]) -> Iterator[Event]:
    assert not tasks, "these were to be left alone"
    yield from ()


@pytest.mark.parametrize("fails", [False, True])
def test_how_a_run_ended_in_another_command_is_told(make_task: MakeTask, fails: bool) -> None:
    task = make_task()
    folder = RunFolder(task.folder)
    with Claim(task.folder):
        write_atomic(folder.error, "an older failure\n")
        events = share(no_work, [task])
        assert isinstance(next(events), Elsewhere)
        if fails:
            write_atomic(folder.error, "Traceback\nValueError: bad\n")
        else:
            write_atomic(folder.config, f'{{"run_id": "{task.run_id}"}}')
            write_atomic(folder.done, f'{{"run_id": "{task.run_id}"}}')
    (ended,) = events
    assert ended == (Failed(task, "in another command: ValueError: bad") if fails else Finished(task))


def test_a_run_that_failed_before_is_tried_again(make_task: MakeTask) -> None:
    task = make_task()
    write_atomic(RunFolder(task.folder).error, "an older failure\n")
    assert isinstance(list(share(SerialExecutor("cpu"), [task]))[-1], Finished)


def test_a_run_that_a_command_just_finished_is_not_begun(make_task: MakeTask) -> None:
    task = make_task()
    list(SerialExecutor("cpu")([task]))
    assert [type(event) for event in SerialExecutor("cpu")([task])] == [Finished]
    assert [type(event) for event in share(no_work, [task])] == [Finished]


def test_a_run_of_another_configuration_that_came_in_between_is_not_overwritten(make_task: MakeTask) -> None:
    first, second = make_task("a"), make_task("a", "model.dropout=0.1")
    list(SerialExecutor("cpu")([first]))
    before = (first.folder / "last.safetensors").read_bytes()
    (failed,) = share(SerialExecutor("cpu"), [second])
    assert isinstance(failed, Failed)
    assert "another configuration" in failed.problem
    assert (first.folder / "last.safetensors").read_bytes() == before
    assert RunFolder(first.folder).is_done(first.run_id)
