"""The batches of a run: of its two sides, and of the part of the training side that is watched in evaluation mode."""

from collections.abc import Iterable
from functools import partial
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray

from diascope.config import RunConfig
from diascope.config.training import STATISTICS_IMAGES
from diascope.core.seeding import stream
from diascope.data.batches import (
    EVALUATION_BATCH,
    Batch,
    EvaluationBatches,
    FrozenTransform,
    TrainingBatches,
    subset_rows,
)
from diascope.engine.initial_network import frozen_part
from diascope.engine.task import RunTask, open_pixels
from diascope.features import open_features
from diascope.models.pretrained import compute
from diascope.predict.inputs import Inputs, evaluation_batches


class Sides:
    """The batches of one run, on the device."""

    def __init__(self, task: RunTask, device: torch.device) -> None:
        data, config = task.data, task.config
        self.steps = ceil(len(data.training) / config.training.batch_size)
        learned = training_inputs(task, device)
        watched = evaluation_inputs(task, device, learned.transform)
        self._watched, self._task, self._device = watched, task, device
        self.training = TrainingBatches(
            learned.values,
            data.labels,
            data.training,
            batch_size=config.training.batch_size,
            seed=config.run_seed,
            device=device,
            augmentation=learned.augmentation,
            sampler=config.training.sampler,
            copies=learned.copies,
            transform=learned.transform,
        )
        self._subset = subset_rows(data.training, len(data.validation), config.run_seed)
        self.validation = evaluation_batches(watched, data.labels, data.validation, device)
        self.subset = evaluation_batches(watched, data.labels, self._subset, device)
        self.statistics = self._for_statistics(config)

    def _for_statistics(self, config: RunConfig) -> Iterable[Batch]:
        """Training images that batch normalization gets its statistics from, in full batches; none: moving averages."""
        if config.training.evaluation_statistics == "moving":
            return ()
        rows = self._mixed(subset_rows(self._task.data.training, STATISTICS_IMAGES, config.run_seed))
        whole = len(rows) - len(rows) % EVALUATION_BATCH  # some networks cannot normalize a last batch of one image
        return evaluation_batches(self._watched, self._task.data.labels, rows[: whole or len(rows)], self._device)

    def subset_as_in_training(self) -> EvaluationBatches:
        """The images of `subset` in batches that hold all classes, as those of the training do."""
        return evaluation_batches(self._watched, self._task.data.labels, self._mixed(self._subset), self._device)

    def _mixed(self, rows: NDArray[np.int64]) -> NDArray[np.int64]:
        """The rows in random order: files come class by class, and a batch of one class is not one of the training."""
        return stream(self._task.config.run_seed, "statistics").permutation(rows)

    def in_order(self) -> EvaluationBatches:
        """The training side in order, each image once."""
        data = self._task.data
        return evaluation_batches(self._watched, data.labels, data.training, self._device)


def training_inputs(task: RunTask, device: torch.device) -> Inputs:
    """Pixels; or features that were computed once, of augmented copies where there are some; or both in turn.

    Behind a frozen backbone, augmented images without copies go through it anew in each epoch.
    """
    augmentation = task.config.augmentation
    if task.data.copies is not None:
        return Inputs(open_features(task.data.copies), copies=task.config.model.augmented_copies)
    if task.data.features is not None and not augmentation.changes:
        return Inputs(open_features(task.data.features))
    return Inputs(open_pixels(task.data.pixels), augmentation=augmentation, transform=_frozen_transform(task, device))


def evaluation_inputs(task: RunTask, device: torch.device, transform: FrozenTransform | None = None) -> Inputs:
    """The same without augmentation; `transform` is what pixels go through, where it is there already."""
    if task.data.features is not None:
        return Inputs(open_features(task.data.features))
    return Inputs(open_pixels(task.data.pixels), transform=transform or _frozen_transform(task, device))


def _frozen_transform(task: RunTask, device: torch.device) -> FrozenTransform | None:
    if task.config.model.kind != "pretrained":
        return None
    frozen = frozen_part(task).to(device).to(memory_format=torch.channels_last)
    return partial(compute, frozen, precision=task.config.training.precision)
