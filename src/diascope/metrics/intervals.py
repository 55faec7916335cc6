"""Confidence intervals of metrics, each by the method that covers in benchmarks/coverage.py; see docs/metrics.md."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import Literal

import numpy as np

import diascope.metrics.bootstrap as bootstrap
import diascope.metrics.calibration as calibration
import diascope.metrics.influence as influence
import diascope.metrics.proportions as proportions
import diascope.metrics.recalibration as recalibration
from diascope.metrics.arrays import Flags, Groups, Judged, Labels, Probabilities, Reals, checked, group_numbers
from diascope.metrics.delong import area_limits
from diascope.metrics.limits import coefficient_limits, correlation_limits, share_limits
from diascope.metrics.registry import METRICS
from diascope.metrics.scoring import COMPUTED, RATES
from diascope.metrics.units import Limits, Units


@dataclass(frozen=True)
class Interval:
    """A metric's value and the limits of its interval, None where undefined; `n` counts the images or groups behind
    it: for a sensitivity, those with positive images."""

    value: float | None
    low: float | None
    high: float | None
    method: str
    n: int
    unit: Literal["images", "groups"]


@dataclass(frozen=True)
class Question:
    """What an interval is computed from."""

    judged: Judged
    units: Units
    draws: int
    seed: int

    @property
    def everyone(self) -> Flags:
        return np.ones(len(self.judged.labels), dtype=bool)

    @property
    def rarest(self) -> int:
        """Units with an image of the class that has fewest."""
        return min(self.units.count(self.judged.labels == k) for k in range(self.judged.classes))


def intervals(
    labels: Labels,
    probabilities: Probabilities,
    positive: int,
    *,
    groups: Groups | None = None,
    threshold: float = 0.5,
    names: Iterable[str] | None = None,
    level: float = 0.95,
    draws: int = 2000,
    seed: int = 0,
) -> dict[str, Interval]:
    """The named metrics (all of METRICS) with their intervals. With groups (N,), a patient's name for each image say,
    the intervals count groups: images of one group are not independent. The bootstrap draws `draws` times from `seed`.

    ValueError for arrays that do not fit one another, a level outside 0 to 1, or a name that is not in METRICS.
    """
    judged = checked(labels, probabilities, positive, threshold)
    if not 0 < level < 1:
        raise ValueError(f"level {level} does not lie between 0 and 1")
    wanted = list(METRICS if names is None else names)
    if unknown := [name for name in wanted if name not in METRICS]:
        raise ValueError(f"no metric is called {', '.join(unknown)}; there are {', '.join(METRICS)}")
    numbers = None if groups is None else group_numbers(groups, len(judged.labels))
    question = Question(judged, Units(len(judged.labels), numbers, level), draws, seed)
    return {name: _interval(name, question) for name in wanted}


def _interval(name: str, question: Question) -> Interval:
    value = COMPUTED[name](question.judged)
    limits = Limits(None, None, question.units.count(question.everyone), "none")
    if value is not None:
        limits = LIMITS[name](question, name, value)
    unit: Literal["images", "groups"] = "images" if question.units.groups is None else "groups"
    return Interval(value, limits.low, limits.high, limits.method, limits.n, unit)


def shares_of_two(judged: Judged, name: str, class_number: int) -> tuple[Flags, Flags]:
    """What a share counts, one class against the rest: hits (N,) among members (N,). F1's is Jaccard's index."""
    truth, called = judged.labels == class_number, judged.predicted == class_number
    return {
        "sensitivity": (called, truth),
        "specificity": (~called, ~truth),
        "ppv": (truth, called),
        "npv": (~truth, ~called),
        "f1": (truth & called, truth | called),
    }[name]


def _accuracy(question: Question, name: str, value: float) -> Limits:
    share = proportions.proportion(
        question.judged.predicted == question.judged.labels, question.everyone, question.units
    )
    return share.limits if share else Limits(None, None, 0, "none")


def _rate(question: Question, name: str, value: float) -> Limits:
    """Wilson's limits for two classes; for the mean rate of more, from influences."""
    judged = question.judged
    if judged.classes > 2:
        return _macro(question, value, [_rate_influence(judged, name, k) for k in judged.against_rest])
    share = proportions.proportion(*shares_of_two(judged, name, judged.positive), question.units)
    if share is None:
        return Limits(None, None, 0, "none")
    if name != "f1":
        return share.limits
    # F1 = 2J / (1 + J) with J the share of hits among images that are positive or called so.
    return share.limits.through(lambda j: 2 * j / (1 + j), f"{share.limits.method} of Jaccard's index")


def _rate_influence(judged: Judged, name: str, class_number: int) -> Reals:
    hits, members = shares_of_two(judged, name, class_number)
    if name == "f1":
        return influence.of_ratio(2.0 * hits, 1.0 * hits + members)
    return influence.of_ratio(1.0 * (hits & members), 1.0 * members)


def _balanced_accuracy(question: Question, name: str, value: float) -> Limits:
    judged = question.judged
    right = judged.predicted == judged.labels
    shares = [proportions.proportion(right, judged.labels == k, question.units) for k in range(judged.classes)]
    return proportions.mean_of_shares([share for share in shares if share], question.units)


def _matthews(question: Question, name: str, value: float) -> Limits:
    return correlation_limits(question.judged, question.units)


def _auroc(question: Question, name: str, value: float) -> Limits:
    judged = question.judged
    if judged.classes > 2:
        areas = [influence.of_area(judged.labels == k, judged.probabilities[:, k]) for k in judged.against_rest]
        return _macro(question, value, areas)
    return area_limits(judged.labels == judged.positive, judged.probabilities[:, judged.positive], question.units)


def _auprc(question: Question, name: str, value: float) -> Limits:
    judged = question.judged
    parts = [
        influence.of_average_precision(judged.labels == k, judged.probabilities[:, k]) for k in judged.against_rest
    ]
    return _macro(question, value, parts)


def _macro(question: Question, value: float, parts: list[Reals]) -> Limits:
    """Limits on the logit scale of a mean over classes, or of the positive class alone, from its parts' influences."""
    judged = question.judged
    rarest = min(question.units.count(judged.labels == k) for k in judged.against_rest)
    return share_limits(value, np.mean(parts, axis=0), question.units, rarest)


def _mean(values: Callable[[Judged], Reals]) -> Callable[[Question, str, float], Limits]:
    def limits(question: Question, name: str, value: float) -> Limits:
        return bootstrap.mean_limits(values(question.judged), question.units, draws=question.draws, seed=question.seed)

    return limits


def _slope(question: Question, name: str, value: float) -> Limits:
    logits, truth = recalibration.predicted_logits(question.judged), question.judged.labels == question.judged.positive
    fit = recalibration.recalibration(logits, truth)
    assert fit is not None, "a slope that has a value was fitted"
    changes = recalibration.left_out(logits, truth, fit, question.units)
    return coefficient_limits(value, None if changes is None else changes[:, 1], question.units, question.rarest)


def _intercept(question: Question, name: str, value: float) -> Limits:
    logits, truth = recalibration.predicted_logits(question.judged), question.judged.labels == question.judged.positive
    changes = recalibration.left_out(logits, truth, np.array([value]), question.units)
    return coefficient_limits(value, None if changes is None else changes[:, 0], question.units, question.rarest)


def _none(question: Question, name: str, value: float) -> Limits:
    """No interval: every resampled calibration error is biased upwards; `calibration_error` says how to read it."""
    return Limits(None, None, question.units.count(question.everyone), "none, see calibration_error")


LIMITS: dict[str, Callable[[Question, str, float], Limits]] = {
    "accuracy": _accuracy,
    "balanced_accuracy": _balanced_accuracy,
    **dict.fromkeys(RATES, _rate),
    "mcc": _matthews,
    "auroc": _auroc,
    "auprc": _auprc,
    "brier": _mean(calibration.squared_distances),
    "loss": _mean(lambda judged: calibration.losses(judged.labels, judged.probabilities)),
    "calibration_slope": _slope,
    "calibration_intercept": _intercept,
    "ece": _none,
}
