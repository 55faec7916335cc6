"""Metrics of the order that probabilities put images into: ROC curve, AUROC, average precision."""

from dataclasses import dataclass

import numpy as np

from diascope.metrics.arrays import Counts, Flags, Labels, Probabilities, Reals
from diascope.metrics.decisions import macro


@dataclass(frozen=True)
class RocCurve:
    """A receiver operating characteristic, from (0, 0) to (1, 1): false and true positive rates, both (P,)."""

    false_positive_rate: Reals
    true_positive_rate: Reals


def auroc(labels: Labels, probabilities: Probabilities, positive: int) -> float | None:
    """AUROC of the positive class of two; of more classes the unweighted mean of each class against the rest.

    None unless every class occurs among the labels: an average over whichever classes happen to occur would mean
    something else in every fold.
    """
    classes = probabilities.shape[1]
    shown = [positive] if classes == 2 else range(classes)
    return macro([area(labels == k, probabilities[:, k]) for k in shown])


def roc_curve(labels: Labels, probabilities: Probabilities, class_number: int) -> RocCurve | None:
    """The ROC curve of one class against the rest, points on straight stretches left out; None where undefined."""
    counts = roc_counts(labels == class_number, probabilities[:, class_number])
    if counts is None:
        return None
    negatives, positives = counts
    bend = np.diff(negatives, 2).astype(bool) | np.diff(positives, 2).astype(bool)
    kept = np.r_[True, bend, True]
    return RocCurve(negatives[kept] / negatives[-1], positives[kept] / positives[-1])


def area(is_class: Flags, ranking: Probabilities) -> float | None:
    """Area under the ROC curve, ties counting half: exact integer counts, divided once."""
    counts = roc_counts(is_class, ranking)
    if counts is None:
        return None
    negatives, positives = counts
    twice = np.sum(np.diff(negatives) * (positives[1:] + positives[:-1]))
    return float(twice / (2 * negatives[-1] * positives[-1]))


def average_precision(is_class: Flags, ranking: Probabilities) -> float | None:
    """Precision at each probability that a positive image has, averaged over positive images; None of one class.

    The step-wise area under the precision-recall curve; linear interpolation would flatter (Davis and Goadrich 2006).
    """
    counts = roc_counts(is_class, ranking)
    if counts is None:
        return None
    negatives, positives = counts
    precision = positives[1:] / (positives[1:] + negatives[1:])
    return float(np.sum(np.diff(positives) * precision) / positives[-1])


def roc_counts(is_class: Flags, ranking: Probabilities) -> tuple[Counts, Counts] | None:
    """How many negatives and positives (P,) lie at or above each value, from none to all; None of one class."""
    order = np.argsort(-ranking, kind="stable")
    positives = np.cumsum(is_class[order], dtype=np.int64)
    if len(order) == 0 or positives[-1] in (0, len(order)):
        return None
    last_of_ties = np.r_[np.flatnonzero(np.diff(ranking[order])), len(order) - 1]
    positives = np.r_[0, positives[last_of_ties]]
    return np.r_[0, last_of_ties + 1] - positives, positives
