"""Mixup: a network learns from weighted means of two images and of their classes (Zhang et al. 2018)."""

import numpy as np
import torch
from torch import Tensor

from diascope.core.seeding import stream
from diascope.training.losses import MixedClasses, Targets


class Mixup:
    """Mixes the images of each batch of one epoch with one another; a function of (seed, epoch) alone."""

    def __init__(self, alpha: float, *, seed: int, epoch: int) -> None:
        """`alpha` is that of the Beta(alpha, alpha) distribution of the share of the first image."""
        self._alpha, self._generator = alpha, stream(seed, "mixup", epoch)

    def __call__(self, images: Tensor, classes: Tensor) -> tuple[Tensor, Targets]:
        """(B, C, H, W) and (B,) -> as many mixed images, all with one share. A batch of one image stays as it is."""
        if len(images) == 1:
            return images, classes
        share = float(self._generator.beta(self._alpha, self._alpha))
        order = torch.from_numpy(self._generator.permutation(len(images)).astype(np.int64))
        partners = order.to(images.device, non_blocking=True)
        mixed = images[partners].lerp_(images, share)  # in place: keeps the order of the images in memory
        return mixed, MixedClasses(classes, classes[partners], share)
