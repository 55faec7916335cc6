"""One run from begin to end: what its folder holds already, training, and the results, written last."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from math import ceil, isfinite
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from diascope.data.batches import EvaluationBatches, TrainingBatches, subset_rows
from diascope.engine.checkpoint import read_checkpoint, save_checkpoint
from diascope.engine.device import pick_device
from diascope.engine.network import new_network
from diascope.engine.task import RunData, RunTask, open_pixels, run_seed
from diascope.errors import RunError
from diascope.runs.folder import RunFolder, write_atomic, write_json
from diascope.runs.provenance import continued, now, provenance
from diascope.training.loop import Epoch, predict, train
from diascope.training.process import prepare_process
from diascope.training.state import TrainingState
from diascope.training.weights import class_weights

SAVE_SHARE = 0.05  # a checkpoint is written when writing takes at most this share of the time since the last one


class Stopped(Exception):  # noqa: N818  (no error: the user asked for it)
    """The run was asked to stop; its last checkpoint is in its folder."""


def execute(task: RunTask, *, device: str = "auto", stop: Callable[[], bool] = lambda: False) -> Iterator[Epoch]:
    """Train the task's run, or what is left of it, yielding each epoch; the folder is done when the iterator ends.

    Leaving the loop early keeps the epochs that were yielded. `stop` is asked before every batch, and before results
    are written; when it says yes, Stopped is raised; epochs since the last checkpoint, which are few, are then trained
    again when the run goes on. Nobody else may write into the folder meanwhile (see runs/claim.py).
    """
    prepare_process(task.config.training.threads)
    place, folder = pick_device(device), RunFolder(task.folder)
    data, state = _Sides(task, place), _new_state(task, place)
    history = _resume(folder, task, state)
    origin = _write_origin(folder, task, place, state.epoch)
    folder.write_history(history)
    last_save, cost = perf_counter(), 0.0
    batches = _stoppable(data.training, stop)
    config = task.config.training
    weights = _class_weights(task)
    for epoch in train(state, batches, data.validation, data.subset, config, weights, steps=data.steps):
        if not isfinite(epoch.training.loss):
            raise RunError(
                f"the training loss is {epoch.training.loss} in epoch {epoch.epoch}",
                where=task.name,
                remedy="lower training.learning_rate, or set training.gradient_clipping to 1",
            )
        _stop_if(stop)
        history.append(_history_row(epoch))
        folder.append_history(history[-1])
        due = perf_counter() - last_save >= cost / SAVE_SHARE
        if due:
            cost, last_save = save_checkpoint(folder, task, state, history)
        try:
            yield epoch
        except GeneratorExit:
            if not due:
                save_checkpoint(folder, task, state, history)
            raise
    _stop_if(stop)
    save_checkpoint(folder, task, state, history)
    origin["seconds"] = round(sum(row["seconds"] for row in history), 1)
    _finish(folder, task, state, data.validation, origin)


class _Sides:
    """The batches of a run's two sides, and of the part of the training side that is watched in evaluation mode."""

    def __init__(self, task: RunTask, device: torch.device) -> None:
        data, config = task.data, task.config
        pixels = open_pixels(data.pixels)
        self.steps = ceil(len(data.training) / config.training.batch_size)
        subset = subset_rows(data.training, len(data.validation), run_seed(config))
        self.training = TrainingBatches(
            pixels,
            data.labels,
            data.training,
            batch_size=config.training.batch_size,
            seed=run_seed(config),
            device=device,
            augmentation=config.augmentation,
            sampler=config.training.sampler,
        )
        self.validation = EvaluationBatches(pixels, data.labels, data.validation, device=device)
        self.subset = EvaluationBatches(pixels, data.labels, subset, device=device)


def _new_state(task: RunTask, device: torch.device) -> TrainingState:
    return TrainingState(new_network(task), task.config.training, seed=run_seed(task.config), device=device)


def _class_weights(task: RunTask) -> Tensor | None:
    """(K,), from the classes of this fold's training side alone."""
    data = task.data
    found = class_weights(task.config.training.class_weights, data.labels[data.training], data.classes)
    return None if found is None else torch.from_numpy(found).float()


def _resume(folder: RunFolder, task: RunTask, state: TrainingState) -> list[dict[str, float]]:
    """Go on from the newest checkpoint of this run that is whole, else from the start; returns the history so far.

    A run that is asked for more epochs than it once was goes on from its last checkpoint of that time.
    """
    folder.sweep()
    if task.continues is not None and folder.run_id() == task.continues:
        folder.done.unlink(missing_ok=True)  # before the folder gets its new name: it must not pass for finished
    for file in (folder.checkpoint, folder.previous):
        saved = read_checkpoint(file)
        if saved is not None and saved["run_id"] in (task.run_id, task.continues):
            try:
                state.load_state_dict(saved["state"])
            except ValueError:  # another version of Diascope wrote it
                continue
            folder.error.unlink(missing_ok=True)
            if saved["run_id"] != task.run_id:  # before config.json has the new name: else nobody would know it again
                save_checkpoint(folder, task, state, list(saved["history"]))
            return list(saved["history"])
    folder.clear()
    return []


def _write_origin(folder: RunFolder, task: RunTask, device: torch.device, epoch: int) -> dict[str, Any]:
    """config.json and provenance.json. A run that goes on keeps what it began with, and notes what is different."""
    training = task.config.training
    now_here = provenance(device=_device_name(device), threads=training.threads, precision=training.precision)
    origin = continued(folder.provenance, now_here, epoch) if epoch else now_here
    write_json(
        folder.config,
        {
            "run_id": task.run_id,
            "arm": task.arm,
            "classes": task.data.classes,
            "config": task.config.model_dump(mode="json"),
        },
    )
    write_json(folder.provenance, origin)
    return origin


def _device_name(device: torch.device) -> str:
    return f"{device} ({torch.cuda.get_device_name(device)})" if device.type == "cuda" else str(device)


def _stoppable(
    batches: Callable[[int], Iterable[tuple[Tensor, Tensor]]], stop: Callable[[], bool]
) -> Callable[[int], Iterator[tuple[Tensor, Tensor]]]:
    def until_stopped(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        for batch in batches(epoch):
            _stop_if(stop)
            yield batch

    return until_stopped


def _stop_if(stop: Callable[[], bool]) -> None:
    if stop():
        raise Stopped


def _history_row(epoch: Epoch) -> dict[str, float]:
    row = {"epoch": epoch.epoch, "learning_rate": epoch.learning_rate, "seconds": round(epoch.seconds, 3)}
    for side in ("training", "training_eval", "validation"):
        row.update({f"{side}_{name}": value for name, value in asdict(getattr(epoch, side)).items()})
    return row


def _finish(
    folder: RunFolder, task: RunTask, state: TrainingState, validation: EvaluationBatches, origin: dict[str, Any]
) -> None:
    """Weights, predictions and, last of all, the mark that the run is done."""
    stopping = task.config.training.early_stopping
    restored = stopping is not None and stopping.restore_best
    last = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    weights = {"last": state.best_weights if restored else last, "best": state.best_weights}
    rows: list[list[object]] = []
    for checkpoint in ("last", "best"):
        file = folder.last if checkpoint == "last" else folder.best
        write_atomic(file, save({name: tensor.contiguous() for name, tensor in weights[checkpoint].items()}))
        state.model.load_state_dict(weights[checkpoint])
        probabilities = predict(state.model, validation, precision=task.config.training.precision)
        rows += _prediction_rows(task.data, checkpoint, probabilities)
    folder.write_predictions(task.data.classes, rows)
    finished = {"seconds": origin["seconds"], "finished": now()}
    write_json(folder.provenance, {**origin, **finished})
    done = {"run_id": task.run_id, "epochs": state.epoch, "best_epoch": state.best_epoch}
    if task.config.training.early_stopping is not None:
        done |= {"stopped_early": state.epoch < task.config.training.epochs, "restored_best": restored}
    write_json(folder.done, {**done, **finished})
    folder.previous.unlink(missing_ok=True)


def _prediction_rows(data: RunData, checkpoint: str, probabilities: NDArray[np.float64]) -> Iterator[list[object]]:
    for row, probability in zip(data.validation, probabilities, strict=True):
        group = data.groups[row] if data.groups else ""
        label = data.classes[data.labels[row]]
        yield [checkpoint, "validation", data.paths[row], group, label, *probability.tolist()]
