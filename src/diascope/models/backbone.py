"""A network of timm as a backbone: its `forward_features`, with weights of a file or its own random ones."""

from bisect import bisect_left
from collections.abc import Collection
from contextlib import suppress
from dataclasses import dataclass
from difflib import get_close_matches
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._pytree import tree_leaves

from diascope.core.errors import ConfigError
from diascope.models.fitted_weights import fitted_weights, trunk_of
from diascope.models.hub import hub_file
from diascope.models.random_backbone import open_branches
from diascope.models.weight_files import given_file, stated_input, weights_digest

__all__ = ["ExpectedInput", "check_backbone_name", "expected_input", "load_backbone", "weights_digest", "weights_file"]

Size = tuple[int, int]  # height, width
Three = tuple[float, float, float]  # red, green, blue


@dataclass(frozen=True)
class ExpectedInput:
    """The images that the weights were trained with: their mean and SD where white is 1, and their size in pixels."""

    mean: Three
    sd: Three
    size: Size
    fixed_size: bool  # the network takes no other size


def check_backbone_name(backbone: str) -> None:
    """Raises ConfigError, with the nearest names, unless timm has such a network (and such weights: name.tag)."""
    import timm

    name, _, tag = backbone.partition(".")
    replaced = timm.models.get_deprecated_models()
    if name in replaced:
        what = f"{backbone} is no longer a name in timm"
        raise _unknown(what, f"use {replaced[name]}" if replaced[name] else _nearest(name))
    if not timm.is_model(name):
        raise _unknown(f"timm has no network {backbone}", _nearest(name))
    weights = timm.models.get_arch_pretrained_cfgs(name)
    if backbone != name and backbone not in weights:
        raise _unknown(f"timm has no weights {tag} for {name}", f"use {', '.join(weights)}")


def weights_file(backbone: str, weights: str) -> Path | None:
    """The file of the weights: `weights` itself, or what timm's hub has for "hub", fetched once; None for "random".

    Raises ConfigError where there is no such file.
    """
    if weights == "random":
        return None
    if weights != "hub":
        return given_file(weights)
    check_backbone_name(backbone)
    return hub_file(backbone)


def expected_input(backbone: str, file: Path | None) -> ExpectedInput:
    """What a safetensors file says in its metadata, else what timm says of the network. Raises ConfigError."""
    import timm

    check_backbone_name(backbone)
    known = timm.get_pretrained_cfg(backbone)
    assert known is not None
    mean, sd, size = (None, None, None) if file is None else stated_input(given_file(file))
    return ExpectedInput(
        mean=_three(mean or known.mean),
        sd=_three(sd or known.std),
        size=size or (known.input_size[1], known.input_size[2]),
        fixed_size=known.fixed_input_size,
    )


def load_backbone(backbone: str, file: Path | None, *, channels: int, image_size: Size, seed: int) -> nn.Module:
    """The network on the CPU, in evaluation mode; without a classifier, its `forward_features` is for use.

    `channels` is 3, or 1 for a first layer that is adapted as timm does it: its weights are summed over the colours.
    Without a file the weights are timm's own initial ones, drawn from `seed` alone, but with no branch shut off. Every
    tensor that forward_features needs has to be in the file with its shape. Raises ConfigError.
    """
    expected = expected_input(backbone, file)
    _check_fixed_size(backbone, expected, image_size)
    blank = _blank(backbone, expected, channels)
    used = _used_children(backbone, blank, expected, channels, image_size)
    if file is None:
        network = _without_classifier(_drawn(backbone, expected, channels, seed), used)
        open_branches(network)
        return network
    in_colour = blank if channels == 3 else _blank(backbone, expected, 3)
    weights = fitted_weights(file, backbone, in_colour, used)
    if channels != 3:
        weights = _adapted(backbone, weights, trunk_of(blank, used), channels)
    network = _without_classifier(blank, used)
    if _computes_tensors(network):
        network = _without_classifier(_drawn(backbone, expected, channels, seed), used)
    network.load_state_dict(weights, assign=True)
    return network


def _unknown(what: str, remedy: str) -> ConfigError:
    return ConfigError(what, where="model.backbone", remedy=remedy)


def _nearest(name: str) -> str:
    import timm

    near = get_close_matches(name.lower(), timm.list_models(), n=3, cutoff=0.6)
    return f"did you mean {' or '.join(near)}?" if near else "timm.list_models() in Python lists the names"


def _three(values: Any) -> Three:
    red, green, blue = map(float, values)
    return red, green, blue


def _create(backbone: str, expected: ExpectedInput, channels: int) -> nn.Module:
    import timm

    # A network of a fixed size is made for it; the others have no such argument.
    size: dict[str, Any] = {"img_size": expected.size} if expected.fixed_size else {}
    network: nn.Module = timm.create_model(backbone, in_chans=channels, **size)
    return network.eval()


def _blank(backbone: str, expected: ExpectedInput, channels: int) -> nn.Module:
    """The network without any memory for weights, and so made in no time."""
    with torch.device("meta"):
        return _create(backbone, expected, channels)


def _drawn(backbone: str, expected: ExpectedInput, channels: int, seed: int) -> nn.Module:
    """The network with timm's initial weights, of which all come from PyTorch's generator."""
    with torch.random.fork_rng(devices=[]):
        torch.default_generator.manual_seed(seed)  # that of the CPU alone; torch.manual_seed sets every device's
        return _create(backbone, expected, channels)


def _check_fixed_size(backbone: str, expected: ExpectedInput, image_size: Size) -> None:
    if expected.fixed_size and image_size != expected.size:
        raise ConfigError(
            f"{backbone} takes images of {_pixels(expected.size)} alone, these have {_pixels(image_size)}",
            where="data.image_size",
            remedy=f"set data.image_size to {_setting(expected.size)}",
        )


def _used_children(
    backbone: str, blank: nn.Module, expected: ExpectedInput, channels: int, image_size: Size
) -> set[str]:
    """The children of the network that make up its trunk. Raises ConfigError where it cannot take such images."""
    try:
        return _children_read(blank, channels, image_size)
    except Exception as error:  # layers that the images are too small for raise what they like
        smallest = _smallest_image(blank, channels, max(expected.size))
        if smallest is not None and smallest > min(image_size):
            what = (
                f"{backbone} needs images of {smallest} x {smallest} pixels or more, these have {_pixels(image_size)}"
            )
            remedy = f"set data.image_size to {smallest} or more"
        else:
            what = f"{backbone} cannot take images of {_pixels(image_size)} ({error})"
            remedy = f"set data.image_size to {_setting(expected.size)}"
        raise ConfigError(what, where="data.image_size", remedy=remedy) from error


def _children_read(blank: nn.Module, channels: int, image_size: Size) -> set[str]:
    """The names of the direct children that `forward_features` reads for an image, which costs nothing on "meta".

    They are noted where Python looks them up: a child may be used without being called, by way of its parameters.
    """
    kind, read = type(blank), set()

    def note(network: nn.Module, name: str) -> Any:
        read.add(name)
        return kind.__getattr__(network, name)

    blank.__class__ = type(kind.__name__, (kind,), {"__getattr__": note})
    try:
        with torch.no_grad():
            maps = blank.forward_features(torch.zeros(1, channels, *image_size, device="meta"))  # type: ignore[operator]
    finally:
        blank.__class__ = kind
    if any(isinstance(values, Tensor) and values.numel() == 0 for values in tree_leaves(maps)):
        raise ValueError("nothing is left of them")
    return read


def _smallest_image(blank: nn.Module, channels: int, largest: int) -> int | None:
    """Pixels a side from which on the network takes images; None where some larger ones do not do either."""

    def takes(side: int) -> bool:
        try:
            return bool(_children_read(blank, channels, (side, side)))
        except Exception:  # as above
            return False

    smallest = 1 + bisect_left(range(1, largest + 1), True, key=takes)
    return smallest if takes(smallest) and takes(smallest + 1) else None


def _without_classifier(network: nn.Module, used: Collection[str]) -> nn.Module:
    for name, child in list(network.named_children()):
        if name not in used and child.state_dict():
            setattr(network, name, nn.Identity())
    return network


def _computes_tensors(network: nn.Module) -> bool:
    """Whether it holds tensors that no file of weights has, but its constructor computes: tables of positions, say."""
    saved = network.state_dict()
    return any(name not in saved for name, _ in network.named_buffers()) or any(
        isinstance(value, Tensor) for module in network.modules() for value in vars(module).values()
    )


def _adapted(backbone: str, weights: dict[str, Tensor], needed: dict[str, Tensor], channels: int) -> dict[str, Tensor]:
    """The weights with those of the first layer made for so many channels."""
    from timm.models import adapt_input_conv

    for name, wanted in needed.items():
        if weights[name].shape != wanted.shape:
            with suppress(NotImplementedError):
                weights[name] = adapt_input_conv(channels, weights[name])
        if weights[name].shape != wanted.shape:
            what = f"the first layer of {backbone} cannot be adapted to {channels} channel"
            raise ConfigError(what, where="model.gray", remedy="set model.gray to repeat")
    return weights


def _pixels(size: Size) -> str:
    return f"{size[0]} x {size[1]} pixels"


def _setting(size: Size) -> str:
    return str(size[0]) if size[0] == size[1] else f"[{size[0]}, {size[1]}]"
