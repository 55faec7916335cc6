"""Limits of intervals on the logit scale, from influences.

An influence is how much an image sways a metric: the change of the metric per change of the image's weight, at equal
weights. Influences (N,) sum to 0, and the sum of their squares estimates the variance of any smooth metric (the
infinitesimal jackknife: Jaeckel 1972, Efron 1982), for groups the sum of squares of the groups' sums.
"""

import numpy as np

from diascope.core.statistics import wilson
from diascope.metrics.arrays import Reals
from diascope.metrics.metric import Question
from diascope.metrics.proportions import clustered_variance
from diascope.metrics.units import Limits, student


def macro_limits(question: Question, value: float, influences: list[Reals]) -> Limits:
    """Of a mean over classes, or of the positive class alone, between 0 and 1, from the classes' influences.

    For average precision the logit scale is that of Boyd et al. (2013). The spread is known no better than from the
    rarest class's units: Student's t has their degrees of freedom. Where the metric is perfect its influences vanish:
    then it counts as a share of those units.
    """
    judged, units = question.judged, question.units
    rarest = min(units.count(judged.labels == k) for k in judged.against_rest)
    of_units = units.sums(np.mean(influences, axis=0))[:, 0]
    n, method = len(of_units), "infinitesimal jackknife, logit"
    if rarest < 2:
        return Limits(None, None, n, method)
    error = clustered_variance(of_units) ** 0.5
    return logit_limits(value, error, student(units.level, rarest), rarest, n, method)


def logit_limits(value: float, error: float, critical: float, rarest: int, n: int, method: str) -> Limits:
    """The limits at value and standard error; Wilson's at so many units where they leave no spread."""
    if value in (0, 1) or error <= 1e-12:
        low, high = wilson(value, rarest, critical)
        return Limits(low, high, n, f"Wilson, {rarest} units, as there is no spread")
    middle, half = np.log(value / (1 - value)), critical * error / (value * (1 - value))
    low, high = 1 / (1 + np.exp(-np.clip([middle - half, middle + half], -700, 700)))
    return Limits(float(low), float(high), n, method)
