"""The weights of a file, checked tensor by tensor against the network that they are for: nothing may be missing."""

import sys
from collections.abc import Callable, Collection, Iterable, Mapping
from dataclasses import dataclass, field
from inspect import signature
from pathlib import Path

import torch
from torch import Tensor, nn

from diascope.core.errors import ConfigError
from diascope.models.weight_files import place, read_weights

Tensors = Mapping[str, Tensor]

# What timm's modules call the function that gives old checkpoints the present names.
RENAMERS = ("checkpoint_filter_fn", "_filter_fn", "_filter_torchvision_pretrained")
# How classifiers are called, whatever timm calls that of the network at hand; `aux` are classifiers for training.
CLASSIFIERS = "classifier fc head heads head_dist last_linear logits pre_logits AuxLogits aux_logits aux1 aux2".split()
COUNTS = "num_batches_tracked"  # of batch normalization; old files lack it
SHOWN = 3


@dataclass
class Misfit:
    """What is wrong with a file's tensors; `missing` is a subset of the `needed` names."""

    needed: int
    missing: list[str] = field(default_factory=list)
    misshapen: list[str] = field(default_factory=list)
    unknown: list[str] = field(default_factory=list)

    def __len__(self) -> int:
        return len(self.missing) + len(self.misshapen) + len(self.unknown)

    def __str__(self) -> str:
        told = [f"lacks {len(self.missing)} of {self.needed} tensors ({_first(self.missing)})"] if self.missing else []
        if self.misshapen:
            told.append(f"has {len(self.misshapen)} that do not fit ({_first(self.misshapen)})")
        if self.unknown:
            told.append(f"has {len(self.unknown)} that the backbone does not know ({_first(self.unknown)})")
        return "; ".join(told)


def fitted_weights(file: Path, backbone: str, network: nn.Module, used: Collection[str]) -> dict[str, Tensor]:
    """A tensor for each of the trunk's in `network.state_dict()`, in memory of its own and of the network's type.

    `network` may be on the meta device; `used` names its children that belong to the trunk. What the classifier has
    may be missing. Files whose names do not fit are renamed as timm does it for old checkpoints. Raises ConfigError.
    """
    needed = trunk_of(network, used)
    given: Tensors = read_weights(file)
    misfit = _compared(given, network, needed, used)
    if misfit:
        renamed = _renamed(given, backbone, network)
        again = _compared(renamed, network, needed, used)
        if len(again) < len(misfit):
            given, misfit = renamed, again
    if misfit:
        remedy = f"give a whole file of weights for {backbone}, or set model.backbone to the network that it is for"
        raise ConfigError(f"does not fit {backbone}: it {misfit}", where=place(file), remedy=remedy)
    weights = {name: _own(given, name, wanted) for name, wanted in needed.items()}
    wild = [name for name, weight in weights.items() if not torch.isfinite(weight).all()]
    if wild:
        what = f"{len(wild)} of its tensors hold values that are not finite ({_first(wild)})"
        raise ConfigError(what, where=place(file), remedy="bring the file again, or take another")
    return weights


def trunk_of(network: nn.Module, used: Collection[str]) -> dict[str, Tensor]:
    """What `network.state_dict()` holds of the children in `used`, and of the network's own."""
    state: dict[str, Tensor] = network.state_dict()
    return {name: tensor for name, tensor in state.items() if "." not in name or name.split(".")[0] in used}


def _compared(given: Tensors, network: nn.Module, needed: Tensors, used: Collection[str]) -> Misfit:
    known = {*network.state_dict(), *(name for name, _ in network.named_buffers())}
    needed = {name: wanted for name, wanted in needed.items() if not name.endswith(COUNTS)}
    misfit = Misfit(len(needed))
    for name, wanted in needed.items():
        if name not in given or given[name].is_meta:
            misfit.missing.append(name)
        elif (difference := _difference(given[name], wanted)) is not None:
            misfit.misshapen.append(f"{name} is {difference}")
    classifiers = set(CLASSIFIERS) - set(used)
    misfit.unknown = [
        name
        for name in given
        if name not in known and name.split(".")[0] not in classifiers and not name.endswith(COUNTS)
    ]
    return misfit


def _difference(tensor: Tensor, wanted: Tensor) -> str | None:
    if tensor.shape != wanted.shape:
        return f"{_size(tensor)}, not {_size(wanted)}"
    if tensor.layout != torch.strided or tensor.is_floating_point() != wanted.is_floating_point():
        return f"of type {tensor.dtype}, not {wanted.dtype}".replace("torch.", "")
    return None


def _own(given: Tensors, name: str, wanted: Tensor) -> Tensor:
    """A copy: the file's own memory is a map of the file, which somebody may change or cut."""
    if name.endswith(COUNTS):
        return torch.zeros_like(wanted, device="cpu")
    return given[name].detach().to(wanted.dtype, copy=True, memory_format=torch.contiguous_format)


def _renamed(given: Tensors, backbone: str, network: nn.Module) -> Tensors:
    """`given` as timm's function for old checkpoints of this kind of network has it; as it is where that fails."""
    rename = _renamer(backbone)
    if rename is None:
        return given
    try:
        with torch.no_grad():
            renamed = rename(*(dict(given), network)[: len(signature(rename).parameters)])
    except Exception:  # a file for another network: what of it does not fit is told
        return given
    return {name: _unless_resampled(name, tensor, given) for name, tensor in renamed.items()}


def _renamer(backbone: str) -> Callable[..., dict[str, Tensor]] | None:
    from timm.models import model_entrypoint

    module = sys.modules[model_entrypoint(backbone).__module__]
    return next((getattr(module, name) for name in RENAMERS if hasattr(module, name)), None)


def _unless_resampled(name: str, tensor: Tensor, given: Tensors) -> Tensor:
    """`tensor`, or the file's own where timm interpolated it to another size: that is no fit, and is to be told."""
    before = given.get(name)
    if before is None or before.numel() == tensor.numel():
        return tensor
    of_file = {other.untyped_storage().data_ptr() for other in given.values()}
    return tensor if tensor.untyped_storage().data_ptr() in of_file else before


def _size(tensor: Tensor) -> str:
    return " x ".join(map(str, tensor.shape)) or "a single number"


def _first(names: Iterable[str]) -> str:
    every = list(names)
    return ", ".join(every[:SHOWN]) + (", ..." if len(every) > SHOWN else "")
