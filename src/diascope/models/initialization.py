"""Rules for initial weights, drawn from an explicit generator in the order in which the layers are registered."""

import torch
from torch import Tensor, nn


def glorot_uniform(model: nn.Module, generator: torch.Generator) -> None:
    """Glorot-uniform weights and zero biases, Keras' defaults (Glorot and Bengio 2010).

    Normalization starts as the identity. Raises TypeError for a layer without a rule.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            _zero(module.bias)
        else:
            _start_as_identity(name, module)


def he_normal(model: nn.Module, generator: torch.Generator) -> None:
    """Normal weights of variance 2 / fan-out for convolutions (He et al. 2015), Glorot-uniform ones for dense layers.

    Biases are zero, and normalization starts as the identity. Raises TypeError for a layer without a rule.
    """
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d):
            nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu", generator=generator)
            _zero(module.bias)
        elif isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            _zero(module.bias)
        else:
            _start_as_identity(name, module)


def _zero(bias: Tensor | None) -> None:
    if bias is not None:
        nn.init.zeros_(bias)


def _start_as_identity(name: str, module: nn.Module) -> None:
    if isinstance(module, nn.BatchNorm2d):
        module.reset_parameters()
    elif any(True for _ in module.parameters(recurse=False)):
        raise TypeError(f"{name}: no rule for the initial weights of {type(module).__name__}")
