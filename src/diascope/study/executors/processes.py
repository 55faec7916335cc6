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
from diascope.study.executors.task import run_task

CRASHES = ("SIGSEGV", "SIGABRT", "SIGBUS", "SIGFPE", "SIGILL")  # by name: Windows lacks some


class ProcessExecutor:
    """Runs `jobs` tasks at a time; a worker takes the next task when it has finished one."""

    def __init__(self, jobs: int, device: str = "auto") -> None:
        self._jobs, self._device = jobs, device

    def __call__(self, tasks: Sequence[RunTask] | Feed) -> Iterator[Event]:
        context = multiprocessing.get_context("spawn")
        stop = context.RawValue("b", 0)  # no lock: a worker that is killed cannot take it along
        queue, deaths = Queue(tasks), Counter[str]()
        workers: list[_Worker] = []

        def employ() -> None:
            """A task for every worker that has none, and new workers up to the number of jobs while there are tasks."""
            idle = [worker for worker in workers if not worker.task]
            while (idle or len(workers) < self._jobs) and (task := queue.take()):
                if not idle:
                    workers.append(_Worker(context, stop, self._device))
                (idle.pop() if idle else workers[-1]).give(task)

        try:
            employ()
            while busy := [worker for worker in workers if worker.task]:
                ready = wait([worker.pipe for worker in busy])
                for worker in [worker for worker in busy if worker.pipe in ready]:
                    event = worker.receive()
                    if isinstance(event, Interrupted):
                        event = once_more(event, deaths, queue)
                    if not worker.task and not worker.process.is_alive():
                        workers.remove(worker)
                    yield event
                    employ()
        finally:
            stop.value = 1
            for worker in workers:
                worker.dismiss()


class _Worker:
    """A process that trains, this end of it."""

    def __init__(self, context: SpawnContext, stop: c_byte, device: str) -> None:
        self.task: RunTask | None = None
        self.pipe, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(other, stop, device), daemon=True)
        with _interrupts_ignored():  # from its first moment: Ctrl-C reaches the whole group, the parent decides
            self.process.start()
        other.close()

    def give(self, task: RunTask) -> None:
        self.task = task
        with suppress(OSError):  # a process that is dead already: receive says so
            self.pipe.send(task)

    def receive(self) -> Event:
        """The next event; of a process that died without a word, whether its task may be tried again."""
        assert self.task is not None
        task = self.task
        try:
            event: Event = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            self.task = None
            return _death(task, self.process.exitcode or 0)
        if isinstance(event, ENDED):
            self.task = None
        return event

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
            for event in run_task(pipe.recv(), device, should_stop):
                pipe.send(event)
            if should_stop():
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody listens any more
