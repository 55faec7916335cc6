"""Several commands on one study folder: each takes the runs that nobody else trains, and all wait for the last."""

from collections.abc import Iterator, Sequence
from contextlib import closing, suppress
from time import sleep

from diascope.engine import RunTask
from diascope.runs.claim import is_claimed
from diascope.runs.folder import RunFolder
from diascope.study.executors import ENDED, Elsewhere, Event, Executor, Failed, Finished

PAUSE = 1.0  # seconds between two looks at the runs of other commands


def share(executor: Executor, tasks: Sequence[RunTask]) -> Iterator[Event]:
    """Take every task to its end, here or in another command; a run whose other command died is trained here.

    A run that another command is seen to train is told by Elsewhere once, and by Finished or Failed when it ends.
    """
    waiting = list(tasks)
    failures = {task.name: _failure(task) for task in tasks}
    told: set[str] = set()
    while waiting:
        ended = [event for task in waiting if (event := _ended(task, failures[task.name]))]
        yield from ended
        over = {event.task.name for event in ended}
        waiting = [task for task in waiting if task.name not in over]
        lost = [task for task in waiting if _has_lost_its_start(task, waiting)]
        yield from (Failed(task, f"the run that it begins with did not finish: {task.start}") for task in lost)
        waiting = [task for task in waiting if task not in lost]
        free = [task for task in waiting if not is_claimed(task.folder) and _can_begin(task)]
        if waiting and not free:
            yield from (Elsewhere(task) for task in waiting if task.name not in told)
            told |= {task.name for task in waiting}
            sleep(PAUSE)
            continue
        with closing(executor(free)) as events:  # type: ignore[type-var]
            for event in events:
                if isinstance(event, Elsewhere):
                    continue
                if isinstance(event, ENDED):
                    waiting = [task for task in waiting if task.name != event.task.name]
                yield event


def _can_begin(task: RunTask) -> bool:
    """Whether the run of the study that it begins with, if there is one, is done."""
    return task.after is None or (task.start is not None and RunFolder(task.start).is_done(task.after))


def _has_lost_its_start(task: RunTask, waiting: Sequence[RunTask]) -> bool:
    """Whether the run that it begins with has ended without being done."""
    return not _can_begin(task) and all(other.folder != task.start for other in waiting)


def _ended(task: RunTask, failure: int) -> Event | None:
    """How the run ended in another command, if it has."""
    folder = RunFolder(task.folder)
    if folder.is_done(task.run_id):
        return Finished(task)
    if _failure(task) not in (0, failure) and not is_claimed(task.folder):
        with suppress(FileNotFoundError):  # tried again this very moment
            lines = folder.error.read_text(encoding="utf-8").strip().splitlines()
            return Failed(task, f"in another command: {lines[-1] if lines else 'no reason given'}")
    return None


def _failure(task: RunTask) -> int:
    """When the run last failed, to tell a new failure from an old one; 0 if its folder knows of none."""
    try:
        return RunFolder(task.folder).error.stat().st_mtime_ns
    except FileNotFoundError:
        return 0
