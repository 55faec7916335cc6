"""Scores computed from labels and predicted probabilities: the one place where Diascope computes a metric.

Throughout, labels are int (N,) class numbers, probabilities are float (N, K) with columns in class order and rows that
sum to one, and `positive` is the number of the positive class of two (it decides nothing for more classes).
A score that the data leave undefined, say an AUROC where only one class occurs, is None, never 0.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Probabilities = NDArray[np.floating[Any]]
Scores = dict[str, float | None]

METRICS = {
    "accuracy": "share of images whose predicted class is the true one",
    "balanced_accuracy": "mean over the classes of the share of a class's images that are predicted right",
    "loss": "mean negative logarithm of the probability given to the true class (cross-entropy, natural logarithm)",
    "auroc": "area under the receiver operating characteristic; for more than two classes the mean over classes, "
    "each against the rest",
}
LOWER_IS_BETTER = frozenset({"loss"})
SMALLEST = float(np.finfo(np.float64).tiny)  # a probability that was rounded to 0 counts as this: a loss of 708 nats


@dataclass(frozen=True)
class RocCurve:
    """A receiver operating characteristic, from (0, 0) to (1, 1): false and true positive rates, both (P,)."""

    false_positive_rate: NDArray[np.float64]
    true_positive_rate: NDArray[np.float64]


def scores(labels: Labels, probabilities: Probabilities, positive: int) -> Scores:
    """Every metric of METRICS, by name; ValueError for arrays that do not fit one another."""
    labels, probabilities = _checked(labels, probabilities, positive)
    if len(labels) == 0:
        return dict.fromkeys(METRICS)
    confusion = confusion_matrix(labels, probabilities, positive)
    return {
        "accuracy": float(np.trace(confusion) / len(labels)),
        "balanced_accuracy": _balanced_accuracy(confusion),
        "loss": loss(labels, probabilities),
        "auroc": auroc(labels, probabilities, positive),
    }


def score(metric: str, labels: Labels, probabilities: Probabilities, positive: int) -> float | None:
    """One metric of METRICS by name."""
    return scores(labels, probabilities, positive)[metric]


def predicted_classes(probabilities: Probabilities, positive: int) -> NDArray[np.int64]:
    """(N, K) -> (N,) class numbers. Of two classes the positive one needs strictly more than 0.5, as in Keras'
    binary accuracy; of more, the largest probability wins and the first class wins ties."""
    if probabilities.shape[1] == 2:
        return np.where(probabilities[:, positive] > 0.5, positive, 1 - positive).astype(np.int64)
    largest: NDArray[np.int64] = np.argmax(probabilities, axis=1).astype(np.int64)
    return largest


def confusion_matrix(labels: Labels, probabilities: Probabilities, positive: int) -> NDArray[np.int64]:
    """Counts (K, K): row = true class, column = predicted class."""
    labels, probabilities = _checked(labels, probabilities, positive)
    classes = probabilities.shape[1]
    cells = labels * classes + predicted_classes(probabilities, positive)
    return np.bincount(cells, minlength=classes * classes).reshape(classes, classes).astype(np.int64)


def loss(labels: Labels, probabilities: Probabilities) -> float | None:
    """Mean cross-entropy in nats, as the learning curves have it; None without images."""
    if len(labels) == 0:
        return None
    of_truth = np.asarray(probabilities, dtype=np.float64)[np.arange(len(labels)), labels]
    return float(-np.log(np.maximum(of_truth, SMALLEST)).mean())


def auroc(labels: Labels, probabilities: Probabilities, positive: int) -> float | None:
    """AUROC of the positive class of two; of more classes the unweighted mean of each class against the rest.

    None unless every class occurs among the labels: an average over whichever classes happen to occur would mean
    something else in every fold.
    """
    classes = probabilities.shape[1]
    areas = [_area(labels == k, probabilities[:, k]) for k in ([positive] if classes == 2 else range(classes))]
    defined = [area for area in areas if area is not None]
    return float(np.mean(defined)) if len(defined) == len(areas) else None


def roc_curve(labels: Labels, probabilities: Probabilities, class_number: int) -> RocCurve | None:
    """The ROC curve of one class against the rest, points on straight stretches left out; None where undefined."""
    counts = _roc_counts(labels == class_number, probabilities[:, class_number])
    if counts is None:
        return None
    negatives, positives = counts
    bend = np.diff(negatives, 2).astype(bool) | np.diff(positives, 2).astype(bool)
    kept = np.r_[True, bend, True]
    return RocCurve(negatives[kept] / negatives[-1], positives[kept] / positives[-1])


def _area(is_class: NDArray[np.bool_], ranking: Probabilities) -> float | None:
    """Area under the ROC curve, ties counting half: exact integer counts, divided once."""
    counts = _roc_counts(is_class, ranking)
    if counts is None:
        return None
    negatives, positives = counts
    twice = np.sum(np.diff(negatives) * (positives[1:] + positives[:-1]))
    return float(twice / (2 * negatives[-1] * positives[-1]))


def _roc_counts(
    is_class: NDArray[np.bool_], ranking: Probabilities
) -> tuple[NDArray[np.int64], NDArray[np.int64]] | None:
    """How many negatives and positives (P,) lie at or above each value, from none to all; None of one class."""
    order = np.argsort(-ranking, kind="stable")
    positives = np.cumsum(is_class[order], dtype=np.int64)
    if len(order) == 0 or positives[-1] in (0, len(order)):
        return None
    last_of_ties = np.r_[np.flatnonzero(np.diff(ranking[order])), len(order) - 1]
    positives = np.r_[0, positives[last_of_ties]]
    return np.r_[0, last_of_ties + 1] - positives, positives


def _balanced_accuracy(confusion: NDArray[np.int64]) -> float | None:
    """Mean recall over all classes; None if a class has no image."""
    images = confusion.sum(axis=1)
    return float((np.diag(confusion) / images).mean()) if images.all() else None


def _checked(labels: Labels, probabilities: Probabilities, positive: int) -> tuple[Labels, Probabilities]:
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} are not (N,) and (N, K)")
    classes = probabilities.shape[1]
    if classes < 2 or not 0 <= positive < classes:
        raise ValueError(f"class {positive} cannot be the positive one of {classes}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"labels lie outside 0 to {classes - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities are not all finite")
    return labels, probabilities
