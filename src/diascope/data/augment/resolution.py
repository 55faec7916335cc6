"""Fewer details: down-scaling and back up, and blur with a Gaussian."""

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from diascope.data.augment.change import Change
from diascope.data.augment.draws import Floats

_UP = {"bilinear": "bilinear", "nearest": "nearest-exact"}
TRUNCATE = 4.0
"""The Gaussian ends at so many sigmas, as scipy's does."""


class Downscale(Change):
    """Make images smaller, averaging (antialiased bilinear), and bring them back to their size."""

    def __init__(self, factors: Floats, size: tuple[int, int], interpolation: str, device: torch.device) -> None:
        """`factors` (count,) in (0, 1]: the share of the height and the width that is left in between."""
        sizes = np.maximum(1, np.rint(factors[:, None] * size)).astype(int)
        changed = (sizes != size).any(axis=1)
        super().__init__(changed, device)
        self._sizes, self._size, self._up = sizes[changed].tolist(), size, _UP[interpolation]

    def change(self, images: Tensor, part: slice) -> Tensor:
        pairs = zip(images, self._sizes[part], strict=True)  # each image has a size of its own in between
        return torch.cat([self._there_and_back(image[None], small) for image, small in pairs])

    def _there_and_back(self, image: Tensor, small: list[int]) -> Tensor:
        shrunk = functional.interpolate(image, size=small, mode="bilinear", antialias=True)
        return functional.interpolate(shrunk, size=self._size, mode=self._up)


class Blur(Change):
    """Convolve with a Gaussian, down and across in turn; pixels beyond the border are the nearest ones."""

    def __init__(self, sigmas: Floats, device: torch.device) -> None:
        """`sigmas` (count,) in pixels."""
        chosen = _radii(sigmas) > 0
        super().__init__(chosen, device)
        self._weights = torch.from_numpy(_gaussians(sigmas[chosen]).astype(np.float32)).to(device)

    def change(self, images: Tensor, part: slice) -> Tensor:
        weights, (_, channels, height, width) = self._weights[part], images.shape
        radius = weights.shape[1] // 2
        planes = images.reshape(1, -1, height, width)  # each plane is a group with a kernel of its own
        kernels = weights.repeat_interleave(channels, dim=0)[:, None]
        wide = functional.pad(planes, (radius, radius, radius, radius), mode="replicate")
        down = functional.conv2d(wide, kernels[..., None], groups=len(kernels))
        return functional.conv2d(down, kernels[:, :, None], groups=len(kernels)).view(images.shape)


def _radii(sigmas: Floats) -> Floats:
    """How many pixels the Gaussians reach on each side."""
    return np.floor(TRUNCATE * sigmas + 0.5)


def _gaussians(sigmas: Floats) -> Floats:
    """Weights (K, 2R + 1) around each pixel, R being the largest radius; each row gives 1."""
    radii = _radii(sigmas)
    largest = radii.max(initial=0)
    distances = np.abs(np.arange(-largest, largest + 1))
    weights = np.where(distances <= radii[:, None], np.exp(-0.5 * (distances / sigmas[:, None]) ** 2), 0)
    normalized: Floats = weights / weights.sum(axis=1, keepdims=True)
    return normalized
