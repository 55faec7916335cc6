"""Dropout, pooling and initial weights as Keras has them, with every random number drawn from an explicit generator."""

import torch
from torch import Tensor, nn


class Dropout(nn.Module):
    """Sets a share `rate` of the values (or, if `spatial`, of the channels) to zero and scales up the others.

    The training loop gives a new `generator` each epoch, so that an epoch is a pure function of (state, seed, epoch).
    """

    def __init__(self, rate: float, *, spatial: bool = False) -> None:
        super().__init__()
        if not 0 <= rate < 1:
            raise ValueError(f"dropout rate {rate}: must be at least 0 and less than 1")
        self.rate, self.spatial = rate, spatial
        self.generator: torch.Generator | None = None

    def forward(self, values: Tensor) -> Tensor:
        if not self.training:
            return values
        if self.generator is None:
            raise RuntimeError("dropout in training mode needs a generator: set `generator` before the epoch")
        shape = (*values.shape[:2], 1, 1) if self.spatial else values.shape
        kept = values.new_empty(shape).bernoulli_(1 - self.rate, generator=self.generator)
        return values * kept.div_(1 - self.rate)

    def extra_repr(self) -> str:
        return f"rate={self.rate}, spatial={self.spatial}"


class MaxPool(nn.MaxPool2d):
    """2x2 max pooling of (B, C, H, W) -> (B, C, H // 2, W // 2), twice as fast where no gradient will be asked for."""

    def __init__(self) -> None:
        super().__init__(2)

    def forward(self, maps: Tensor) -> Tensor:
        if torch.is_grad_enabled():
            return torch.max_pool2d(maps, 2)
        height, width = maps.shape[2] // 2 * 2, maps.shape[3] // 2 * 2
        rows = torch.maximum(maps[:, :, 0:height:2, :width], maps[:, :, 1:height:2, :width])
        return torch.maximum(rows[..., 0::2], rows[..., 1::2])  # PyTorch's kernel would also note where each maximum is


def initialize(model: nn.Module, generator: torch.Generator) -> None:
    """Glorot-uniform weights and zero biases (Glorot and Bengio 2010); normalization starts as the identity."""
    for name, module in model.named_modules():
        if isinstance(module, nn.Conv2d | nn.Linear):
            nn.init.xavier_uniform_(module.weight, generator=generator)
            if module.bias is not None:
                nn.init.zeros_(module.bias)
        elif isinstance(module, nn.BatchNorm2d):
            module.reset_parameters()
        elif any(True for _ in module.parameters(recurse=False)):
            raise TypeError(f"{name}: no rule for the initial weights of {type(module).__name__}")
