"""One task in a process that trains: claim its folder, train, tell; common to the executors."""

from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import ExitStack, closing
from errno import ENOSPC

from diascope.engine import RunTask, Stopped, execute, execute_together
from diascope.errors import DiascopeError, RunError
from diascope.runs.claim import Claim, Taken
from diascope.runs.folder import RunFolder, write_atomic
from diascope.study.executors import ENDED, Elsewhere, EpochDone, Event, Failed, Finished, Started
from diascope.training.loop import Epoch


def run_task(task: RunTask, device: str, stop: Callable[[], bool]) -> Iterator[Event]:
    """The events of one task; a run that raises is recorded in its folder, and does not end the others."""
    with ExitStack() as held:
        try:
            claim = held.enter_context(Claim(task.folder))
        except Taken:
            yield Elsewhere(task)
            return
        except OSError as error:  # the claim itself cannot be written
            yield Failed(task, record_failure(task, error))
            return
        if already := ended_already(task):
            yield already
            return
        ended = False
        for event in train_task(task, device, lambda: stop() or claim.lost):
            ended = isinstance(event, ENDED)
            yield event
        if claim.lost and not ended:
            yield Elsewhere(task)


def run_tasks(tasks: Sequence[RunTask], device: str, stop: Callable[[], bool]) -> Iterator[Event]:
    """The events of one task, or of several that train together; each is claimed, fails and ends by itself."""
    if len(tasks) == 1:
        yield from run_task(tasks[0], device, stop)
        return
    with ExitStack() as held:
        claims: dict[str, Claim] = {}
        mine: list[RunTask] = []
        for task in tasks:
            try:
                claims[task.name] = held.enter_context(Claim(task.folder))
            except Taken:
                yield Elsewhere(task)
            except OSError as error:
                yield Failed(task, record_failure(task, error))
            else:
                if already := ended_already(task):
                    yield already
                else:
                    mine.append(task)
        if mine:
            yield from _train_together(mine, device, stop, claims)


def _train_together(
    tasks: list[RunTask], device: str, stop: Callable[[], bool], claims: Mapping[str, Claim]
) -> Iterator[Event]:
    waiting = {task.name: task for task in tasks}
    yield from (Started(task) for task in tasks)
    try:
        told = execute_together(tasks, device=device, stop=stop, wanted=lambda task: not claims[task.name].lost)
        with closing(told) as events:  # type: ignore[type-var]
            for task, what in events:
                if isinstance(what, Epoch):
                    yield EpochDone(task, what)
                    continue
                del waiting[task.name]
                yield Finished(task) if what is None else Failed(task, record_failure(task, what))
    except Stopped:
        return
    except Exception as error:  # of all of them
        yield from (Failed(task, record_failure(task, error)) for task in waiting.values())
        return
    yield from (Elsewhere(task) for task in waiting.values())  # those whose claims were lost


def ended_already(task: RunTask) -> Event | None:
    """What there is to say of a claimed folder that must not be trained in: another command was there first."""
    folder = RunFolder(task.folder)
    found = folder.run_id()
    if found not in (None, task.run_id, task.continues):
        what = "a command with another study file trained another configuration in this folder meanwhile"
        return Failed(task, str(RunError(what, where=str(task.folder), remedy="give one of them another --out")))
    return Finished(task) if folder.is_done(task.run_id) else None


def train_task(task: RunTask, device: str, stop: Callable[[], bool]) -> Iterator[Event]:
    """The same in a folder that is surely nobody else's."""
    yield Started(task)
    try:
        with closing(execute(task, device=device, stop=stop)) as epochs:  # type: ignore[type-var]
            for epoch in epochs:
                yield EpochDone(task, epoch)
    except Stopped:
        return
    except Exception as error:
        yield Failed(task, record_failure(task, error))
    else:
        yield Finished(task)


def record_failure(task: RunTask, error: Exception) -> str:
    """Write the traceback into the run's folder, as far as the disk allows; returns the error in one line."""
    from traceback import format_exception

    problem = str(error) if isinstance(error, DiascopeError) else f"{type(error).__name__}: {error}"
    if isinstance(error, OSError) and error.errno == ENOSPC:
        problem = "the disk is full; free some space and run the same command again"
    try:
        write_atomic(RunFolder(task.folder).error, "".join(format_exception(error)))
    except OSError as unwritten:
        problem += f" (and its traceback cannot be written: {unwritten})"
    return problem
