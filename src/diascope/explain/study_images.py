"""The images that are explained: from the study's index or any file on disk, as the network sees them."""

from collections.abc import Collection
from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diascope.config import DataConfig
from diascope.core.errors import DataError
from diascope.data.annotations import Annotations, Mask
from diascope.data.batches import as_inputs
from diascope.data.cache import ImageCache, load_images
from diascope.data.gray_depth import gray_depth
from diascope.data.image_file import beginning
from diascope.data.index import ImageIndex, open_index
from diascope.data.prepare import Prepared, prepare_image, prepared_images
from diascope.data.readers import is_deep
from diascope.explain.unknown import why_unknown

Pixels = NDArray[np.uint8]


class StudyImages:
    """The images of a study, as its networks see them.

    `whole`: all of them are decoded, or taken from the cache where that was done before; else only those asked for.
    `bits`: how many are used of deep gray images, where the run has it written down; else that is found out from the
    source, of which `paths` are the images of the study, where more may lie in it by now. `opened`: the images, where
    they are there already.
    """

    def __init__(
        self,
        config: DataConfig,
        *,
        whole: bool = False,
        paths: Collection[str] | None = None,
        bits: int | None = None,
        opened: tuple[ImageIndex, ImageCache] | None = None,
    ) -> None:
        self.config, self._whole, self._paths, self._known_bits = config, whole, paths, bits
        if opened is not None:
            self._opened = opened
        self._regions: dict[str, Mask | None] = {}

    def pixels(self, paths: list[str]) -> Pixels:
        """Pixels (N, H, W, C) uint8 of images of the index. Raises DataError for one that is gone or cannot be read."""
        rows = [self._row(path) for path in paths]
        if self._whole:
            return np.stack([self._cache.pixels[row] for row in rows])
        found = self._prepared(sorted(set(rows)))
        return np.stack([found[row].pixels for row in rows])

    def has_region(self, path: str) -> bool:
        """Whether it is known where the finding lies."""
        return path in self._rows and self._truth.is_known(self._rows[path])

    def region(self, path: str) -> Mask | None:
        """Where the finding lies (H, W), if that is known."""
        if path not in self._regions:
            row = self._row(path)
            self._regions[path] = self._truth.region(row, self._size(row))
        return self._regions[path]

    def why_unknown(self) -> DataError:
        """The error to raise where has_region is false of all images that were asked for."""
        return why_unknown(self._truth, self.index)

    def from_disk(self, file: Path) -> Pixels:
        """Pixels (H, W, C) uint8 of any image file, fitted as the images of the study are. Raises DataError."""
        bits = self._bits if is_deep(beginning(file, 26)) else 16
        return prepare_image(file, self.config.model_copy(update={"bits": bits})).pixels

    @cached_property
    def _bits(self) -> int:
        """How many bits the images of the study use, and with them any other that is shown to its networks."""
        if self._known_bits is not None:
            return self._known_bits
        index, paths = self._source, self._paths
        if paths is not None:
            index = index.subset([row for row, path in enumerate(index.paths) if path in paths])
        return gray_depth(index, self.config).bits

    @cached_property
    def _read_with(self) -> DataConfig:
        return self.config.model_copy(update={"bits": self._bits})

    @cached_property
    def _source(self) -> ImageIndex:
        return open_index(self.config)

    @property
    def index(self) -> ImageIndex:
        return self._opened[0]

    @property
    def _cache(self) -> ImageCache:
        cache = self._opened[1]
        assert cache is not None
        return cache

    @cached_property
    def _opened(self) -> tuple[ImageIndex, ImageCache | None]:
        if not self._whole:
            return self._source, None
        index, cache, _ = load_images(
            self._source, self._read_with, on_unreadable="skip"
        )  # as the study may have been run
        return index, cache

    @cached_property
    def _originals(self) -> list[tuple[int, int, str]]:
        return self._cache.originals()

    def _size(self, row: int) -> tuple[int, int]:
        """Width and height of an image before it was fitted."""
        if self._whole:
            return self._originals[row][:2]
        found = self._prepared([row])[row]
        return found.width, found.height

    def _prepared(self, rows: list[int]) -> dict[int, Prepared]:
        found: dict[int, Prepared] = {}
        for row, image in zip(rows, prepared_images(self.index, rows, self._read_with, jobs=1), strict=True):
            if isinstance(image, str):
                raise DataError(image, where=self.index.paths[row], remedy="put the image back as it was")
            found[row] = image
        return found

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.index.paths)}

    @cached_property
    def _truth(self) -> Annotations:
        return Annotations(self.index, self.config)

    def _row(self, path: str) -> int:
        if path not in self._rows:
            what, remedy = "this image of the study is no longer there", "put the images back as they were"
            raise DataError(what, where=f"{self.index.source}: {path}", remedy=remedy)
        return self._rows[path]


def inputs(pixels: Pixels) -> Tensor:
    """Pixels (N, H, W, C) uint8 -> what a network takes, (N, C, H, W) from 0 to 1."""
    return as_inputs(torch.from_numpy(np.ascontiguousarray(pixels)))
