"""The layer that a class activation map explains, and what it gives for a batch of images."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from diascope.core.errors import ConfigError
from diascope.core.text import did_you_mean, shorten
from diascope.explain.evaluation_mode import evaluating
from diascope.explain.target import class_logit
from diascope.models import cam_layer, cam_maps

_NAMED = 12


def layer_name(model: nn.Module, layer: str | None = None) -> str:
    """The dotted name of the one layer whose name is `layer` or ends so, or of the one that the network names.

    Raises ConfigError where there is no such layer, or several.
    """
    if layer is None:
        return cam_layer(model)
    known = [name for name, module in model.named_modules() if name and _is_called(module)]
    found = [layer] if layer in known else [name for name in known if name.endswith(f".{layer}")]
    if len(found) == 1:
        return found[0]
    where = f"--layer {layer}"
    if found:
        what = f"{type(model).__name__} has {len(found)} layers whose names end so"
        raise ConfigError(what, where=where, remedy=f"take one of {shorten(found, _NAMED)}")
    parts = layer.count(".") + 1
    near = did_you_mean(layer, {".".join(name.split(".")[-parts:]) for name in known})
    raise ConfigError(f"{type(model).__name__} has no such layer", where=where, remedy=near)


def _is_called(module: nn.Module) -> bool:
    """Whether it can be: a list of layers, or what is left of a block that was cut in two, only holds others."""
    return type(module).forward is not nn.Module.forward


def maps_and_gradients(model: nn.Module, images: Tensor, targets: Tensor, layer: str | None) -> tuple[Tensor, Tensor]:
    """What the layer gives for images (B, C, H, W), as maps (B, K, h, w), and the gradients of each class's logit."""
    name = layer_name(model, layer)
    given = images.detach().requires_grad_()  # so that gradients also run through a backbone that is frozen
    with captured(model, name) as found, torch.enable_grad():
        logits = class_logit(model(given), targets)
    values = found[0]
    gradients = torch.autograd.grad(logits.sum(), values)[0]
    return cam_maps(model, name, values.detach()), cam_maps(model, name, gradients)


@contextmanager
def captured(model: nn.Module, layer: str) -> Iterator[list[Tensor]]:
    """Within it, the list holds what the layer gave last. Raises ConfigError where that is nothing, or no maps.

    What comes after the layer gets a copy: a ReLU that writes over its input would otherwise change what was captured.
    """
    given: list[Tensor] = []

    def keep(module: nn.Module, inputs: tuple[Tensor, ...], output: Tensor) -> Tensor:
        _check_maps(model, layer, output)
        given[:] = [output]
        return output.clone()

    handle = model.get_submodule(layer).register_forward_hook(keep)
    try:
        yield given
    finally:
        handle.remove()
    if not given:
        raise _no_maps(layer, "the network does not call it")


def _check_maps(model: nn.Module, layer: str, output: object) -> None:
    """Raises ConfigError unless a layer gives maps (B, C, H, W), or what can be arranged so."""
    if not isinstance(output, Tensor) or cam_maps(model, layer, output).ndim != 4:
        gives = tuple(output.shape) if isinstance(output, Tensor) else type(output).__name__
        needs = "a class activation map needs maps (images, channels, height, width)"
        raise _no_maps(layer, f"it gives {gives}, and {needs}")


def _no_maps(layer: str, what: str) -> ConfigError:
    remedy = "take --method integrated-gradients or occlusion, which need no layer, or name a convolution with --layer"
    return ConfigError(what, where=f"layer {layer}", remedy=remedy)


def map_size(model: nn.Module, image: Tensor, layer: str) -> tuple[int, int]:
    """Height and width of the maps that a layer gives for an image (1, C, H, W): how fine a map of it can be."""
    with captured(model, layer) as given, evaluating(model) as place, torch.no_grad():
        model(image.to(place))
    height, width = cam_maps(model, layer, given[0]).shape[2:]
    return int(height), int(width)
