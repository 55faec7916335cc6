"""The layer that a class activation map explains, and what it gives for a batch of images."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from diascope.errors import ConfigError
from diascope.explain.evaluation import evaluating
from diascope.models import cam_layer

_NAMED = 12


def layer_name(model: nn.Module, layer: str | None = None) -> str:
    """`layer`, or the one that the network names (see models.cam_layer). Raises ConfigError for any other."""
    if layer is None:
        return cam_layer(model)
    known = [name for name, _ in model.named_modules() if name]
    if layer not in known:
        convolutions = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)]
        shown = ", ".join(convolutions[-_NAMED:])
        what, remedy = f"{type(model).__name__} has no such layer", f"its last convolutions are {shown}"
        raise ConfigError(what, where=f"--layer {layer}", remedy=remedy)
    return layer


@contextmanager
def captured(model: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Within it, the list holds what the layer gave last.

    What comes after the layer gets a copy: a ReLU that writes over its input would otherwise change what was captured.
    """
    given: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        check_maps(output, layer)
        given[:] = [output]
        return output.clone()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        yield given
    finally:
        handle.remove()


def check_maps(output: object, layer: str) -> None:
    """Raises ConfigError unless a layer gives maps (B, C, H, W)."""
    if not isinstance(output, torch.Tensor) or output.ndim != 4:
        gives = tuple(output.shape) if isinstance(output, torch.Tensor) else type(output).__name__
        what = f"it gives {gives}, and a class activation map needs maps (images, channels, height, width)"
        raise ConfigError(what, where=f"layer {layer}", remedy="name a convolution with --layer")


def map_size(model: nn.Module, image: Tensor, layer: str) -> tuple[int, int]:
    """Height and width of the maps that a layer gives for an image (1, C, H, W): how fine a map of it can be."""
    with captured(model, layer) as given, evaluating(model) as place, torch.no_grad():
        model(image.to(place))
    height, width = given[0].shape[2:]
    return int(height), int(width)
