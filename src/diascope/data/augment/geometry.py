"""Flips, and rotation, shear, zoom and shift in one step: where each pixel of the new image comes from.

PyTorch's grid_sample does the sampling. Its grids are made here, as sums of a row's and a column's part: that takes a
third of the time of affine_grid, which multiplies matrices for every pixel (benchmarks/results/augmentation.md).
"""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn import functional

from diascope.config import AugmentationConfig
from diascope.data.augment.change import Change
from diascope.data.augment.draws import Draws, Floats

_PADDING = {"nearest": "border", "constant": "zeros", "reflect": "reflection"}


class Flip(Change):
    """Mirror images along one dimension: 3 swaps left and right, 2 top and bottom."""

    def __init__(self, chosen: NDArray[np.bool_], dimension: int, device: torch.device) -> None:
        super().__init__(chosen, device)
        self._dimension = dimension

    def change(self, images: Tensor, part: slice) -> Tensor:
        return images.flip(self._dimension)


class Affine(Change):
    """Rotate, shear, zoom and shift about the centre, ((W - 1) / 2, (H - 1) / 2) in pixels, sampling once."""

    def __init__(
        self, matrices: Floats, size: tuple[int, int], config: AugmentationConfig, device: torch.device
    ) -> None:
        """`matrices` (count, 2, 3): from a pixel (x, y, 1) of the new image, seen from the centre, to the old one."""
        changed = (matrices != np.eye(2, 3)).any(axis=(1, 2))
        super().__init__(changed, device)
        self._matrices = torch.from_numpy(_normalized(matrices[changed], size).astype(np.float32)).to(device)
        self._across, self._down = (_centres(pixels, device) for pixels in (size[1], size[0]))
        self._padding = _PADDING[config.fill]
        self._outside = config.fill_value if config.fill == "constant" else 0.0
        self._interpolation = config.interpolation

    def change(self, images: Tensor, part: slice) -> Tensor:
        if self._outside:
            images = images - self._outside  # grid_sample fills with zeros
        sampled = functional.grid_sample(
            images,
            self._grid(self._matrices[part]),
            mode=self._interpolation,
            padding_mode=self._padding,
            align_corners=False,
        )
        return sampled.add_(self._outside) if self._outside else sampled

    def _grid(self, matrices: Tensor) -> Tensor:
        """Matrices (B, 2, 3) -> where to sample (B, H, W, 2), the image spanning -1 to 1."""
        across = self._across[:, None] * matrices[:, None, :, 0]  # (B, W, 2)
        down = self._down[:, None] * matrices[:, None, :, 1] + matrices[:, None, :, 2]  # (B, H, 2)
        return across[:, None] + down[:, :, None]


def affine_matrices(draws: Draws, size: tuple[int, int]) -> Floats | None:
    """For each image (count, 2, 3): pixel (x, y, 1) of the new image, seen from the centre -> pixel of the old image.

    The old image is rotated first, then sheared, zoomed, and shifted last; this is the way back.
    """
    rotation, shear, zoom = (draws.strengths(name) for name in ("rotation", "shear", "zoom"))
    shifts = draws.shifts()
    if all(drawn is None for drawn in (rotation, shear, zoom, shifts)):
        return None
    none = np.zeros(draws.count)
    angle = np.deg2rad(none if rotation is None else rotation)
    lean = np.tan(np.deg2rad(none if shear is None else shear))
    scale = 1 + (none if zoom is None else zoom)
    cosine, sine = np.cos(angle), np.sin(angle)
    matrices = np.zeros((draws.count, 2, 3))
    # back through the rotation after back through the shear, y downwards: [[c, -s], [s, c]] [[1, lean], [0, 1]]
    matrices[:, 0, 0], matrices[:, 0, 1] = cosine / scale, (cosine * lean - sine) / scale
    matrices[:, 1, 0], matrices[:, 1, 1] = sine / scale, (sine * lean + cosine) / scale
    if shifts is not None:
        pixels = shifts * (size[1], size[0])
        matrices[:, :, 2] = -np.einsum("nij,nj->ni", matrices[:, :, :2], pixels)
    return matrices


def _normalized(matrices: Floats, size: tuple[int, int]) -> Floats:
    """From pixels to grid_sample's units, in which the width and the height are 2."""
    height, width = size
    unit = np.array([2 / width, 2 / height])
    scaled: Floats = matrices * unit[:, None]
    scaled[:, :, :2] /= unit
    return scaled


def _centres(pixels: int, device: torch.device) -> Tensor:
    """The centres of a row's pixels where the row spans -1 to 1."""
    return (2 * torch.arange(pixels, device=device, dtype=torch.float32) + 1) / pixels - 1
