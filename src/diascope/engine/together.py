"""Runs of small heads that train together as one program: which can, and training them."""

from collections.abc import Callable, Iterator, Sequence
from itertools import pairwise

from diascope.engine.run import Run, Stopped
from diascope.engine.task import RunTask
from diascope.features import open_features
from diascope.models import output_count
from diascope.predict.device import pick_device
from diascope.training.loop import Epoch
from diascope.training.process import prepare_process
from diascope.training.replicas import train_together

MOST_WEIGHTS = 400_000  # of a head: a step of a larger one is bound by memory, and alone it is faster
MOST_RUNS = 32

Key = tuple[object, ...]
Told = Epoch | Exception | None  # an epoch of a run, why it failed, or that it is done


def together_key(task: RunTask) -> Key | None:
    """Runs of the same key can train together; None for a run that trains alone.

    They are heads of the same layers on features that were computed once.
    """
    widths = _widths(task)
    if widths is None or sum((inputs + 1) * outputs for inputs, outputs in pairwise(widths)) > MOST_WEIGHTS:
        return None
    return (*widths, task.config.training.precision, task.config.training.threads)


def _widths(task: RunTask) -> tuple[int, ...] | None:
    """Values that go into and come out of each layer of a head; None for any other network."""
    model, data = task.config.model, task.data
    once = data.copies is not None or not task.config.augmentation.changes
    if model.kind != "pretrained" or model.mode != "features" or model.head != "dense" or not once:
        return None
    if data.features is None:
        return None
    return (open_features(data.features).shape[1], *model.filled()["dense"], output_count(len(data.classes)))


def execute_together(
    tasks: Sequence[RunTask],
    *,
    device: str = "auto",
    stop: Callable[[], bool] = lambda: False,
    wanted: Callable[[RunTask], bool] = lambda task: True,
) -> Iterator[tuple[RunTask, Told]]:
    """Train the runs of these tasks, which have the same key, yielding what happens; as `execute` does for one.

    `wanted` is asked before each epoch; a run that is not wanted any more is left as it is, and no more is told of it.
    """
    prepare_process(tasks[0].config.training.threads)
    runs: list[Run] = []
    for task in tasks:
        try:
            runs.append(Run(task, pick_device(device), together=len(tasks)))
        except Exception as error:
            yield task, error
    going_on = set(range(len(runs)))
    rounds = train_together(
        [run.replica(stop) for run in runs],
        wanted=lambda number: number in going_on and wanted(runs[number].task),
    )
    yield from _ended(runs, going_on, stop, wanted)  # what was trained to its end before, but for its results
    for epochs in rounds:
        told = [(runs[number].task, _noted(runs[number], epoch)) for number, epoch in epochs.items()]
        going_on -= {number for number, (_, what) in zip(epochs, told, strict=True) if isinstance(what, Exception)}
        if stop():
            raise Stopped
        try:
            yield from told
        except GeneratorExit:
            for number in going_on:
                if wanted(runs[number].task):
                    runs[number].keep()
            raise
        yield from _ended(runs, going_on, stop, wanted)


def _noted(run: Run, epoch: Epoch) -> Told:
    try:
        run.note(epoch)
    except Exception as error:
        return error
    return epoch


def _ended(
    runs: Sequence[Run], going_on: set[int], stop: Callable[[], bool], wanted: Callable[[RunTask], bool]
) -> Iterator[tuple[RunTask, Told]]:
    """Write the results of those that have come to their end."""
    for number in sorted(going_on):
        run = runs[number]
        if run.state.finished(run.task.config.training) and wanted(run.task):
            if stop():
                raise Stopped
            going_on.discard(number)
            try:
                run.finish()
            except Exception as error:
                yield run.task, error
            else:
                yield run.task, None
