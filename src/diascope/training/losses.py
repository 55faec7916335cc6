"""The loss that is trained on: cross-entropy, with label smoothing, class weights and mixed classes."""

from collections.abc import Callable
from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional


@dataclass(frozen=True)
class MixedClasses:
    """The classes of mixed images: `share` of each image is of its class, the rest of its partner's."""

    classes: Tensor  # (B,) int64
    partners: Tensor  # (B,) int64
    share: float

    def parts(self) -> list[tuple[Tensor, float]]:
        return [(self.classes, self.share), (self.partners, 1 - self.share)]


Targets = Tensor | MixedClasses  # classes (B,) int64, or two of each
Loss = Callable[[Tensor, Targets], Tensor]  # logits (B, outputs), targets -> a number


def cross_entropy(logits: Tensor, targets: Tensor, *, smoothing: float = 0.0, reduction: str = "mean") -> Tensor:
    """Binary for one logit (B, 1), else categorical (B, K); nats.

    `smoothing` s spreads that share of the target evenly over the classes: y (1 - s) + s / K, K = 2 for one logit
    (Szegedy et al. 2016).
    """
    if logits.shape[1] > 1:
        return functional.cross_entropy(logits, targets, label_smoothing=smoothing, reduction=reduction)
    wanted = targets.to(logits.dtype)
    if smoothing:
        wanted = wanted * (1 - smoothing) + smoothing / 2
    return functional.binary_cross_entropy_with_logits(logits.squeeze(1), wanted, reduction=reduction)


@dataclass(frozen=True)
class TrainingLoss:
    """Mean over the images of a batch of w[class] times cross-entropy, as Keras' class_weight: w (K,) on the device.

    The mean is over images, not over weights: a batch without the rare class does not count for more than another.
    """

    smoothing: float = 0.0
    weights: Tensor | None = None

    def __call__(self, logits: Tensor, targets: Targets) -> Tensor:
        if isinstance(targets, MixedClasses):
            first, second = (share * self._plain(logits, classes) for classes, share in targets.parts())
            return first + second
        return self._plain(logits, targets)

    def _plain(self, logits: Tensor, targets: Tensor) -> Tensor:
        if self.weights is None:
            return cross_entropy(logits, targets, smoothing=self.smoothing)
        losses = cross_entropy(logits, targets, smoothing=self.smoothing, reduction="none")
        return torch.mean(self.weights[targets] * losses)


PLAIN = TrainingLoss()
