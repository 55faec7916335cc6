"""Confidence intervals of metrics, each by the method that covers in benchmarks/coverage.py; see docs/metrics.md."""

from collections.abc import Iterable
from dataclasses import dataclass, replace
from typing import Literal

from diascope.metrics.arrays import Groups, Labels, Probabilities, checked, group_numbers
from diascope.metrics.metric import Metric, Question
from diascope.metrics.registry import REGISTRY
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
    """The named metrics (all of REGISTRY) with their intervals. With groups (N,), a patient's name for each image say,
    the intervals count groups: images of one group are not independent. The bootstrap draws `draws` times from `seed`.

    ValueError for arrays that do not fit one another, a level outside 0 to 1, or a name that is not in REGISTRY.
    """
    judged = checked(labels, probabilities, positive, threshold)
    if not 0 < level < 1:
        raise ValueError(f"level {level} does not lie between 0 and 1")
    wanted = list(REGISTRY if names is None else names)
    if unknown := [name for name in wanted if name not in REGISTRY]:
        raise ValueError(f"no metric is called {', '.join(unknown)}; there are {', '.join(REGISTRY)}")
    numbers = None if groups is None else group_numbers(groups, len(judged.labels))
    question = Question(judged, Units(len(judged.labels), numbers, level), draws, seed)
    return {name: _interval(REGISTRY[name], question) for name in wanted}


def _interval(metric: Metric, question: Question) -> Interval:
    value = metric.value(question.judged)
    limits = Limits(None, None, question.units.count(question.everyone), "none")
    if value is not None:
        limits = metric.limits(question, value) if callable(metric.limits) else replace(limits, method=metric.limits)
    unit: Literal["images", "groups"] = "images" if question.units.groups is None else "groups"
    return Interval(value, limits.low, limits.high, limits.method, limits.n, unit)
