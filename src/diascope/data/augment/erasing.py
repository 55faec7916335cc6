"""Random erasing: a rectangle that hides a part of the image (Zhong et al. 2020)."""

import numpy as np
import torch
from torch import Tensor

from diascope.data.augment.change import Change
from diascope.data.augment.draws import Floats

_ASPECT = (0.3, 1 / 0.3)
"""The rectangle's height as a share of its width, drawn evenly on a logarithmic scale."""


class Erasing(Change):
    """Cover a rectangle, somewhere in the image and wholly inside, with one value."""

    def __init__(
        self, areas: Floats, places: Floats, size: tuple[int, int], fill_value: float, device: torch.device
    ) -> None:
        """`areas` (count,) as shares of the image; `places` (count, 3) in [0, 1): shape, top, left."""
        height, width = size
        sides = _sides(areas, places[:, 0], size)
        first = np.floor(places[:, 1:] * (np.array(size) - sides + 1)).astype(np.int64)
        erased = np.all(sides > 0, axis=1)
        super().__init__(erased, device)
        self._first = torch.from_numpy(first[erased]).to(device)
        self._last = torch.from_numpy((first + sides)[erased]).to(device)
        self._rows, self._columns = torch.arange(height, device=device), torch.arange(width, device=device)
        self._value = fill_value

    def change(self, images: Tensor, part: slice) -> Tensor:
        first, last = self._first[part, :, None], self._last[part, :, None]
        rows = (self._rows >= first[:, 0]) & (self._rows < last[:, 0])
        columns = (self._columns >= first[:, 1]) & (self._columns < last[:, 1])
        return images.masked_fill(rows[:, None, :, None] & columns[:, None, None, :], self._value)


def _sides(areas: Floats, shapes: Floats, size: tuple[int, int]) -> np.ndarray:
    """Heights and widths (count, 2) in whole pixels, no larger than the image."""
    height, width = size
    pixels = areas * height * width
    aspects = _ASPECT[0] * (_ASPECT[1] / _ASPECT[0]) ** shapes
    fitting = np.clip(aspects, areas * height / width, height / (width * np.maximum(areas, 1e-9)))
    sides = np.sqrt(np.stack([pixels * fitting, pixels / fitting], axis=1))
    return np.minimum(np.rint(sides).astype(np.int64), size)
