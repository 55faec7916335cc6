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
    """Convolve with a Gaussian, pixels beyond the border being the nearest ones.

    Down and across in turn, as products with a band matrix for each image: on one thread, a seventh of the time of
    PyTorch's grouped convolution (benchmarks/results/augmentation.md).
    """

    def __init__(self, sigmas: Floats, size: tuple[int, int], device: torch.device) -> None:
        """`sigmas` (count,) in pixels."""
        chosen = np.floor(TRUNCATE * sigmas + 0.5) > 0
        super().__init__(chosen, device)
        weights = _gaussians(sigmas[chosen])
        self._weights = torch.from_numpy(weights.astype(np.float32)).to(device)
        self._distances = [_distances(pixels, weights.shape[1] - 2).to(device) for pixels in size]

    def change(self, images: Tensor, part: slice) -> Tensor:
        down, across = (_bands(self._weights[part], distances) for distances in self._distances)
        return down @ images @ across.mT


def _gaussians(sigmas: Floats) -> Floats:
    """Weights (K, R + 2) of the distances 0 to R and, last, 0 for all larger ones; both sides together give 1."""
    radii = np.floor(TRUNCATE * sigmas + 0.5)
    distances = np.arange(radii.max(initial=0) + 2)
    inside = distances <= radii[:, None]
    weights = np.where(inside, np.exp(-0.5 * (distances / sigmas[:, None]) ** 2), 0)
    normalized: Floats = weights / (2 * weights.sum(axis=1, keepdims=True) - weights[:, :1])
    return normalized


def _distances(pixels: int, radius: int) -> Tensor:
    """From each of n pixels to these and `radius` more on both sides: (n, n + 2 radius), radius + 1 at most."""
    there = torch.arange(-radius, pixels + radius)
    return (torch.arange(pixels)[:, None] - there).abs().clamp(max=radius + 1)


def _bands(weights: Tensor, distances: Tensor) -> Tensor:
    """Weights (B, R + 2) and distances (n, n + 2R) -> matrices (B, 1, n, n) whose product with a column blurs it."""
    radius, pixels = weights.shape[1] - 2, len(distances)
    wide = weights[:, distances]
    bands = wide[:, :, radius : radius + pixels].clone()
    bands[:, :, 0] += wide[:, :, :radius].sum(2)
    bands[:, :, -1] += wide[:, :, radius + pixels :].sum(2)
    return bands[:, None]
