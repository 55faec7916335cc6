"""Layers and initial weights as Keras has them, with every random number drawn from an explicit generator."""

import torch
from torch import Tensor, nn

BATCH_NORM_EPSILON = 1e-3
BATCH_NORM_MOMENTUM = 0.01  # the share of the new batch; Keras counts the share of the old: 0.99


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


class BatchNorm(nn.BatchNorm2d):
    """Batch normalization of (B, C, H, W) as Keras computes it.

    The moving variance is built from the biased variance of a batch (PyTorch takes the unbiased one), so that a last
    batch of one image is no special case: a channel with a single value becomes its bias, and its variance counts as 0.
    """

    def __init__(self, channels: int) -> None:
        super().__init__(channels, eps=BATCH_NORM_EPSILON, momentum=BATCH_NORM_MOMENTUM)

    def forward(self, maps: Tensor) -> Tensor:
        if not self.training:
            return super().forward(maps)
        normalized, mean, inverse_sd = torch.native_batch_norm(
            maps, self.weight, self.bias, None, None, True, BATCH_NORM_MOMENTUM, self.eps
        )
        self._follow(mean.detach(), inverse_sd.detach())
        return normalized

    @torch.no_grad()
    def _follow(self, mean: Tensor, inverse_sd: Tensor) -> None:
        assert self.running_mean is not None
        assert self.running_var is not None
        self.running_mean.lerp_(mean, BATCH_NORM_MOMENTUM)
        self.running_var.lerp_(inverse_sd.pow(-2).sub_(self.eps), BATCH_NORM_MOMENTUM)


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
