"""The augmentation of a training: what happens to each image of an epoch, in the order of docs/augmentation.md."""

from collections.abc import Callable, Iterator
from math import nan

import torch
from torch import Tensor

from diascope.config import AugmentationConfig
from diascope.data.augment.draws import Draws
from diascope.data.augment.erasing import Erasing
from diascope.data.augment.geometry import Affine, Flip, affine_matrices
from diascope.data.augment.intensity import Brightness, Contrast, Intensity, Noise
from diascope.data.augment.resolution import Blur, Downscale

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
    return [*_geometry(draws, size, device), *_resolution(draws, size, device), *_values(draws, size, device)]


def _geometry(draws: Draws, size: tuple[int, int], device: torch.device) -> Iterator[Step]:
    for name, dimension in (("horizontal_flip", 3), ("vertical_flip", 2)):
        if (flipped := draws.flipped(name)) is not None:
            yield Flip(flipped, dimension, device)
    if (matrices := affine_matrices(draws, size)) is not None:
        yield Affine(matrices, size, draws.config, device)


def _resolution(draws: Draws, size: tuple[int, int], device: torch.device) -> Iterator[Step]:
    if (factors := draws.strengths("downscale", neutral=1.0)) is not None:
        yield Downscale(factors, size, draws.config.interpolation, device)
    if (sigmas := draws.strengths("blur")) is not None:
        yield Blur(sigmas, device)


def _values(draws: Draws, size: tuple[int, int], device: torch.device) -> Iterator[Step]:
    if (percentiles := draws.strengths("intensity", neutral=nan)) is not None:
        yield Intensity(percentiles, device)
    if (contrasts := draws.strengths("contrast")) is not None:
        yield Contrast(contrasts, device)
    if (added := draws.strengths("brightness")) is not None:
        yield Brightness(added, device)
    if (sds := draws.strengths("noise")) is not None:
        yield Noise(sds, draws.seed_of("noise"), device)
    if (areas := draws.strengths("erasing")) is not None:
        yield Erasing(areas, draws.shares("erasing", 3), size, draws.config.fill_value, device)
