"""The engine: one task and its folder in, a finished run out. Joins data, model, training and the run folder."""

import io
import json
import struct
import zlib
from collections.abc import Callable, Iterable, Iterator
from dataclasses import asdict, dataclass
from math import isfinite
from pathlib import Path
from pickle import UnpicklingError
from time import perf_counter
from typing import Any
from zipfile import BadZipFile, ZipFile

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor, nn

from diascope.config import RunConfig
from diascope.data.batches import EvaluationBatches, TrainingBatches, subset_rows
from diascope.errors import RunError
from diascope.models import build_model
from diascope.runs.folder import RunFolder, write_atomic, write_json
from diascope.runs.provenance import continued, now, provenance
from diascope.training.loop import Epoch, predict, train
from diascope.training.process import prepare_process
from diascope.training.state import TrainingState

DEVICES = "use auto, cpu, cuda or cuda:N"
SAVE_SHARE = 0.05  # a checkpoint is written when writing takes at most this share of the time since the last one


@dataclass(frozen=True)
class RunData:
    """The images of one run: where the decoded pixels are, and the two sides that it may see."""

    pixels: Path | NDArray[np.uint8]  # (N, H, W, C) uint8, or the .npy file that holds them
    paths: list[str]
    labels: NDArray[np.int64]  # (N,) numbers of classes
    groups: list[str] | None
    classes: tuple[str, ...]
    training: NDArray[np.int64]  # row numbers
    validation: NDArray[np.int64]


@dataclass(frozen=True)
class RunTask:
    """One training to do: arm x fold x seed, resolved, with its data and its folder."""

    arm: str
    config: RunConfig
    run_id: str
    folder: Path
    data: RunData

    @property
    def name(self) -> str:
        return f"{self.arm}/fold{self.config.fold}-seed{self.config.seed}"


class Stopped(Exception):  # noqa: N818  (no error: the user asked for it)
    """The run was asked to stop; its last checkpoint is in its folder."""


def pick_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:N as a device that is there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RunError("is no device", where=f"--device {name}", remedy=DEVICES) from error
    if device.type not in ("cpu", "cuda"):
        raise RunError("is a device that Diascope cannot train on", where=f"--device {name}", remedy=DEVICES)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RunError("this machine has no such usable CUDA device", where=f"--device {name}", remedy=DEVICES)
    return device


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
    for epoch in train(state, batches, data.validation, data.subset, task.config.training):
        if not isfinite(epoch.training.loss):
            raise RunError(
                f"the training loss is {epoch.training.loss} in epoch {epoch.epoch}",
                where=task.name,
                remedy="lower training.learning_rate or use precision fp32",
            )
        _stop_if(stop)
        history.append(_history_row(epoch))
        folder.append_history(history[-1])
        due = perf_counter() - last_save >= cost / SAVE_SHARE
        if due:
            cost, last_save = _save_checkpoint(folder, task, state, history)
        try:
            yield epoch
        except GeneratorExit:
            if not due:
                _save_checkpoint(folder, task, state, history)
            raise
    _stop_if(stop)
    _save_checkpoint(folder, task, state, history)
    origin["seconds"] = round(sum(row["seconds"] for row in history), 1)
    _finish(folder, task, state, data.validation, origin)


def load_model(folder: Path, checkpoint: str = "best") -> nn.Module:
    """The trained network of a finished run, in evaluation mode on the CPU; checkpoint "best" or "last"."""
    run = RunFolder(folder)
    if checkpoint not in ("best", "last"):
        raise RunError(f"there is no checkpoint {checkpoint!r}", where=str(folder), remedy="use best or last")
    if not run.done.exists():
        raise RunError("this run is not finished", where=str(folder), remedy="run the study again to finish it")
    tree = json.loads(run.config.read_text(encoding="utf-8"))
    config = RunConfig.model_validate_json(json.dumps(tree["config"]), strict=True)
    model = _build(config, len(tree["classes"]))
    model.load_state_dict(load_file(run.best if checkpoint == "best" else run.last))
    return model.eval()


class _Sides:
    """The batches of a run's two sides, and of the part of the training side that is watched in evaluation mode."""

    def __init__(self, task: RunTask, device: torch.device) -> None:
        data, config = task.data, task.config
        pixels = open_pixels(data.pixels)
        subset = subset_rows(data.training, len(data.validation), config.seed)
        self.training = TrainingBatches(
            pixels,
            data.labels,
            data.training,
            batch_size=config.training.batch_size,
            seed=config.seed,
            device=device,
        )
        self.validation = EvaluationBatches(pixels, data.labels, data.validation, device=device)
        self.subset = EvaluationBatches(pixels, data.labels, subset, device=device)


def open_pixels(source: Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The decoded images (N, H, W, C), memory-mapped. Raises RunError if their file is gone."""
    if not isinstance(source, Path):
        return source
    try:
        pixels: NDArray[np.uint8] = np.load(source, mmap_mode="r")
    except FileNotFoundError as error:
        what, remedy = "the decoded images are gone from the cache", "run the same command again: it decodes them anew"
        raise RunError(what, where=str(source), remedy=remedy) from error
    return pixels


def _build(config: RunConfig, classes: int) -> nn.Module:
    size = (config.data.height, config.data.width)
    return build_model(config.model, channels=config.data.channels, classes=classes, image_size=size, seed=config.seed)


def _new_state(task: RunTask, device: torch.device) -> TrainingState:
    model = _build(task.config, len(task.data.classes))
    return TrainingState(model, task.config.training, seed=task.config.seed, device=device)


def _resume(folder: RunFolder, task: RunTask, state: TrainingState) -> list[dict[str, float]]:
    """Go on from the newest checkpoint of this run that is whole, else from the start; returns the history so far."""
    folder.sweep()
    for file in (folder.checkpoint, folder.previous):
        saved = _read_checkpoint(file)
        if saved is not None and saved["run_id"] == task.run_id:
            state.load_state_dict(saved["state"])
            folder.error.unlink(missing_ok=True)
            return list(saved["history"])
    folder.clear()
    return []


def _read_checkpoint(file: Path) -> dict[str, Any] | None:
    """A checkpoint, or None if there is none or it is damaged: its parts carry check sums, which torch ignores."""
    try:
        with ZipFile(file) as parts:
            if parts.testzip() is not None:
                return None
        saved = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (BadZipFile, UnpicklingError, OSError, RuntimeError, ValueError, EOFError, zlib.error, struct.error):
        return None
    return saved if isinstance(saved, dict) and {"run_id", "state", "history"} <= set(saved) else None


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


def _save_checkpoint(
    folder: RunFolder, task: RunTask, state: TrainingState, history: list[dict[str, float]]
) -> tuple[float, float]:
    """Returns the seconds that it took, and when it ended."""
    started = perf_counter()
    content = io.BytesIO()
    torch.save({"run_id": task.run_id, "state": state.state_dict(), "history": history}, content)
    write_atomic(folder.checkpoint, content.getvalue(), keep=folder.previous)
    ended = perf_counter()
    return ended - started, ended


def _finish(
    folder: RunFolder, task: RunTask, state: TrainingState, validation: EvaluationBatches, origin: dict[str, Any]
) -> None:
    """Weights, predictions and, last of all, the mark that the run is done."""
    weights = {
        "last": {name: tensor.clone() for name, tensor in state.model.state_dict().items()},
        "best": state.best_weights,
    }
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
    write_json(folder.done, {**done, **finished})
    folder.previous.unlink(missing_ok=True)


def _prediction_rows(data: RunData, checkpoint: str, probabilities: NDArray[np.float64]) -> Iterator[list[object]]:
    for row, probability in zip(data.validation, probabilities, strict=True):
        group = data.groups[row] if data.groups else ""
        label = data.classes[data.labels[row]]
        yield [checkpoint, "validation", data.paths[row], group, label, *probability.tolist()]
