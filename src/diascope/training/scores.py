"""What is said of a side after an epoch: plain scores, whatever the loss that was trained on."""

from dataclasses import dataclass
from math import nan

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diascope.metrics import score
from diascope.training.losses import Targets, cross_entropy


@dataclass(frozen=True)
class Scores:
    """Means over images, each image counted once."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class ValidationScores(Scores):
    """And two that unequal classes do not flatter; NaN where undefined: a class without images, or outputs not finite.

    For more than two classes the AUROC is the mean over classes, each against the rest.
    """

    balanced_accuracy: float
    auroc: float


def plain_scores(logits: Tensor, targets: Tensor) -> Scores:
    """Exact means over all images, from logits (N, outputs) and classes (N,). The host waits for the device."""
    correct = _correct(logits, targets).sum().item()
    return Scores(loss=cross_entropy(logits.double(), targets).item(), accuracy=correct / len(targets))


def validation_scores(logits: Tensor, targets: Tensor) -> ValidationScores:
    """The plain scores and those of diascope.metrics, from the probabilities that a run would store."""
    plain = plain_scores(logits, targets)
    found, labels = probabilities(logits), targets.cpu().numpy()
    return ValidationScores(
        plain.loss, plain.accuracy, _defined("balanced_accuracy", labels, found), _defined("auroc", labels, found)
    )


def running_scores(logits: list[Tensor], targets: list[Targets]) -> Scores:
    """The scores of an epoch's batches as they were trained on.

    Of mixed images, loss and accuracy are those against both classes, each counted by its share (as Zhang et al. do).
    """
    plain = [batch for batch in targets if isinstance(batch, Tensor)]
    if len(plain) == len(targets):
        return plain_scores(torch.cat(logits), torch.cat(plain))
    return _mixed_scores(logits, targets)


def _mixed_scores(logits: list[Tensor], targets: list[Targets]) -> Scores:
    losses, correct, images = [], [], 0
    for outputs, batch in zip(logits, targets, strict=True):
        both = [(batch, 1.0)] if isinstance(batch, Tensor) else batch.parts()
        losses += [share * cross_entropy(outputs.double(), classes, reduction="sum") for classes, share in both]
        correct += [share * _correct(outputs, classes).sum(dtype=torch.float64) for classes, share in both]
        images += len(outputs)
    return Scores(loss=torch.stack(losses).sum().item() / images, accuracy=torch.stack(correct).sum().item() / images)


def probabilities(logits: Tensor) -> NDArray[np.float64]:
    """Logits (N, outputs) -> probabilities (N, K) in the order of the classes, K = 2 for a network with one logit."""
    logits = logits.double()
    if logits.shape[1] == 1:
        return torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1).cpu().numpy()
    return torch.softmax(logits, dim=1).cpu().numpy()


def _correct(logits: Tensor, targets: Tensor) -> Tensor:
    predicted = (logits.squeeze(1) > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
    return predicted == targets


def _defined(metric: str, labels: NDArray[np.int64], found: NDArray[np.float64]) -> float:
    value = score(metric, labels, found, positive=1) if np.isfinite(found).all() else None
    return nan if value is None else value
