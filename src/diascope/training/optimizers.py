"""Optimizers, with Keras' formulas where they differ from PyTorch's."""

from collections.abc import Callable, Iterator
from math import sqrt
from typing import Any, Protocol, overload, runtime_checkable

import torch
from torch import Tensor, nn

from diascope.config import TrainingConfig

KERAS_EPSILON = 1e-7
RMSPROP_RHO = 0.9  # Keras' default; PyTorch's is 0.99
NORMALIZATIONS = (nn.modules.batchnorm._NormBase, nn.LayerNorm, nn.GroupNorm, nn.RMSNorm)

Parameters = list[dict[str, Any]]  # groups as torch.optim takes them: parameters and what is their own


@runtime_checkable
class Layered(Protocol):
    """A network whose layers learn at different rates: for each its share of the learning rate, and its parameters."""

    def learning_layers(self) -> Iterator[tuple[float, list[nn.Parameter]]]: ...


class KerasAdam(torch.optim.Adam):
    """Adam (Kingma and Ba 2015) as Keras computes it, in PyTorch's fused kernel; AdamW where `decoupled`.

    Keras adds epsilon to the root of the raw second moment, PyTorch to that of the bias-corrected one:
    PyTorch's formula with epsilon / sqrt(1 - beta2^t) at step t is Keras'.
    """

    def __init__(self, parameters: Any, learning_rate: float, *, decoupled: bool = False) -> None:
        epsilon = KERAS_EPSILON
        super().__init__(parameters, learning_rate, eps=epsilon, fused=True, decoupled_weight_decay=decoupled)
        for group in self.param_groups:
            group["steps"] = 0  # counted on the host: PyTorch's own count may live on the device

    @overload
    def step(self, closure: None = None) -> None: ...
    @overload
    def step(self, closure: Callable[[], float]) -> float: ...
    def step(self, closure: Callable[[], float] | None = None) -> float | None:
        for group in self.param_groups:
            group["steps"] += any(parameter.grad is not None for parameter in group["params"])
            group["eps"] = KERAS_EPSILON / sqrt(1 - group["betas"][1] ** max(group["steps"], 1))
        result: Any = super().step(closure)  # type: ignore[no-untyped-call,unused-ignore]
        return None if result is None else float(result)


class KerasRMSprop(torch.optim.Optimizer):
    """RMSprop (Tieleman and Hinton 2012) as Keras computes it, all parameters of a group at once.

    Keras adds epsilon to the mean square before it takes the root, PyTorch to the root: with 1e-7 the least divisor is
    3e-4 in the one and 1e-7 in the other, which are two different optimizers where gradients are small. The velocity
    of the momentum holds the learning rate of each step.
    """

    def __init__(self, parameters: Any, learning_rate: float, *, momentum: float = 0.0) -> None:
        super().__init__(parameters, {"lr": learning_rate, "momentum": momentum, "weight_decay": 0.0})

    @torch.no_grad()
    def step(self, closure: None = None) -> None:  # type: ignore[override]
        for group in self.param_groups:
            self._step(group, [parameter for parameter in group["params"] if parameter.grad is not None])

    def _step(self, group: dict[str, Any], parameters: list[Tensor]) -> None:
        gradients = [parameter.grad for parameter in parameters if parameter.grad is not None]
        if not gradients:
            return
        if group["weight_decay"]:
            gradients = list(torch._foreach_add(gradients, parameters, alpha=group["weight_decay"]))
        squares = self._kept("mean_square", parameters)
        torch._foreach_mul_(squares, RMSPROP_RHO)
        torch._foreach_addcmul_(squares, gradients, gradients, value=1 - RMSPROP_RHO)
        divisors = torch._foreach_add(squares, KERAS_EPSILON)
        torch._foreach_sqrt_(divisors)
        if group["momentum"]:
            velocities = self._kept("velocity", parameters)
            torch._foreach_mul_(velocities, group["momentum"])
            torch._foreach_addcdiv_(velocities, gradients, divisors, value=group["lr"])
            torch._foreach_sub_(parameters, velocities)
        else:
            torch._foreach_addcdiv_(parameters, gradients, divisors, value=-group["lr"])

    def _kept(self, name: str, parameters: list[Tensor]) -> list[Tensor]:
        """The state `name` of each parameter, zeros at first."""
        for parameter in parameters:
            if name not in self.state[parameter]:
                self.state[parameter][name] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
        return [self.state[parameter][name] for parameter in parameters]


def _adam(parameters: Parameters, config: TrainingConfig) -> torch.optim.Optimizer:
    return KerasAdam(parameters, config.learning_rate)


def _adamw(parameters: Parameters, config: TrainingConfig) -> torch.optim.Optimizer:
    return KerasAdam(parameters, config.learning_rate, decoupled=True)


def _sgd(parameters: Parameters, config: TrainingConfig) -> torch.optim.Optimizer:
    return torch.optim.SGD(
        parameters, lr=config.learning_rate, momentum=config.momentum, nesterov=config.nesterov, fused=True
    )


def _rmsprop(parameters: Parameters, config: TrainingConfig) -> torch.optim.Optimizer:
    return KerasRMSprop(parameters, config.learning_rate, momentum=config.momentum)


OPTIMIZERS: dict[str, Callable[[Parameters, TrainingConfig], torch.optim.Optimizer]] = {
    "adam": _adam,
    "adamw": _adamw,
    "sgd": _sgd,
    "rmsprop": _rmsprop,
}


def build_optimizer(config: TrainingConfig, model: nn.Module) -> torch.optim.Optimizer:
    """The optimizer that `config.optimizer` names, over all parameters of `model`."""
    return OPTIMIZERS[config.optimizer](parameter_groups(model, config.weight_decay), config)


def parameter_groups(model: nn.Module, weight_decay: float) -> Parameters:
    """One group without weight decay; with it two: the weights that decay, and those that do not.

    Kernels decay. Normalization layers' parameters, and all of one dimension or none (biases, scales), do not. A
    network with layers has these groups for each of them, the one with the full learning rate first.
    """
    layers = model.learning_layers() if isinstance(model, Layered) else [(1.0, list(model.parameters()))]
    exempt = _of_normalization(model)
    groups: Parameters = []
    for share, parameters in layers:
        for group in _by_decay(parameters, weight_decay, exempt):
            groups.append(group if share == 1 else {**group, "rate_share": share})
    return groups


def _by_decay(parameters: list[nn.Parameter], weight_decay: float, exempt: set[int]) -> Parameters:
    if not weight_decay:
        return [{"params": parameters}]
    kept = [parameter for parameter in parameters if parameter.ndim < 2 or id(parameter) in exempt]
    decayed = [parameter for parameter in parameters if parameter.ndim >= 2 and id(parameter) not in exempt]
    groups = [{"params": decayed, "weight_decay": weight_decay}, {"params": kept, "weight_decay": 0.0}]
    return [group for group in groups if group["params"]]


def _of_normalization(model: nn.Module) -> set[int]:
    layers = [module for module in model.modules() if isinstance(module, NORMALIZATIONS)]
    return {id(parameter) for layer in layers for parameter in layer.parameters()}
