"""Optimizers, with Keras' formulas where they differ from PyTorch's."""

from collections.abc import Callable, Iterable
from math import sqrt
from typing import Any, overload

import torch
from torch import nn

KERAS_EPSILON = 1e-7


class KerasAdam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015) as Keras computes it, in PyTorch's fused kernel.

    Keras adds epsilon to the root of the raw second moment, PyTorch to that of the bias-corrected one:
    PyTorch's formula with epsilon / sqrt(1 - beta2^t) at step t is Keras'.
    """

    def __init__(self, parameters: Iterable[nn.Parameter], learning_rate: float) -> None:
        super().__init__(parameters, lr=learning_rate, eps=KERAS_EPSILON, fused=True)
        for group in self.param_groups:
            group["steps"] = 0  # counted on the host: PyTorch's own count may live on the device

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        for group in self.param_groups:
            group["steps"] += 1
            group["eps"] = KERAS_EPSILON / sqrt(1 - group["betas"][1] ** group["steps"])
        result: Any = super().step(closure)  # type: ignore[no-untyped-call,unused-ignore]
        return None if result is None else float(result)


def _adam(parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    return KerasAdam(parameters, learning_rate)


OPTIMIZERS: dict[str, Callable[[Iterable[nn.Parameter], float], torch.optim.Optimizer]] = {"adam": _adam}


def build_optimizer(name: str, parameters: Iterable[nn.Parameter], learning_rate: float) -> torch.optim.Optimizer:
    """The optimizer that a study file's `training.optimizer` names."""
    return OPTIMIZERS[name](parameters, learning_rate)
