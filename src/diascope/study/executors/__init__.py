"""Executors: they take the tasks of a study to their end, and tell what happens on the way."""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

from diascope.engine import RunTask
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
    """The run raised, or its process died. `problem` is one line for people; the traceback is in its folder."""

    task: RunTask
    problem: str


Event = Started | EpochDone | Finished | Failed

# Tasks in, events out. Closing the iterator stops: what was trained is kept, and the same tasks go on from there.
Executor = Callable[[Sequence[RunTask]], Iterator[Event]]
