"""One run after the other, in this process."""

from collections.abc import Iterator, Sequence

from diascope.engine import RunTask
from diascope.study.executors import Event
from diascope.study.executors.feed import Feed, Queue
from diascope.study.executors.worker import run_tasks


class SerialExecutor:
    """Runs tasks in order on `device`."""

    def __init__(self, device: str = "auto") -> None:
        self._device = device

    def __call__(self, tasks: Sequence[RunTask] | Feed) -> Iterator[Event]:
        queue = Queue(tasks)
        while tasks := queue.take_together(1):
            yield from run_tasks(tasks, self._device, stop=lambda: False)
