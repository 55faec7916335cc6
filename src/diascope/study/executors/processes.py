"""Several runs at once, a process each: small networks scale badly over threads, perfectly over runs."""

import multiprocessing
import os
import signal
import threading
from collections import Counter
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from ctypes import c_byte
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess

from diascope.engine import RunTask
from diascope.study.executors import ENDED, Event, Failed, Interrupted, once_more
from diascope.study.executors.feed import Feed, Queue
from diascope.study.executors.worker import run_tasks

CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")  # by name: Windows lacks some


class ProcessExecutor:
    """Runs `jobs` tasks at a time, or small heads that train together; a worker that has finished takes the next."""

    def __init__(self, jobs: int, device: str = "auto") -> None:
        self._jobs, self._device = jobs, device

    def __call__(self, tasks: Sequence[RunTask] | Feed) -> Iterator[Event]:
        context = multiprocessing.get_context("spawn")
        stop = context.RawValue("b", 0)  # no lock: a worker that is killed cannot take it along
        queue, deaths = Queue(tasks), Counter[str]()
        workers: list[_Worker] = []

        def employ() -> None:
            """A task for every worker that has none, and new workers up to the number of jobs while there are tasks."""
            idle = [worker for worker in workers if not worker.tasks]
            while (idle or len(workers) < self._jobs) and (tasks := queue.take_together(self._jobs)):
                if not idle:
                    workers.append(_Worker(context, stop, self._device))
                (idle.pop() if idle else workers[-1]).give(tasks)

        try:
            employ()
            while busy := [worker for worker in workers if worker.tasks]:
                ready = wait([worker.pipe for worker in busy])
                for worker in [worker for worker in busy if worker.pipe in ready]:
                    events = worker.receive()
                    events = [once_more(event, deaths, queue) if isinstance(event, Interrupted) else event
                              for event in events]  # fmt: skip
                    if not worker.tasks and not worker.process.is_alive():
                        workers.remove(worker)
                    yield from events
                    employ()
        finally:
            stop.value = 1
            for worker in workers:
                worker.dismiss()


class _Worker:
    """A process that trains, this end of it."""

    def __init__(self, context: SpawnContext, stop: c_byte, device: str) -> None:
        self.tasks: dict[str, RunTask] = {}  # in training, by name
        self.pipe, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(other, stop, device), daemon=True)
        with _interrupts_ignored():  # from its first moment: Ctrl-C reaches the whole group, the parent decides
            self.process.start()
        other.close()

    def give(self, tasks: list[RunTask]) -> None:
        self.tasks = {task.name: task for task in tasks}
        with suppress(OSError):  # a process that is dead already: receive says so
            self.pipe.send(tasks)

    def receive(self) -> list[Event]:
        """The next event; where the process died without a word, what that means for each of its tasks."""
        try:
            event: Event = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            lost, self.tasks = self.tasks.values(), {}
            return [_death(task, self.process.exitcode or 0) for task in lost]
        if isinstance(event, ENDED):
            del self.tasks[event.task.name]
        return [event]

    def dismiss(self) -> None:
        """Let the process end by itself: its last checkpoint is on the disk."""
        self.pipe.close()
        self.process.join()


def _death(task: RunTask, code: int) -> Event:
    if code < 0:
        name = signal.Signals(-code).name
        if name in CRASHES:
            return Interrupted(task, f"its process crashed ({name}): a fault in PyTorch, or in a network of your own")
        return Interrupted(task, f"its process was killed by {name}; out of memory? a smaller --jobs needs less")
    guard = 'in a script of your own, put diascope.run under `if __name__ == "__main__":`'
    return Failed(task, f"its process exited with {code} and said nothing; {guard}")


@contextmanager
def _interrupts_ignored() -> Iterator[None]:
    """A process that is started meanwhile inherits it. Only the main thread may set it; elsewhere nothing changes."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    before = signal.signal(signal.SIGINT, signal.SIG_IGN)
    try:
        yield
    finally:
        signal.signal(signal.SIGINT, before)


def _work(pipe: Connection, stop: c_byte, device: str) -> None:
    """A worker's life: take a task, train it, tell; until the pipe is closed or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    parent = os.getppid()

    def should_stop() -> bool:
        return bool(stop.value) or os.getppid() != parent

    try:
        while True:
            for event in run_tasks(pipe.recv(), device, should_stop):
                pipe.send(event)
            if should_stop():
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody listens any more
