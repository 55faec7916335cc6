"""A change of some of an epoch's images: it is worked out for these alone, and the others keep their bits."""

from abc import ABC, abstractmethod

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor


class Change(ABC):
    """One transformation over one epoch. Its parameters belong to the chosen images, in the epoch's order."""

    def __init__(self, chosen: NDArray[np.bool_], device: torch.device) -> None:
        """`chosen` (count,) marks the images that are changed."""
        self._places = np.flatnonzero(chosen)
        self._places_on_device = torch.from_numpy(self._places).to(device)

    def __call__(self, images: Tensor, first: int) -> Tensor:
        """Change the chosen ones among images `first`, first + 1, ... of the epoch, (B, C, H, W)."""
        start, stop = np.searchsorted(self._places, [first, first + len(images)]).tolist()
        if start == stop:
            return images
        if stop - start == len(images):
            return self.change(images, slice(start, stop))
        rows = self._places_on_device[start:stop] - first
        return images.index_copy(0, rows, self.change(images[rows], slice(start, stop)))

    @abstractmethod
    def change(self, images: Tensor, part: slice) -> Tensor:
        """Change all of `images` (B, C, H, W); `part` says where their parameters are."""


def to_device(parameters: NDArray[np.generic], device: torch.device) -> Tensor:
    """A parameter of each chosen image (K,) float64 -> (K, 1, 1, 1) float32, to be combined with images."""
    return torch.from_numpy(parameters.astype(np.float32)).to(device)[:, None, None, None]
