"""Several runs at once, a process each: small networks scale badly over threads, perfectly over runs."""

import multiprocessing
import os
import signal
from collections.abc import Iterator, Sequence
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnContext, SpawnProcess
from multiprocessing.synchronize import Event as StopEvent

from diascope.engine import RunTask
from diascope.study.executors import Event, Failed, Finished
from diascope.study.executors.serial import run_task

ENDED = (Finished, Failed)


class ProcessExecutor:
    """Runs `jobs` tasks at a time; a worker takes the next task when it has finished one."""

    def __init__(self, jobs: int, device: str = "auto") -> None:
        self._jobs, self._device = jobs, device

    def __call__(self, tasks: Sequence[RunTask]) -> Iterator[Event]:
        context = multiprocessing.get_context("spawn")
        stop = context.Event()
        waiting = list(reversed(tasks))
        workers = [_Worker(context, stop, self._device) for _ in range(min(self._jobs, len(tasks)))]
        try:
            for worker in workers:
                worker.give(waiting.pop())
            while busy := [worker for worker in workers if worker.task]:
                ready = wait([worker.pipe for worker in busy])
                for worker in [worker for worker in busy if worker.pipe in ready]:
                    event = worker.receive()
                    if not worker.task:
                        if not worker.process.is_alive():
                            workers.remove(worker)
                            worker = _Worker(context, stop, self._device)
                            workers.append(worker)
                        if waiting:
                            worker.give(waiting.pop())
                    yield event
        finally:
            stop.set()
            for worker in workers:
                worker.dismiss()


class _Worker:
    """A process that trains, this end of it."""

    def __init__(self, context: SpawnContext, stop: StopEvent, device: str) -> None:
        self.task: RunTask | None = None
        self.pipe, other = context.Pipe()
        self.process: SpawnProcess = context.Process(target=_work, args=(other, stop, device), daemon=True)
        self.process.start()
        other.close()

    def give(self, task: RunTask) -> None:
        self.task = task
        self.pipe.send(task)

    def receive(self) -> Event:
        """The next event; a process that died without a word has failed its task."""
        assert self.task is not None
        task = self.task
        try:
            event: Event = self.pipe.recv()
        except (EOFError, ConnectionResetError):
            self.process.join()
            self.task = None
            code = self.process.exitcode or 0
            cause = f"was killed by {signal.Signals(-code).name}" if code < 0 else f"exited with {code}"
            return Failed(task, f"its process {cause}; out of memory? --jobs with a smaller number needs less")
        if isinstance(event, ENDED):
            self.task = None
        return event

    def dismiss(self) -> None:
        """Let the process end by itself: it saves what it has, then finds its pipe closed."""
        self.pipe.close()
        self.process.join()


def _work(pipe: Connection, stop: StopEvent, device: str) -> None:
    """A worker's life: take a task, train it, tell; until the pipe is closed or the parent is gone."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)  # Ctrl-C reaches the whole group; the parent decides what it means
    parent = os.getppid()

    def should_stop() -> bool:
        return stop.is_set() or os.getppid() != parent

    try:
        while True:
            for event in run_task(pipe.recv(), device, should_stop):
                pipe.send(event)
            if should_stop():
                return
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # nobody listens any more
