"""One run from begin to end: what its folder holds already, training, and the results, written last."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict
from math import isfinite
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import save
from torch import Tensor

from diascope.core.errors import RunError
from diascope.core.files import write_atomic, write_json
from diascope.engine.checkpoint import read_checkpoint, save_checkpoint
from diascope.engine.initial_network import new_network, recorded, statistics_of
from diascope.engine.sides import Sides, evaluation_inputs
from diascope.engine.task import RunData, RunTask
from diascope.predict.device import pick_device
from diascope.predict.inputs import evaluation_batches
from diascope.predict.predictor import Checkpoint, Network
from diascope.runs import seal
from diascope.runs.folder import RunFolder
from diascope.runs.provenance import continued, now, provenance
from diascope.training.batch_statistics import score_both_modes
from diascope.training.class_weights import class_weights
from diascope.training.evaluation import predict
from diascope.training.logistic import fit
from diascope.training.loop import Epoch, train
from diascope.training.process import prepare_process
from diascope.training.replicas import Replica
from diascope.training.state import TrainingState

_CALMER = "lower training.learning_rate, or set training.gradient_clipping to 1"

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
    run = Run(task, pick_device(device))
    for epoch in run.epochs(stop):
        _stop_if(stop)
        run.note(epoch)
        try:
            yield epoch
        except GeneratorExit:
            run.keep()
            raise
    _stop_if(stop)
    run.finish()


class Run:
    """One run in this process: its data and state, and what its folder holds of it."""

    def __init__(self, task: RunTask, device: torch.device, *, together: int = 1) -> None:
        """Goes on from what the folder holds already."""
        self.task, self.folder = task, RunFolder(task.folder)
        self.sides, self.state = Sides(task, device), _new_state(task, device)
        self.class_weights = _class_weights(task)
        self._history = _resume(self.folder, task, self.state)
        self._origin = _write_origin(self.folder, task, device, self.state.epoch)
        self.folder.write_history(self._history)
        self._last_save, self._cost, self._saved = perf_counter(), 0.0, True
        self._share = SAVE_SHARE / together  # of the time, which all of them share

    def epochs(self, stop: Callable[[], bool]) -> Iterator[Epoch]:
        """The epochs that are left."""
        config, sides, weights = self.task.config, self.sides, self.class_weights
        if config.model.head == "logistic":
            strength = config.model.inverse_regularization
            return fit(self.state, sides.in_order(), sides.validation, sides.subset, config.training, strength, weights)
        return train(
            self.state,
            _stoppable(sides.training, stop),
            sides.validation,
            sides.subset,
            config.training,
            weights,
            steps=sides.steps,
            statistics=sides.statistics,
        )

    def replica(self, stop: Callable[[], bool]) -> Replica:
        """The run as one of several that train together."""
        sides, config = self.sides, self.task.config.training
        return Replica(
            self.state,
            _stoppable(sides.training, stop),
            sides.validation,
            sides.subset,
            config,
            self.class_weights,
            sides.steps,
        )

    def note(self, epoch: Epoch) -> None:
        """Write an epoch down, and what is needed to go on after it unless that would take too much of the time."""
        if not isfinite(epoch.training.loss):
            raise RunError(
                f"the training loss is {epoch.training.loss} in epoch {epoch.epoch}",
                where=self.task.name,
                remedy=_CALMER,
            )
        self._history.append(_history_row(epoch))
        self.folder.append_history(self._history[-1])
        self._saved = perf_counter() - self._last_save >= self._cost / self._share
        if self._saved:
            self._cost, self._last_save = save_checkpoint(self.folder, self.task, self.state, self._history)

    def keep(self) -> None:
        """Let the run be continued from its last epoch."""
        if not self._saved:
            save_checkpoint(self.folder, self.task, self.state, self._history)

    def finish(self) -> None:
        """Write the results; the folder is done then."""
        save_checkpoint(self.folder, self.task, self.state, self._history)
        self.folder.write_history(self._history)  # of the rows that were added the disk may not have all
        self._origin["seconds"] = round(sum(row["seconds"] for row in self._history), 1)
        _finish(self.folder, self.task, self.state, self.sides, self._origin)


def _new_state(task: RunTask, device: torch.device) -> TrainingState:
    return TrainingState(new_network(task), task.config.training, seed=task.config.run_seed, device=device)


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
    statistics = statistics_of(task)
    if statistics is not None:
        write_atomic(folder.statistics, save(dict(statistics)))
    write_json(
        folder.config,
        {
            "run_id": task.run_id,
            "arm": task.arm,
            "classes": task.data.classes,
            "config": task.config.model_dump(mode="json"),
            **recorded(task),
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


def _finish(folder: RunFolder, task: RunTask, state: TrainingState, sides: Sides, origin: dict[str, Any]) -> None:
    """Weights, predictions and, last of all, the mark that the run is done."""
    restored = task.config.training.restores_best
    last = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    weights = {"last": state.best_weights if restored else last, "best": state.best_weights}
    rows: list[list[object]] = []
    for checkpoint in ("last", "best"):
        file = folder.last if checkpoint == "last" else folder.best
        write_atomic(file, save({name: tensor.contiguous() for name, tensor in weights[checkpoint].items()}))
        state.model.load_state_dict(weights[checkpoint])
        probabilities = predict(state.model, sides.validation, precision=task.config.precision)
        if not np.isfinite(probabilities).all():
            raise RunError("the network's probabilities are not finite", where=task.name, remedy=_CALMER)
        rows += _prediction_rows(task.data, checkpoint, probabilities)
        if checkpoint == "last":
            modes = score_both_modes(state.model, sides.subset_as_in_training(), precision=task.config.precision)
    folder.write_predictions(task.data.classes, rows)
    finished = {"seconds": origin["seconds"], "finished": now()}
    write_json(folder.provenance, {**origin, **finished})
    done: dict[str, Any] = {"run_id": task.run_id, "epochs": state.epoch, "best_epoch": state.best_epoch}
    if modes is not None:
        done["training_images"] = {mode: _finite(scores) for mode, scores in asdict(modes).items()}
    if task.config.training.early_stopping is not None:
        done |= {"stopped_early": state.epoch < task.config.training.epochs, "restored_best": restored}
    write_json(folder.done, {**done, **finished, seal.KEY: seal.digests(folder)})
    folder.previous.unlink(missing_ok=True)


def _finite(scores: dict[str, float]) -> dict[str, float | None]:
    """What JSON can hold: a score that is undefined, or not finite, is None."""
    return {name: value if isfinite(value) else None for name, value in scores.items()}


def _prediction_rows(data: RunData, checkpoint: str, probabilities: NDArray[np.float64]) -> Iterator[list[object]]:
    for row, probability in zip(data.validation, probabilities, strict=True):
        group = data.groups[row] if data.groups else ""
        label = data.classes[data.labels[row]]
        yield [checkpoint, "validation", data.paths[row], group, label, *probability.tolist()]


def predict_rows(
    task: RunTask, rows: NDArray[np.int64], checkpoint: Checkpoint, device: torch.device
) -> NDArray[np.float64]:
    """Probabilities (N, K) of these rows by a finished run, as its own validation side was predicted."""
    network = Network.open(task.folder, checkpoint, device)
    return network.of_batches(evaluation_batches(evaluation_inputs(task, device), task.data.labels, rows, device))
