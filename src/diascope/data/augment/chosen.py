"""Which images of an epoch a change concerns: it is worked out for these alone, and the others keep their bits."""

from collections.abc import Callable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

Change = Callable[[Tensor, slice], Tensor]
"""Images (B, C, H, W) and where their parameters stand among those of the chosen images -> images."""


class Chosen:
    """The places (K,) of the chosen images among all images of an epoch, ascending."""

    def __init__(self, chosen: NDArray[np.bool_], device: torch.device) -> None:
        self.places = np.flatnonzero(chosen)
        self._on_device = torch.from_numpy(self.places).to(device)

    def change(self, images: Tensor, first: int, change: Change) -> Tensor:
        """Change the chosen ones of `images` (B, C, H, W), the first of which is number `first` of the epoch."""
        start, stop = np.searchsorted(self.places, [first, first + len(images)]).tolist()
        if start == stop:
            return images
        if stop - start == len(images):
            return change(images, slice(start, stop))
        rows = self._on_device[start:stop] - first
        return images.index_copy(0, rows, change(images[rows], slice(start, stop)))
