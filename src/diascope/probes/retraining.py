"""Train the run once more on images of which a part is hidden: same configuration, fold and seed. Nothing is kept."""

from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.config import AugmentationConfig
from diascope.data.batches import as_inputs
from diascope.engine import RunData, RunTask, execute, open_pixels, predict_rows
from diascope.engine.initial_network import frozen_part
from diascope.models.pretrained import frozen_values
from diascope.probes.regions import Mask
from diascope.probes.subject import Pixels, Subject

_AT_ONCE = 256  # images


def retrained(probed: Subject, hidden: Mask, what: str) -> NDArray[np.float64]:
    """Probabilities (N, K) of the validation side by a network that never saw what lies within `hidden`.

    Its folder is temporary and goes away also when the training is stopped.
    """
    with TemporaryDirectory(prefix="diascope-probe-") as name:
        folder = Path(name)
        task = _hidden_task(probed, hidden, folder)
        probed.progress(what, 0, task.epochs)
        for epoch in execute(task, device=str(probed.device)):
            probed.progress(what, epoch.epoch, task.epochs)
        probed.progress(what, task.epochs, task.epochs)
        return predict_rows(task, task.data.validation, "last", probed.device)


def _hidden_task(probed: Subject, hidden: Mask, folder: Path) -> RunTask:
    task = probed.task
    pixels = _write_hidden(task.data.pixels, hidden, folder / "pixels.npy")
    data: RunData = replace(task.data, pixels=pixels, features=None, copies=None)
    config = task.config
    if task.data.features is not None:
        data = replace(data, features=_features(replace(task, data=data, folder=folder / "run"), probed))
        if task.data.copies is not None:  # augmented copies are not made anew
            config = config.model_copy(update={"augmentation": AugmentationConfig()})
    return replace(task, config=config, data=data, folder=folder / "run", continues=None, after=None)


def _write_hidden(source: Path | Pixels, hidden: Mask, file: Path) -> Pixels:
    """All images with the hidden part black, memory-mapped: they need not fit into memory."""
    images = open_pixels(source)
    target = np.lib.format.open_memmap(file, mode="w+", dtype=np.uint8, shape=images.shape)
    for first in range(0, len(images), _AT_ONCE):
        part = np.array(images[first : first + _AT_ONCE])
        part[:, hidden] = 0
        target[first : first + _AT_ONCE] = part
    target.flush()
    return target


def _features(task: RunTask, probed: Subject) -> NDArray[Any]:
    """What the frozen part of the network makes of the images."""
    import torch

    frozen, images = frozen_part(task).to(probed.device), open_pixels(task.data.pixels)
    found = []
    with torch.inference_mode():
        for first in range(0, len(images), 32):
            part = torch.from_numpy(np.array(images[first : first + 32])).to(probed.device)
            model, precision = task.config.model, task.config.training.precision
            found.append(frozen_values(frozen, as_inputs(part), precision, model.feature_precision))
            probed.progress("computing features", min(first + 32, len(images)), len(images))
    return np.concatenate(found)
