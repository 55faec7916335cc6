"""Metrics of the order that probabilities put images into: ROC curve, AUROC, average precision."""

from dataclasses import dataclass

import numpy as np

from diascope.metrics.arrays import Counts, Flags, Judged, Labels, Probabilities, Reals
from diascope.metrics.delong import area_left_out, area_limits
from diascope.metrics.limits import macro_limits
from diascope.metrics.metric import MACRO, Metric, Question, macro
from diascope.metrics.units import Limits


@dataclass(frozen=True)
class RocCurve:
    """A receiver operating characteristic, from (0, 0) to (1, 1): false and true positive rates, both (P,)."""

    false_positive_rate: Reals
    true_positive_rate: Reals


def auroc(labels: Labels, probabilities: Probabilities, positive: int) -> float | None:
    """AUROC of the positive class of two; of more classes the unweighted mean of each class against the rest.

    None unless every class occurs among the labels.
    """
    return AUROC.value(Judged(labels, probabilities, positive, threshold=0.5))


def roc_curve(labels: Labels, probabilities: Probabilities, class_number: int) -> RocCurve | None:
    """The ROC curve of one class against the rest, points on straight stretches left out; None where undefined."""
    counts = roc_counts(labels == class_number, probabilities[:, class_number])
    if counts is None:
        return None
    negatives, positives = counts
    bend = np.diff(negatives, 2).astype(bool) | np.diff(positives, 2).astype(bool)
    kept = np.r_[True, bend, True]
    return RocCurve(negatives[kept] / negatives[-1], positives[kept] / positives[-1])


def roc_counts(is_class: Flags, ranking: Probabilities) -> tuple[Counts, Counts] | None:
    """How many negatives and positives (P,) lie at or above each value, from none to all; None of one class."""
    order = np.argsort(-ranking, kind="stable")
    positives = np.cumsum(is_class[order], dtype=np.int64)
    if len(order) == 0 or positives[-1] in (0, len(order)):
        return None
    last_of_ties = np.r_[np.flatnonzero(np.diff(ranking[order])), len(order) - 1]
    positives = np.r_[0, positives[last_of_ties]]
    return np.r_[0, last_of_ties + 1] - positives, positives


def _area(judged: Judged, class_number: int) -> float | None:
    """Area under the ROC curve, ties counting half: exact integer counts, divided once."""
    counts = roc_counts(*judged.ranked(class_number))
    if counts is None:
        return None
    negatives, positives = counts
    twice = np.sum(np.diff(negatives) * (positives[1:] + positives[:-1]))
    return float(twice / (2 * negatives[-1] * positives[-1]))


AUROC = Metric(
    "AUROC",
    f"area under the receiver operating characteristic{MACRO}",
    *(0, 1, 1),
    value=lambda judged: macro([_area(judged, k) for k in judged.against_rest]),
    limits=area_limits,
    left_out=area_left_out,
    of_class=_area,
    needs="images of every class",
)


def _average_precision(judged: Judged, class_number: int) -> float | None:
    """Precision at each probability that a positive image has, averaged over positive images; None of one class.

    The step-wise area under the precision-recall curve; linear interpolation would flatter (Davis and Goadrich 2006).
    """
    counts = roc_counts(*judged.ranked(class_number))
    if counts is None:
        return None
    negatives, positives = counts
    precision = positives[1:] / (positives[1:] + negatives[1:])
    return float(np.sum(np.diff(positives) * precision) / positives[-1])


def _average_precision_limits(question: Question, value: float) -> Limits:
    judged = question.judged
    return macro_limits(question, value, [precision_influences(*judged.ranked(k)) for k in judged.against_rest])


def precision_influences(is_class: Flags, ranking: Reals) -> Reals:
    """How much each image (N,) sways average precision (see limits.py): by its own precision and by those of the
    images ranked no higher."""
    order = np.argsort(-ranking, kind="stable")
    truth = is_class[order].astype(np.float64)
    tie = np.r_[0, np.cumsum(np.diff(ranking[order]) != 0)]  # number of the run of ties that an image is in
    above = np.cumsum(np.bincount(tie))[tie]  # images at or above
    precision = np.cumsum(np.bincount(tie, truth))[tie] / above
    positives = truth.sum()
    own = truth * (precision - truth @ precision / positives)
    lower = truth * _at_or_below(truth / above, tie) - _at_or_below(truth * precision / above, tie)
    influences = np.empty(len(order))
    influences[order] = (own + lower) / positives
    return influences


def _at_or_below(values: Reals, tie: Counts) -> Reals:
    """Sums of the values (N,) from the start of each one's run of ties to the end."""
    of_runs = np.cumsum(np.bincount(tie, values)[::-1])[::-1]
    return np.asarray(of_runs[tie], dtype=np.float64)


AUPRC = Metric(
    "AUPRC",
    f"area under the precision-recall curve (average precision){MACRO}",
    *(0, 1, 1),
    value=lambda judged: macro([_average_precision(judged, k) for k in judged.against_rest]),
    limits=_average_precision_limits,
    of_class=_average_precision,
    needs="images of every class",
)
