"""Metrics of decisions: accuracy, balanced accuracy, and the rates of one class against the rest."""

from collections.abc import Callable
from functools import partial
from typing import Any

import numpy as np

import diascope.metrics.proportions as proportions
from diascope.metrics.arrays import Counts, Flags, Judged, Labels, Probabilities, Reals, checked
from diascope.metrics.limits import macro_limits
from diascope.metrics.metric import MACRO, Metric, Question, macro, ratio_left_out
from diascope.metrics.units import Limits

# What each image adds to both sides of a fraction (N,): of truth and call (N,), of one class against the rest.
Sides = tuple[Flags | Counts, Flags | Counts]
Fraction = Callable[[Flags, Flags], Sides]
Fractions = Callable[[Judged], list[Sides]]  # whose mean is the metric


def confusion_matrix(labels: Labels, probabilities: Probabilities, positive: int, threshold: float = 0.5) -> Counts:
    """Counts (K, K): row = true class, column = predicted class."""
    return checked(labels, probabilities, positive, threshold).confusion


def confusion_left_out(judged: Judged, cases: Counts) -> Reals:
    """The counts (C, K, K) without each case."""
    classes, count = judged.classes, int(cases.max()) + 1
    cells = (cases * classes + judged.labels) * classes + judged.predicted
    of_cases = np.bincount(cells, minlength=count * classes**2).reshape(count, classes, classes)
    return (judged.confusion - of_cases).astype(np.float64)


def _share(sides: Sides) -> float | None:
    part, whole = sides
    return int(part.sum()) / int(whole.sum()) if whole.any() else None


def _mean_share(fractions: Fractions, judged: Judged) -> float | None:
    return macro([_share(sides) for sides in fractions(judged)])


def _share_limits(fractions: Fractions, question: Question, value: float) -> Limits:
    """Of one fraction Wilson's limits, of the images that count in it; of the mean of several, from influences."""
    found = fractions(question.judged)
    if len(found) > 1:
        return macro_limits(question, value, [ratio_influences(*sides) for sides in found])
    ((part, whole),) = found
    share = proportions.proportion(part > 0, whole > 0, question.units)
    assert share is not None, "a share that has a value has members"
    return share.limits


def ratio_influences(part: Flags | Counts, whole: Flags | Counts) -> Reals:
    """How much each image sways (see limits.py) sum(part) / sum(whole), each (N,)."""
    total = whole.sum()
    influences: Reals = (part - part.sum() / total * whole) / total
    return influences


def _share_left_out(fractions: Fractions, judged: Judged, cases: Counts) -> Reals | None:
    found = fractions(judged)
    return ratio_left_out(*found[0], cases) if len(found) == 1 else None


def _shares(fractions: Fractions, label: str, meaning: str, **more: Any) -> Metric:
    return Metric(
        label,
        meaning,
        *(0, 1, 1),
        value=partial(_mean_share, fractions),
        left_out=partial(_share_left_out, fractions),
        **{"limits": partial(_share_limits, fractions), **more},
    )


ACCURACY = _shares(
    lambda judged: [(judged.predicted == judged.labels, np.ones(len(judged.labels), dtype=bool))],
    "accuracy",
    "share of images whose predicted class is the true one",
    share_of="cases",
)


def _mean_sensitivity(counts: Counts | Reals) -> Any:
    """Of counts (..., K, K) -> (...); NaN where a class has no image."""
    with np.errstate(invalid="ignore"):
        return (np.diagonal(counts, axis1=-2, axis2=-1) / counts.sum(axis=-1)).mean(axis=-1)


def _balanced_accuracy(judged: Judged) -> float | None:
    return float(_mean_sensitivity(judged.confusion)) if judged.confusion.sum(axis=1).all() else None


def _balanced_accuracy_limits(question: Question, value: float) -> Limits:
    judged = question.judged
    right = judged.predicted == judged.labels
    shares = [proportions.proportion(right, judged.labels == k, question.units) for k in range(judged.classes)]
    return proportions.mean_of_shares([share for share in shares if share], question.units)


BALANCED_ACCURACY = Metric(
    "balanced accuracy",
    "mean over the classes of the share of a class's images that are predicted right",
    *(0, 1, 1),
    value=_balanced_accuracy,
    limits=_balanced_accuracy_limits,
    left_out=lambda judged, cases: _mean_sensitivity(confusion_left_out(judged, cases)),
    needs="images of every class",
)


def _against_rest(fraction: Fraction, judged: Judged) -> list[Sides]:
    return [fraction(judged.labels == k, judged.predicted == k) for k in judged.against_rest]


def _rate(fraction: Fraction, label: str, meaning: str, **more: Any) -> Metric:
    return _shares(
        partial(_against_rest, fraction),
        label,
        f"{meaning}{MACRO}",
        of_class=lambda judged, k: _share(fraction(judged.labels == k, judged.predicted == k)),
        **more,
    )


SENSITIVITY = _rate(
    lambda truth, called: (truth & called, truth),
    "sensitivity",
    "share of the positive images that are predicted positive",
    needs="positive images",
    share_of="positives",
)
SPECIFICITY = _rate(
    lambda truth, called: (~truth & ~called, ~truth),
    "specificity",
    "share of the negative images that are predicted negative",
    needs="negative images",
    share_of="negatives",
)
PPV = _rate(
    lambda truth, called: (truth & called, called),
    "PPV",
    "share of the images predicted positive that are positive (precision)",
    needs="images predicted positive",
    spelled_out="positive predictive value",
)
NPV = _rate(
    lambda truth, called: (~truth & ~called, ~called),
    "NPV",
    "share of the images predicted negative that are negative",
    needs="images predicted negative",
    spelled_out="negative predictive value",
)


def _dice(truth: Flags, called: Flags) -> Sides:
    return 2 * (truth & called), 1 * truth + called


def _f1_limits(question: Question, value: float) -> Limits:
    """F1 = 2J / (1 + J) with J, Jaccard's index, the share of hits among images that are positive or called so."""
    limits = _share_limits(partial(_against_rest, _dice), question, value)
    if question.judged.classes > 2:
        return limits
    return limits.through(lambda j: 2 * j / (1 + j), f"{limits.method} of Jaccard's index")


F1 = _rate(
    _dice,
    "F1",
    "harmonic mean of sensitivity and PPV",
    limits=_f1_limits,
    needs="images that are positive or predicted so",
    spelled_out="F1 score",
)
