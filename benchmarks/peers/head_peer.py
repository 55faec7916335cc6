"""Diascope's heads through its engine, one alone or several together; history, scores and checkpoints included.

Of an epoch, or of a round of several heads, the gate hears how long its training took, and how long all of it.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

from gate import Gate
from head_task import make_tasks
from heads import arguments

from diascope.engine import RunTask, execute, execute_together, together_key
from diascope.training import loop, replicas


def main() -> None:
    told = arguments()
    gate = Gate()
    loop.train_epoch = noting_the_end(loop.train_epoch, gate)
    replicas._train_epoch = noting_the_end(replicas._train_epoch, gate)
    with TemporaryDirectory() as folder:
        tasks = make_tasks(
            Path(folder),
            inputs=told.inputs,
            rows=told.rows,
            epochs=told.epochs,
            threads=told.threads,
            seeds=told.replicas,
        )
        gate.wait()
        with closing(rounds(tasks)) as done:
            for number, _ in enumerate(done, start=1):
                gate.epoch_ends()
                if number == told.epochs:
                    break
                gate.wait()


def noting_the_end(train_epoch: Callable[..., Any], gate: Gate) -> Callable[..., Any]:
    def timed_epoch(*given: Any, **named: Any) -> Any:
        found = train_epoch(*given, **named)
        gate.training_ends()
        return found

    return timed_epoch


def rounds(tasks: list[RunTask]) -> Iterator[object]:
    """Yields when every task has had an epoch."""
    if len(tasks) == 1 and together_key(tasks[0]) is None:  # as the executors do: a large head trains alone
        yield from execute(tasks[0], device="cpu")
        return
    told: Iterable[tuple[RunTask, object]] = execute_together(tasks, device="cpu")
    for number, (_, epoch) in enumerate(told, start=1):
        if isinstance(epoch, Exception):
            raise epoch
        if number % len(tasks) == 0:
            yield epoch


if __name__ == "__main__":
    main()
