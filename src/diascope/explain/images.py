"""The images that are explained: from the study's index or any file on disk, as the network sees them."""

from functools import cached_property
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diascope.config import DataConfig
from diascope.data.batches import as_inputs
from diascope.data.index import ImageIndex, open_index
from diascope.data.prepare import prepared_images
from diascope.data.readers import read_image, with_channels
from diascope.data.resize import resize
from diascope.errors import DataError
from diascope.explain.truth import Mask, Truth

Pixels = NDArray[np.uint8]


class StudyImages:
    """The images of a study, read when they are asked for and kept: arms that see the same images share them."""

    def __init__(self, config: DataConfig) -> None:
        self.config = config
        self._pixels: dict[str, Pixels] = {}
        self._sizes: dict[str, tuple[int, int]] = {}
        self._regions: dict[str, Mask | None] = {}

    def pixels(self, paths: list[str]) -> Pixels:
        """Pixels (N, H, W, C) uint8 of images of the index. Raises DataError for one that is gone or cannot be read."""
        wanted = sorted({self._row(path) for path in paths if path not in self._pixels})
        for row, image in zip(wanted, prepared_images(self.index, wanted, self.config, jobs=1), strict=True):
            path = self.index.paths[row]
            if isinstance(image, str):
                raise DataError(image, where=path, remedy="put the image back as it was")
            self._pixels[path], self._sizes[path] = image.pixels, (image.width, image.height)
        return np.stack([self._pixels[path] for path in paths])

    def has_region(self, path: str) -> bool:
        """Whether it is known where the finding lies."""
        return path in self._rows and self._truth.is_known(self._rows[path])

    def region(self, path: str) -> Mask | None:
        """Where the finding lies (H, W), if that is known."""
        if path not in self._regions:
            self.pixels([path])
            self._regions[path] = self._truth.region(self._row(path), self._sizes[path])
        return self._regions[path]

    def from_disk(self, file: Path) -> Pixels:
        """Pixels (H, W, C) uint8 of any image file, fitted as the images of the study are. Raises DataError."""
        pixels = with_channels(read_image(file, self.config.channels), self.config.channels)
        return resize(pixels, self.config.height, self.config.width, self.config.resize)

    @cached_property
    def index(self) -> ImageIndex:
        return open_index(self.config)

    @cached_property
    def _rows(self) -> dict[str, int]:
        return {path: row for row, path in enumerate(self.index.paths)}

    @cached_property
    def _truth(self) -> Truth:
        return Truth(self.index, self.config)

    def _row(self, path: str) -> int:
        if path not in self._rows:
            what, remedy = "this image of the study is no longer there", "put the images back as they were"
            raise DataError(what, where=f"{self.index.source}: {path}", remedy=remedy)
        return self._rows[path]


def inputs(pixels: Pixels) -> Tensor:
    """Pixels (N, H, W, C) uint8 -> what a network takes, (N, C, H, W) from 0 to 1."""
    return as_inputs(torch.from_numpy(np.ascontiguousarray(pixels)))
