"""One task in a process that trains: claim its folder, train, tell; common to the executors."""

from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, closing
from errno import ENOSPC

from diascope.core.errors import DiascopeError, RunError
from diascope.core.files import write_atomic
from diascope.engine import RunTask, Stopped, Told, execute, execute_together, together_key
from diascope.runs.claim import Claim, Taken
from diascope.runs.folder import RunFolder
from diascope.study.executors import ENDED, Elsewhere, EpochDone, Event, Failed, Finished, Started
from diascope.training.loop import Epoch


def run_tasks(tasks: Sequence[RunTask], device: str, stop: Callable[[], bool]) -> Iterator[Event]:
    """The events of one task, or of several that train together; each is claimed, and fails and ends by itself.

    A run that raises is recorded in its folder.
    """
    with ExitStack() as held:
        claims: dict[str, Claim] = {}
        mine: list[RunTask] = []
        for task in tasks:
            try:
                claims[task.name] = held.enter_context(Claim(task.folder))
            except Taken:
                yield Elsewhere(task)
            except OSError as error:  # the claim itself cannot be written
                yield Failed(task, record_failure(task, error))
            else:
                if already := ended_already(task):
                    yield already
                else:
                    mine.append(task)
        ended = set()
        for event in train_tasks(mine, device, stop, lambda task: claims[task.name].lost):
            if isinstance(event, ENDED):
                ended.add(event.task.name)
            yield event
        yield from (Elsewhere(task) for task in mine if claims[task.name].lost and task.name not in ended)


def ended_already(task: RunTask) -> Event | None:
    """What there is to say of a claimed folder that must not be trained in: another command was there first."""
    folder = RunFolder(task.folder)
    found = folder.run_id()
    if found not in (None, task.run_id, task.continues):
        what = "a command with another study file trained another configuration in this folder meanwhile"
        return Failed(task, str(RunError(what, where=str(task.folder), remedy="give one of them another --out")))
    return Finished(task) if folder.is_done(task.run_id) else None


def train_tasks(
    tasks: Sequence[RunTask],
    device: str,
    stop: Callable[[], bool],
    lost: Callable[[RunTask], bool] = lambda task: False,
) -> Iterator[Event]:
    """The same in folders that are nobody else's, unless a claim on one of them is `lost`."""
    waiting = {task.name: task for task in tasks}
    yield from (Started(task) for task in tasks)
    try:
        with closing(_told(tasks, device, stop, lost)) as told:  # type: ignore[type-var]
            for task, what in told:
                if isinstance(what, Epoch):
                    yield EpochDone(task, what)
                    continue
                del waiting[task.name]
                yield Finished(task) if what is None else Failed(task, record_failure(task, what))
    except Stopped:
        return
    except Exception as error:  # of all that were still in training
        yield from (Failed(task, record_failure(task, error)) for task in waiting.values())


def _told(
    tasks: Sequence[RunTask], device: str, stop: Callable[[], bool], lost: Callable[[RunTask], bool]
) -> Iterator[tuple[RunTask, Told]]:
    """What the engine tells of the tasks. A small head trains by the program for several also where it is alone: there
    its step takes half the time.
    """
    if tasks and together_key(tasks[0]) is not None:
        yield from execute_together(tasks, device=device, stop=stop, wanted=lambda task: not lost(task))
        return
    for task in tasks:
        with closing(execute(task, device=device, stop=lambda task=task: stop() or lost(task))) as epochs:  # type: ignore
            for epoch in epochs:
                yield task, epoch
        yield task, None


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
