"""Batches: an array and a side's rows -> tensors on the device, a pure function of (seed, epoch).

The array holds the pixels of the cache (N, H, W, C) uint8, or what a frozen network made of them, which is float: maps
(N, H, W, C), tokens (N, L, C) or features (N, F).

No worker processes: slicing a memory-mapped uint8 array and scaling a whole batch on the device costs less than handing
batches between processes, and an array larger than memory streams through the page cache all the same.
"""

from collections.abc import Callable, Iterator
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diascope.config import AugmentationConfig
from diascope.core.errors import DataError
from diascope.core.seeding import stream
from diascope.data.augment import build_augmentation

Batch = tuple[Tensor, Tensor]
Values = NDArray[Any]
FrozenTransform = Callable[[Tensor], Tensor]  # images (B, C, H, W) -> what a network takes instead of them

EVALUATION_BATCH = 32
"""Images a batch in evaluation, where the size changes no result: large enough to hide overhead, small for caches."""


class TrainingBatches:
    """The training side in a new order each epoch; the last batch may be smaller.

    Every image comes exactly once with the sampler "shuffle"; with "balanced", every class equally often.
    """

    def __init__(
        self,
        values: Values,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        *,
        batch_size: int,
        seed: int,
        device: torch.device,
        augmentation: AugmentationConfig = AugmentationConfig(),  # noqa: B008  (frozen)
        sampler: Literal["shuffle", "balanced"] = "shuffle",
        copies: int = 1,
        transform: FrozenTransform | None = None,
    ) -> None:
        """`values` (N, ...) and `labels` (N,) belong to all images, `rows` to this side.

        With `copies` k the array holds k versions of each image, (k * N, ...), one whole set after the other; an epoch
        takes for each image one of them. Augmentation is for pixels; `transform` is what they go through after it.
        """
        sets = [rows + number * len(labels) for number in range(copies)]
        self._side = _Side(values, np.tile(labels, copies), np.concatenate(sets), device)
        self._labels, self._copies, self._size = labels[rows], copies, values.shape[1:3]
        self._batch_size, self._seed, self._device, self._sampler = batch_size, seed, device, sampler
        self._augmentation, self._frozen_transform = build_augmentation(augmentation), transform

    def __call__(self, epoch: int) -> Iterator[Batch]:
        """Yield images (B, C, H, W) float32 in [0, 1], channels-last, and classes (B,) int64, for epoch 0, 1, ...

        Of an array of features these, (B, F) float32, and of maps these, (B, C, H, W).
        """
        batches = self._side.batches(self._places(epoch), self._batch_size)
        batches = batches if self._augmentation is None else self._augmented(batches, epoch)
        return batches if self._frozen_transform is None else _transformed(batches, self._frozen_transform)

    def _places(self, epoch: int) -> NDArray[np.int64]:
        """Where the images of an epoch lie in the side, in the order in which they come."""
        order = self._order(epoch)
        if self._copies == 1:
            return order
        chosen = stream(self._seed, "augment", epoch).integers(self._copies, size=len(order))
        return np.asarray(order + chosen * len(self._labels))

    def _order(self, epoch: int) -> NDArray[np.int64]:
        generator = stream(self._seed, "order", epoch)
        if self._sampler == "balanced":
            return balanced_order(self._labels, generator)
        return generator.permutation(len(self._labels))

    def _augmented(self, batches: Iterator[Batch], epoch: int) -> Iterator[Batch]:
        assert self._augmentation is not None
        augment = self._augmentation.epoch(
            len(self._labels), self._size, seed=self._seed, epoch=epoch, device=self._device
        )
        first = 0
        for images, targets in batches:
            yield augment(images, first), targets
            first += len(images)


class EvaluationBatches:
    """A side in the order of its rows, as often as one iterates over it."""

    def __init__(
        self,
        values: Values,
        labels: NDArray[np.int64],
        rows: NDArray[np.int64],
        *,
        device: torch.device,
        batch_size: int = EVALUATION_BATCH,
        transform: FrozenTransform | None = None,
    ) -> None:
        """Arguments as those of TrainingBatches."""
        self._side = _Side(values, labels, rows, device)
        self._batch_size, self._frozen_transform = batch_size, transform

    def __iter__(self) -> Iterator[Batch]:
        batches = self._side.batches(np.arange(len(self._side)), self._batch_size)
        return batches if self._frozen_transform is None else _transformed(batches, self._frozen_transform)


def _transformed(batches: Iterator[Batch], transform: FrozenTransform) -> Iterator[Batch]:
    for images, targets in batches:
        yield transform(images), targets


def subset_rows(rows: NDArray[np.int64], size: int, seed: int) -> NDArray[np.int64]:
    """`size` of the training rows (all, if there are fewer), sorted, fixed for a seed: watched in evaluation mode."""
    chosen = stream(seed, "subset").permutation(len(rows))[:size]
    return np.sort(rows[chosen])


def balanced_order(labels: NDArray[np.int64], generator: np.random.Generator) -> NDArray[np.int64]:
    """As many places in `labels` (N,) as there are, each class equally often; the counts differ by one at most.

    A class goes through all its images before one of them comes again.
    """
    classes = generator.permutation(np.unique(labels))  # the first ones get what is left over
    share, left = divmod(len(labels), len(classes))
    drawn = [
        _cycled(np.flatnonzero(labels == label), share + (number < left), generator)
        for number, label in enumerate(classes)
    ]
    return generator.permutation(np.concatenate(drawn))


def _cycled(places: NDArray[np.int64], count: int, generator: np.random.Generator) -> NDArray[np.int64]:
    """`count` of the places, from one permutation of them after the other."""
    rounds = -(-count // len(places))
    return np.concatenate([generator.permutation(places) for _ in range(rounds)] or [places[:0]])[:count]


class _Side:
    """The images of one side, taken by their position in `rows`."""

    def __init__(
        self, values: Values, labels: NDArray[np.int64], rows: NDArray[np.int64], device: torch.device
    ) -> None:
        if len(rows) == 0:
            raise DataError("a side without images", remedy="check the split: every side needs at least one image")
        self._values, self._rows, self._device = np.asarray(values), rows, device
        self._labels = torch.from_numpy(np.ascontiguousarray(labels[rows])).to(device)
        self._resident = self._load() if _fits(values, rows, device) else None

    def __len__(self) -> int:
        return len(self._rows)

    def batches(self, order: NDArray[np.int64], batch_size: int) -> Iterator[Batch]:
        places = torch.from_numpy(order).to(self._device)  # once an epoch: a batch then needs nothing from the host
        for start in range(0, len(order), batch_size):
            batch = slice(start, start + batch_size)
            if self._resident is None:
                values = torch.from_numpy(self._values[self._rows[order[batch]]]).to(self._device)
            else:
                values = self._resident[places[batch]]
            yield as_inputs(values), self._labels[places[batch]]

    def _load(self) -> Tensor:
        return torch.from_numpy(self._values[self._rows]).to(self._device)


def as_inputs(values: Tensor) -> Tensor:
    """(B, H, W, C) -> (B, C, H, W) float32, a view in channels-last order; uint8 from 0 to 255 becomes 0 to 1.

    What has another number of dimensions is no picture, and only becomes float32.
    """
    arranged = values.permute(0, 3, 1, 2) if values.ndim == 4 else values
    return arranged.float().div_(255) if values.dtype == torch.uint8 else arranged.float()


def _fits(values: Values, rows: NDArray[np.int64], device: torch.device) -> bool:
    """Whether the side should live on the device: on a GPU, when it takes less than half of the free memory."""
    if device.type != "cuda":
        return False  # the memory-mapped file is already in memory, and shared by all runs
    free, _ = torch.cuda.mem_get_info(device)
    return len(rows) * int(np.prod(values.shape[1:])) * values.itemsize < free // 2
