"""A random backbone that lets its images through: no zeros that shut a branch off, and outputs of unit size.

What a network begins with is meant for its training: timm sets the last normalization of each residual block to zero,
and normalization to the mean 0 and the variance 1 that no image has given it. A network that stays as it is would hand
on next to nothing. Here the scales of branches are 1, normalization holds the statistics of training images, and a
network without any has each convolution scaled to outputs of size 1 (Krähenbühl et al. 2016; Mishkin and Matas 2016).
"""

from collections.abc import Callable, Mapping
from math import ceil

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

VERSION = "random, version 2"
"""Another value when the same seed and images give another backbone; part of a run's identity."""

MOST_IMAGES, MOST_PIXELS = 256, 2**21  # that the statistics come from: all of them go through the network at once
ENOUGH = 32  # images where there is no normalization: such networks have large maps
SHUT = 0.1  # a scale that is the same for all channels, and no larger, shuts its branch off
_ADDED = ("bias", "beta")  # how parameters are called that are added
_SCALE = ".scale"

Statistics = Mapping[str, Tensor]
"""By name: what each normalization holds; or of a convolution its bias, and by what the weights of each channel are
multiplied (`<weight>.scale`)."""


def sample_rows(training: NDArray[np.int64], image_size: tuple[int, int]) -> NDArray[np.int64]:
    """The images of the training side that the statistics come from, spread evenly over its rows."""
    rows = np.sort(training)
    count = min(len(rows), MOST_IMAGES, max(16, MOST_PIXELS // (image_size[0] * image_size[1])))
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


@torch.no_grad()
def open_branches(network: nn.Module) -> None:
    """Set scales of whole branches that are shut off, of normalization, LayerScale or SkipInit, to 1."""
    for name, weight in network.named_parameters():
        shut = weight.ndim <= 1 and bool((weight == weight.flatten()[0]).all()) and weight.flatten()[0].abs() <= SHUT
        if shut and not name.endswith(_ADDED):
            weight.fill_(1.0)


@torch.no_grad()
def fit_statistics(network: nn.Module, images: Tensor) -> Statistics:
    """Fit the network, layer by layer in one pass, to images (B, C, H, W) as they go into it; returns what was fitted.

    The network is in evaluation mode before and after. Raises ValueError for fewer than two images.
    """
    if len(images) < 2:
        raise ValueError(f"{len(images)} images have no statistics")
    normalizing = [module for module in network.modules() if isinstance(getattr(module, "running_var", None), Tensor)]
    if not normalizing:
        return _fit_convolutions(network, images)
    momenta = [module.momentum for module in normalizing]
    for module in normalizing:
        module.train().momentum = 1.0  # type: ignore[assignment]  # its statistics become those of this batch
    network.forward_features(images)  # type: ignore[operator]
    for module, momentum in zip(normalizing, momenta, strict=True):
        module.eval().momentum = momentum
    fitted = ("running_mean", "running_var")
    return {name: value.clone() for name, value in network.named_buffers() if name.endswith(fitted)}


@torch.no_grad()
def apply_statistics(network: nn.Module, statistics: Statistics) -> None:
    """Give a network that was drawn anew what `fit_statistics` found."""
    buffers, weights = dict(network.named_buffers()), dict(network.named_parameters())
    for name, value in statistics.items():
        if name.endswith(_SCALE):
            weights[name.removesuffix(_SCALE)].mul_(value.view(-1, 1, 1, 1))
        else:
            (buffers | weights)[name].copy_(value)


def _fit_convolutions(network: nn.Module, images: Tensor) -> Statistics:
    """Bring each channel of each convolution to mean 0 and SD 1, where nothing in the network normalizes it.

    The last one is then scaled so that the features, means over places, have a median SD of 1.
    """
    if any("norm" in type(module).__name__.lower() for module in network.modules()):
        return {}
    images = images[:: ceil(len(images) / ENOUGH)]
    fitted: dict[str, Tensor] = {}

    def fit(name: str, layer: nn.Conv2d, scale: Tensor, shift: Tensor) -> None:
        """Multiply the layer's outputs by `scale`, and add `shift` (C,) to them."""
        layer.weight.mul_(scale.view(-1, 1, 1, 1))
        key = f"{name}.weight{_SCALE}"
        fitted[key] = fitted.get(key, torch.ones_like(scale)) * scale
        if layer.bias is not None:
            layer.bias.mul_(scale).add_(shift)
            fitted[f"{name}.bias"] = layer.bias.clone()

    def hook(name: str) -> Callable[[nn.Conv2d, tuple[Tensor, ...], Tensor], Tensor]:
        def normalized(layer: nn.Conv2d, _: tuple[Tensor, ...], outputs: Tensor) -> Tensor:
            scale = 1 / outputs.std((0, 2, 3)).clamp_min(1e-12)
            shift = -outputs.mean((0, 2, 3)) * scale if layer.bias is not None else torch.zeros_like(scale)
            fit(name, layer, scale, shift)
            return outputs * scale[:, None, None] + shift[:, None, None]

        return normalized

    layers = {name: module for name, module in network.named_modules() if type(module) is nn.Conv2d}
    hooks = [layer.register_forward_hook(hook(name)) for name, layer in layers.items()]
    features: Tensor = network.forward_features(images)  # type: ignore[operator]
    for each in hooks:
        each.remove()
    used = [name for name in layers if f"{name}.weight{_SCALE}" in fitted]
    if used:
        scale = 1 / features.flatten(2).mean(2).std(0).median().clamp_min(1e-12)
        last = layers[used[-1]]
        fit(used[-1], last, scale.expand(last.out_channels), torch.zeros(last.out_channels))
    return fitted
