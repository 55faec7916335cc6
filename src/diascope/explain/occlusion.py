"""Occlusion (Zeiler and Fergus 2014): how much the class's logit falls when a patch of the image is covered."""

import torch
from captum.attr import Occlusion
from torch import Tensor, nn

from diascope.explain.integrated_gradients import even
from diascope.explain.target import class_logit

PARTS = 8  # patches along a side that would lie beside one another; they overlap by half
BATCH = 32  # covered images at a time


def occlusion(model: nn.Module, images: Tensor, targets: Tensor, *, batch: int = BATCH) -> Tensor:
    """Images (B, C, H, W) and classes (B,) -> maps (B, H, W) in units of the logit.

    A pixel's value is the mean, over the patches that cover it, of the logit of the image minus that of the covered
    image. A patch is an eighth of each side, moves by half of itself, and has the image's mean colour.
    """
    return torch.cat([_of_one(model, images[k : k + 1], targets[k : k + 1], batch) for k in range(len(images))])


def _of_one(model: nn.Module, image: Tensor, target: Tensor, batch: int) -> Tensor:
    """One image at a time, (1, H, W): its map does not depend, to the last bit, on the images that it comes with."""
    patch = tuple(max(1, round(side / PARTS)) for side in image.shape[2:])
    stride = tuple(max(1, side // 2) for side in patch)
    method = Occlusion(lambda values, classes: class_logit(model(values), classes))
    with torch.no_grad():
        found: Tensor = method.attribute(
            image.detach(),
            sliding_window_shapes=(image.shape[1], *patch),
            strides=(image.shape[1], *stride),
            baselines=even(image),
            additional_forward_args=target,
            perturbations_per_eval=batch,
        )
    return found.mean(dim=1)  # all channels are covered at once, and all have the same value
