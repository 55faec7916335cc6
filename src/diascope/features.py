"""What a frozen backbone makes of the images: computed once, memory-mapped, shared by all runs that ask for the same.

Keyed by content: the images, the weights, the preprocessing, the layer and the precision. Names, labels, folds and
heads have no part in it.
"""

import json
import os
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from hashlib import sha256
from importlib.metadata import version
from pathlib import Path
from time import perf_counter
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from safetensors.torch import load_file, save
from torch import Tensor

from diascope.config import AugmentationConfig, ModelConfig, canonical_json
from diascope.core.files import array_header, write_atomic, write_json
from diascope.data import store
from diascope.data.augment import build_augmentation
from diascope.data.batches import as_inputs
from diascope.models.pretrained import (
    FROZEN_BATCH,
    Frozen,
    Scale,
    build_pretrained,
    frozen_values,
    random_statistics,
    weights_identity,
)
from diascope.models.random_backbone import Statistics

Progress = Callable[[int, int], None]
_FORMAT = 1  # of the file and of how it is computed; part of the key
_STATISTICS = "statistics.safetensors"
_SYNC_SECONDS = 2.0  # how much work a crash may cost
COPIES_SEED = 0  # augmented copies are the same for all seeds, which take them in different orders


@dataclass(frozen=True, eq=False)
class FeatureSource:
    """Images and a frozen backbone. `content` is the digest of the images in their order.

    `scale` is what data.normalize makes of the pixels where model.preprocessing is none: mean and SD by channel. With
    an `augmentation` model.augmented_copies changed versions of each image stand for it, one whole set after the other.
    """

    pixels: Path  # (N, H, W, C) uint8
    content: str
    model: ModelConfig
    seed: int  # of the weights, where they are random
    precision: str
    scale: tuple[tuple[float, ...], tuple[float, ...]] | None = None
    augmentation: AugmentationConfig | None = None
    sample: tuple[int, ...] = ()  # rows that random weights are fitted to

    @property
    def copies(self) -> int:
        return 1 if self.augmentation is None else self.model.augmented_copies

    def key(self) -> str:
        """32 hexadecimal digits: equal where the features would be."""
        model = self.model
        told: dict[str, Any] = {
            "format": _FORMAT,
            "content": self.content,
            "backbone": model.backbone,
            "weights": weights_identity(model),
            "preprocessing": self.scale if model.preprocessing == "none" else "weights",
            "gray": model.gray,
            "part": {"layer": model.layer, "pooling": model.pooling}
            if model.mode == "features"
            else {"unfreeze": model.unfreeze},
            "precision": [self.precision, model.feature_precision],
            "copies": [self.copies, self.augmentation.identity()] if self.augmentation else [],
        }
        if model.weights == "random":
            told["drawn"] = [self.seed, version("timm"), torch.__version__, self.sample]
        return sha256(canonical_json(told).encode()).hexdigest()[:32]

    def file(self) -> Path:
        """Where the features are, or would be: (copies * N, ...) of model.feature_precision."""
        return store.cache_root() / "features" / self.key() / "features.npy"

    def statistics(self) -> Statistics | None:
        """What random weights are fitted with: kept beside the features, else computed anew; None for other weights."""
        if self.model.weights != "random":
            return None
        file = self.file().with_name(_STATISTICS)
        if file.exists():
            return load_file(file)
        images = as_inputs(torch.from_numpy(_images_of(self)[list(self.sample)]))
        return random_statistics(self.model, self.seed, images, self.tensors())

    def tensors(self) -> Scale | None:
        """`scale` as the network takes it."""
        return None if self.scale is None else (torch.tensor(self.scale[0]), torch.tensor(self.scale[1]))


def open_features(source: FeatureSource | NDArray[Any]) -> NDArray[Any]:
    """The features, memory-mapped. Raises DataError where they are gone or were changed."""
    if not isinstance(source, FeatureSource):
        return source
    return store.open_array(source.file())


def is_there(source: FeatureSource) -> bool:
    """Whether the features need not be computed; that they were asked for counts as their use."""
    return store.is_there("features", source.key(), _is_whole)


def obtain(source: FeatureSource, device: torch.device, progress: Progress = lambda done, total: None) -> Path:
    """The file of the features, computed unless it is there; what was cut off goes on where it stopped.

    `progress(done, total)` counts images. Raises DataError where the disk of the cache does not do, or the images are
    gone.
    """

    def build(folder: Path) -> None:
        _Extraction(source, folder, device).run(progress)

    folder, _ = store.obtain("features", source.key(), _is_whole, build)
    return folder / "features.npy"


def frozen_part(source: FeatureSource, device: torch.device, statistics: Statistics | None = None) -> Frozen:
    """The network that computes the features, on the device; `statistics` as the source has them."""
    pixels = _images_of(source)
    size, channels = (pixels.shape[1], pixels.shape[2]), pixels.shape[3]
    network = build_pretrained(
        source.model,
        channels,
        1,
        size,
        source.seed,
        source.tensors(),
        keep_maps=False,
        statistics=source.statistics() if statistics is None else statistics,
    )
    return network.frozen.to(device).to(memory_format=torch.channels_last)


def _images_of(source: FeatureSource) -> NDArray[np.uint8]:
    return store.open_array(source.pixels)


class _Extraction:
    """One build: rows are appended to features.npy, and progress.json says how many of them the disk has for sure."""

    def __init__(self, source: FeatureSource, folder: Path, device: torch.device) -> None:
        self._source, self._folder, self._device = source, folder, device
        self._file, self._progress = folder / "features.npy", folder / "progress.json"
        self._pixels = _images_of(source)
        self._rows = source.copies * len(self._pixels)

    def run(self, progress: Progress) -> None:
        frozen = frozen_part(self._source, self._device, self._statistics())
        shape = self._compute(frozen, self._images(0, 1)).shape[1:]
        done, header = self._resume(shape), self._header(shape)
        store.require_space(self._folder, self._size(shape, self._rows - done), "the features", "model.pooling average")
        with self._file.open("r+b" if done else "wb") as stream:
            stream.write(header)
            stream.seek(len(header) + self._size(shape, done))
            synced = perf_counter()
            progress(done, self._rows)
            for first, images in self._batches(done):
                stream.write(self._compute(frozen, images).tobytes())
                if perf_counter() - synced > _SYNC_SECONDS:
                    self._sync(stream.fileno(), stream.flush, first + len(images))
                    synced = perf_counter()
                progress(first + len(images), self._rows)
            self._sync(stream.fileno(), stream.flush, self._rows)
        files = [self._file.name] + [_STATISTICS] * (self._folder / _STATISTICS).exists()
        store.write_manifest(self._folder, self._manifest(shape), files)
        self._progress.unlink()

    def _statistics(self) -> Statistics | None:
        """Those of the source, kept beside the features; a build that goes on takes those that it began with."""
        file = self._folder / _STATISTICS
        if file.exists():
            return load_file(file)
        found = self._source.statistics()
        if found is not None:
            write_atomic(file, save(dict(found)))
        return found

    def _batches(self, done: int) -> Iterator[tuple[int, Tensor]]:
        """The images from row `done` on, in batches that begin where they would have begun without an interruption."""
        images, size = len(self._pixels), FROZEN_BATCH[self._device.type]
        augmentation = build_augmentation(self._source.augmentation or AugmentationConfig())
        for copy in range(self._source.copies):
            how = {"seed": COPIES_SEED, "epoch": copy, "device": self._device}
            change = augmentation.epoch(images, self._pixels.shape[1:3], **how) if augmentation else None  # type: ignore[arg-type]
            for first in range(0, images, size):
                if copy * images + first >= done:
                    batch = self._images(first, min(first + size, images))
                    yield copy * images + first, batch if change is None else change(batch, first)

    def _images(self, first: int, end: int) -> Tensor:
        return as_inputs(torch.from_numpy(np.array(self._pixels[first:end])).to(self._device))

    def _compute(self, frozen: Frozen, images: Tensor) -> NDArray[Any]:
        return frozen_values(frozen, images, self._source.precision, self._source.model.feature_precision)

    def _size(self, shape: tuple[int, ...], rows: int) -> int:
        return rows * int(np.prod(shape)) * np.dtype(self._source.model.feature_precision).itemsize

    def _header(self, shape: tuple[int, ...]) -> bytes:
        return array_header((self._rows, *shape), self._source.model.feature_precision)

    def _resume(self, shape: tuple[int, ...]) -> int:
        """How many rows of an earlier build of the same key can be kept."""
        try:
            rows = int(json.loads(self._progress.read_text(encoding="utf-8"))["rows"])
            size = self._file.stat().st_size
        except (OSError, ValueError, KeyError, TypeError):
            return 0
        if not 0 <= rows <= self._rows or size < len(self._header(shape)) + self._size(shape, rows):
            return 0
        return rows - rows % len(self._pixels) % FROZEN_BATCH[self._device.type]  # another device has other batches

    def _sync(self, descriptor: int, flush: Callable[[], None], rows: int) -> None:
        flush()
        os.fsync(descriptor)
        write_json(self._progress, {"rows": rows})

    def _manifest(self, shape: tuple[int, ...]) -> dict[str, Any]:
        model, source = self._source.model, str(self._source.pixels)
        images = store.read_manifest(self._source.pixels.parent) or {}
        part = f"block {model.layer}, {model.pooling}" if model.mode == "features" else f"unfreeze {model.unfreeze}"
        return {
            "source": f"{model.backbone} ({Path(model.weights).name}; {part}) on {images.get('source', source)}",
            "images": len(self._pixels),
            "shape": [self._rows, *shape],
            "dtype": model.feature_precision,
            "copies": self._source.copies,
        }


def _is_whole(folder: Path) -> bool:
    """Whether the folder holds an array of the size that its manifest claims. Raises what a damaged one raises."""
    manifest = store.read_manifest(folder)
    if manifest is None:
        return False
    found = store.open_array(folder / "features.npy")
    return bool(list(found.shape) == manifest["shape"] and str(found.dtype) == manifest["dtype"])
