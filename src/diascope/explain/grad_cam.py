"""Grad-CAM (Selvaraju et al. 2017): the layer's maps, each weighted by the mean gradient of the class's logit."""

from torch import Tensor, nn
from torch.nn.functional import interpolate

from diascope.explain.layer import maps_and_gradients


def grad_cam(model: nn.Module, images: Tensor, targets: Tensor, *, layer: str | None = None) -> Tensor:
    """Images (B, C, H, W) and classes (B,) -> maps (B, H, W), none negative, in units of the logit.

    ReLU(sum over channels k of mean over places (d logit / d A_k) * A_k), with A the output of `layer`, which the
    network names itself if it is not given; enlarged bilinearly.
    """
    maps, gradients = maps_and_gradients(model, images, targets, layer)
    return weighted(maps, gradients.mean(dim=(2, 3), keepdim=True), images)


def weighted(maps: Tensor, weights: Tensor, images: Tensor) -> Tensor:
    """Maps (B, K, h, w) summed by their weights (B, K, 1, 1) -> (B, H, W), what is positive, the size of the images."""
    coarse = (weights * maps).sum(dim=1, keepdim=True).clamp(min=0)
    return interpolate(coarse, tuple(images.shape[2:]), mode="bilinear", align_corners=False)[:, 0]
