"""Where an executor gets its tasks: all at once, or one by one, the next one chosen when a worker is free for it."""

from collections.abc import Sequence
from math import ceil
from typing import Protocol

from diascope.engine import MOST_RUNS, RunTask, together_key


class Feed(Protocol):
    """Chooses the next task when it is asked for one, so that the choice can depend on how others ended."""

    def take(self) -> RunTask | None:
        """The next task, or None where there is none now.

        It is asked again after every event; an executor ends when there is no task and nothing is in training.
        """


class Queue:
    """The tasks that wait for a worker: those of a list or a feed, and before them those that are begun again."""

    def __init__(self, tasks: Sequence[RunTask] | Feed) -> None:
        self._feed: Feed | None = None
        self._begun_again: set[str] = set()
        self._waiting: list[RunTask] = []  # the last one is the next
        if isinstance(tasks, Sequence):
            self._waiting = list(reversed(tasks))
        else:
            self._feed = tasks

    def take(self) -> RunTask | None:
        if self._waiting:
            return self._waiting.pop()
        return self._feed.take() if self._feed else None

    def take_together(self, workers: int) -> list[RunTask]:
        """The next task, with others that can train together with it: as many as leave some for all `workers`.

        A task that is begun again comes alone: whatever ended its worker does not end the others once more.
        """
        first = self.take()
        if first is None:
            return []
        key = together_key(first)
        if key is None or first.name in self._begun_again:
            return [first]
        alike = [task for task in reversed(self._waiting) if together_key(task) == key]
        alike = [task for task in alike if task.name not in self._begun_again]
        count = min(MOST_RUNS, ceil((1 + len(alike)) / workers))
        chosen = alike[: count - 1]
        self._waiting = [task for task in self._waiting if all(task is not other for other in chosen)]
        return [first, *chosen]

    def peek(self) -> RunTask | None:
        """The next task, which stays in the queue."""
        task = self.take()
        if task is not None:
            self.put_back(task)
        return task

    def put_back(self, task: RunTask) -> None:
        """This one is the next."""
        self._waiting.append(task)

    def begin_again(self, task: RunTask) -> None:
        """This one, whose worker was lost, is the next."""
        self._begun_again.add(task.name)
        self.put_back(task)
