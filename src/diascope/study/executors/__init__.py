"""Executors: they take the tasks of a study to their end, and tell what happens on the way."""

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from diascope.engine import RunTask
from diascope.study.executors.feed import Feed, Queue
from diascope.training.loop import Epoch


@dataclass(frozen=True)
class Started:
    task: RunTask


@dataclass(frozen=True)
class EpochDone:
    task: RunTask
    epoch: Epoch


@dataclass(frozen=True)
class Finished:
    task: RunTask


@dataclass(frozen=True)
class Failed:
    """The run raised, or its process died again and again. `problem` is one line; the traceback is in its folder."""

    task: RunTask
    problem: str


@dataclass(frozen=True)
class Interrupted:
    """The process or machine that trained the run died; the run goes on from its checkpoint in another one."""

    task: RunTask
    problem: str


@dataclass(frozen=True)
class Elsewhere:
    """Another command trains this run; this executor leaves it alone."""

    task: RunTask


Event = Started | EpochDone | Finished | Failed | Interrupted | Elsewhere
ENDED = (Finished, Failed, Elsewhere)  # the last event of a task; each task has one, unless the iterator is closed
REDONE = 2  # how often a run whose worker died is begun again, before it counts as failed


def once_more(event: Interrupted, losses: Counter[str], waiting: Queue) -> Event:
    """Put the run back among those that wait; one that was lost too often has failed, and is told so instead."""
    losses[event.task.name] += 1
    if losses[event.task.name] > REDONE:
        return Failed(event.task, event.problem)
    waiting.begin_again(event.task)
    return event


# Tasks in, events out. Closing the iterator stops: what was trained is kept, and the same tasks go on from there.
# A feed is asked for the next task only after the caller has seen every event before.
Executor = Callable[[Sequence[RunTask] | Feed], Iterator[Event]]
