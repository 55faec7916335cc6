"""The layers that the networks are put together from; dropout draws from an explicit generator."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from diascope.models.normalization import BatchNorm


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


class Pointwise(nn.Conv2d):
    """A 1x1 convolution (B, C, H, W) -> (B, outputs, H / stride, W / stride).

    It takes every stride-th pixel itself: for a stride and fewer than 16 channels, oneDNN's backward pass writes beyond
    its memory (torch 2.15 with AVX-512), which ends the process or, worse, does not.
    """

    def __init__(self, channels: int, outputs: int, stride: int, *, bias: bool) -> None:
        super().__init__(channels, outputs, 1, bias=bias)
        self.step = stride

    def forward(self, maps: Tensor) -> Tensor:
        return super().forward(maps[:, :, :: self.step, :: self.step])


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


def convolution_block(
    name: str, channels: int, width: int, *, normalization: str, spatial_dropout: float = 0.0, pooled: bool = False
) -> list[tuple[str, nn.Module]]:
    """3x3 convolution, [batch normalization], ReLU, [spatial dropout], [pooling], called conv`name` and so on.

    Pooling comes before ReLU and dropout: it commutes with both and leaves them a quarter.
    """
    convolution = nn.Conv2d(channels, width, 3, padding="same")
    layers: list[tuple[str, nn.Module]] = [(f"conv{name}", convolution)]
    if normalization == "batch":
        assert convolution.bias is not None
        convolution.bias.requires_grad_(False)  # normalization takes it out again: its gradient is rounding noise
        layers.append((f"norm{name}", BatchNorm(width)))
    if pooled:
        layers.append((f"pool{name}", MaxPool()))
    layers.append((f"relu{name}", nn.ReLU()))
    if spatial_dropout > 0:
        layers.append((f"drop{name}", Dropout(spatial_dropout, spatial=True)))
    return layers


def dense_layers(inputs: int, dense: Sequence[int], outputs: int, dropout: float) -> nn.Sequential:
    """Dense layers of the widths `dense`, each with ReLU and dropout, then the output layer."""
    layers = nn.Sequential()
    for number, width in enumerate(dense, start=1):
        layers.add_module(f"dense{number}", nn.Linear(inputs, width))
        layers.add_module(f"relu{number}", nn.ReLU(inplace=True))
        if dropout > 0:
            layers.add_module(f"drop{number}", Dropout(dropout))
        inputs = width
    layers.add_module("output", nn.Linear(inputs, outputs))
    return layers


def flatten_like_keras(maps: Tensor) -> Tensor:
    """(B, C, H, W) -> (B, H * W * C): Keras' order, and free in channels-last."""
    return maps.permute(0, 2, 3, 1).flatten(1)
