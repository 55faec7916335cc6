"""The augmentation of a training: what happens to each image of an epoch, in the order of docs/augmentation.md."""

from collections.abc import Callable

import torch
from torch import Tensor

from diascope.config import AugmentationConfig
from diascope.data.augment.draws import Draws
from diascope.data.augment.geometry import Affine, Flip, affine_matrices

Step = Callable[[Tensor, int], Tensor]
"""Images (B, C, H, W) and the number of the first of them within the epoch -> images of the same shape."""


class AugmentedEpoch:
    """All changes of one epoch, drawn: call it with each batch."""

    def __init__(self, steps: list[Step]) -> None:
        self._steps = steps

    def __call__(self, images: Tensor, first: int) -> Tensor:
        """Images (B, C, H, W) float32 in [0, 1], numbers `first`, first + 1, ... of the epoch -> changed ones.

        The result is channels-last and within [0, 1]. Nothing is read back from the device.
        """
        for step in self._steps:
            images = step(images, first)
        return images.clamp(0, 1).contiguous(memory_format=torch.channels_last)


class Augmentation:
    """Random changes of training images, as a study file's section `augmentation` has them."""

    def __init__(self, config: AugmentationConfig) -> None:
        self._config = config

    def epoch(
        self, count: int, size: tuple[int, int], *, seed: int, epoch: int, device: torch.device
    ) -> AugmentedEpoch:
        """Draw for `count` images of `size` (height, width), in the order in which they will come."""
        draws = Draws(self._config, count, seed, epoch)
        return AugmentedEpoch(_steps(draws, size, device))


def build_augmentation(config: AugmentationConfig) -> Augmentation | None:
    """None when nothing is asked for: such images keep their bits."""
    asked = any(getattr(config, name) for name in type(config).model_fields if name not in _HOW)
    return Augmentation(config) if asked else None


_HOW = ("fill", "fill_value", "interpolation")


def _steps(draws: Draws, size: tuple[int, int], device: torch.device) -> list[Step]:
    steps: list[Step] = []
    for name, dimension in (("horizontal_flip", 3), ("vertical_flip", 2)):
        flipped = draws.flipped(name)
        if flipped is not None:
            steps.append(Flip(flipped, dimension, device))
    matrices = affine_matrices(draws, size)
    if matrices is not None:
        steps.append(Affine(matrices, size, draws.config, device))
    return steps
