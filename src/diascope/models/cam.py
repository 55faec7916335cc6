"""Which layer a class activation map explains."""

from torch import Tensor, nn

from diascope.core.errors import ConfigError


def cam_layer(model: nn.Module) -> str:
    """The dotted name of the layer whose output a class activation map explains.

    It is what the network says in its attribute `cam_layer`, or else its last nn.Conv2d. Raises ConfigError for a
    network without one, and for a name that is no layer of the network.
    """
    said = getattr(model, "cam_layer", None)
    layers: dict[str, nn.Module] = dict(model.named_modules())
    if said is not None:
        if said not in layers:
            what = f"its cam_layer {said!r} is not one of its layers"
            raise ConfigError(what, where=type(model).__name__, remedy="name one of named_modules()")
        return str(said)
    convolutions = [name for name, module in layers.items() if isinstance(module, nn.Conv2d)]
    if not convolutions:
        what = "it has no convolution that a class activation map could explain"
        raise ConfigError(what, where=type(model).__name__, remedy="set its attribute cam_layer to the name of a layer")
    return convolutions[-1]


def cam_maps(model: nn.Module, layer: str, values: Tensor) -> Tensor:
    """What a layer gave as maps (B, C, H, W), if the network knows how to (its method `cam_maps`); else as it is."""
    arranged = getattr(model, "cam_maps", None)
    return values if arranged is None else arranged(layer, values)
