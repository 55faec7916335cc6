"""Batch normalization (Ioffe and Szegedy 2015) as Keras computes it, in float32 to seven digits."""

from typing import Any

import torch
from torch import Tensor, nn

EPSILON = 1e-3  # Keras' default
IN_CACHE = 2**17  # values; half a megabyte of float32
MOMENTUM = 0.01  # the share of the new batch; Keras counts the share of the old, by default 0.99


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization of (B, C, H, W).

    The moving variance is built from the biased variance of a batch (PyTorch takes the unbiased one), so that a last
    batch of one image is no special case: a channel with a single value becomes its bias, and its variance counts as 0.
    The defaults are Keras'; `momentum` is the share of the new batch in the moving statistics.
    """

    def __init__(self, channels: int, *, epsilon: float = EPSILON, momentum: float = MOMENTUM) -> None:
        super().__init__(channels, eps=epsilon, momentum=momentum)

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return super().forward(maps)
        normalized: Tensor
        if maps.device.type == "cpu" and maps.dtype == torch.float32:
            normalized, mean, variance = _Normalize.apply(maps, self.weight, self.bias, self.eps)
        else:
            normalized, mean, inverse_sd = torch.native_batch_norm(
                maps, self.weight, self.bias, None, None, True, 0.0, self.eps
            )
            variance = inverse_sd.detach().pow(-2).sub_(self.eps)
        self._follow(mean.detach(), variance)
        return normalized

    @torch.no_grad()
    def _follow(self, mean: Tensor, variance: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        assert self.momentum is not None
        self.running_mean.lerp_(mean, self.momentum)
        self.running_var.lerp_(variance, self.momentum)


class _Normalize(torch.autograd.Function):
    """(maps, weight, bias, epsilon) -> normalized maps, mean (C,), biased variance (C,), in float32 on a processor.

    PyTorch's kernels with statistics of our own: its kernel adds up channels-last maps value by value, which leaves a
    relative error of 1e-5, enough to turn ReLUs around and lose sight of Keras; torch.sum adds in cascades, to 1e-7.
    """

    @staticmethod
    def forward(ctx: Any, maps: Tensor, weight: Tensor, bias: Tensor, epsilon: float) -> tuple[Tensor, Tensor, Tensor]:
        rows = maps.permute(0, 2, 3, 1).flatten(2)  # (B, H, W * C): long rows are fast
        mean = maps.mean((0, 2, 3))
        variance = _variance(rows, mean)
        inverse_sd = (variance + epsilon).rsqrt()
        scale, width = weight * inverse_sd, maps.shape[3]
        normalized = torch.empty_like(maps, memory_format=torch.channels_last)
        into = normalized.permute(0, 2, 3, 1).flatten(2)
        torch.addcmul((bias - mean * scale).repeat(width), rows, scale.repeat(width), out=into)
        ctx.save_for_backward(maps, weight, mean, inverse_sd)
        ctx.epsilon = epsilon
        ctx.mark_non_differentiable(mean, variance)
        return normalized, mean, variance

    @staticmethod
    def backward(ctx: Any, gradient: Tensor, *_: Tensor) -> tuple[Tensor | None, ...]:
        maps, weight, mean, inverse_sd = ctx.saved_tensors
        gradients: tuple[Tensor | None, ...] = torch.ops.aten.native_batch_norm_backward(
            gradient, maps, weight, None, None, mean, inverse_sd, True, ctx.epsilon, [True, True, True]
        )
        return (*gradients, None)


def _variance(rows: Tensor, mean: Tensor) -> Tensor:
    """The biased variance (C,) of rows (B, H, W * C), a few images at a time: what is in between stays in the cache."""
    channels, squares = len(mean), torch.zeros_like(mean)
    widened = mean.repeat(rows.shape[2] // channels)
    for part in torch.split(rows, max(1, IN_CACHE // rows[0].numel())):
        squares += (part - widened).square_().view(-1, channels).sum(0)
    return squares / (rows.numel() // channels)
