"""Limits of intervals from influences, on the scale on which the metric is closest to normal."""

import numpy as np

import diascope.metrics.influence as influence
from diascope.core.statistics import wilson
from diascope.metrics.arrays import Judged, Reals
from diascope.metrics.decisions import matthews
from diascope.metrics.proportions import clustered_variance
from diascope.metrics.units import Limits, Units, student


def coefficient_limits(value: float, changes: Reals | None, units: Units, rarest: int) -> Limits:
    """Of a coefficient, from its changes (units,) as each unit in turn is left out; None where one cannot be.

    The spread is known no better than from the `rarest` class's units: Student's t has their degrees of freedom.
    """
    n, method = units.count(np.ones(units.images, dtype=bool)), "jackknife, one step"
    if changes is None or rarest < 2:
        return Limits(None, None, n, method)
    centred = changes - changes.mean()
    half = student(units.level, rarest) * float(centred @ centred * (n - 1) / n) ** 0.5
    return Limits(value - half, value + half, n, method)


def share_limits(value: float, influences: Reals, units: Units, rarest: int) -> Limits:
    """Of a metric between 0 and 1, on the logit scale (for average precision: Boyd et al. 2013).

    The spread is known no better than from the `rarest` class's units, as above. Where the metric is perfect its
    influences vanish: then it counts as a share of those units.
    """
    of_units = units.sums(influences)[:, 0]
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


def correlation_limits(judged: Judged, units: Units) -> Limits:
    """Of the Matthews correlation coefficient, on Fisher's scale, a quarter of a unit added to each cell of the table.

    That keeps a spread where no image is wrong (after Haldane 1956, whose halves cover worse with few groups).
    """
    n, method = units.count(np.ones(units.images, dtype=bool)), "delta method, Fisher's z"
    if n < 2:
        return Limits(None, None, n, method)
    table = judged.confusion + 0.25 * units.images / n
    middle, gradient = matthews_of(table), influence.of_matthews(table)
    error = (float((table * gradient**2).sum()) * design_effect(judged, units)) ** 0.5
    half = units.critical(n) * error / (1 - middle**2)
    low, high = np.tanh(np.arctanh(middle) + np.array([-half, half]))
    value = matthews(judged.confusion)
    assert value is not None
    return Limits(float(min(low, value)), float(max(high, value)), n, method)


def matthews_of(table: Reals) -> float:
    """The coefficient of counts (K, K) that need not be whole."""
    true, predicted, images = table.sum(axis=1), table.sum(axis=0), table.sum()
    spread = (images**2 - predicted @ predicted) * (images**2 - true @ true)
    return float((np.trace(table) * images - true @ predicted) / np.sqrt(spread))


def design_effect(judged: Judged, units: Units) -> float:
    """By how much grouping raises the variance of the coefficient, at least 1; images a group where none is wrong."""
    if units.groups is None:
        return 1.0
    influences = influence.of_matthews(judged.confusion)[judged.labels, judged.predicted]
    alone = float(influences @ influences)
    of_units = units.sums(influences)[:, 0]
    if alone <= 1e-18:
        return units.images / len(of_units)
    return max(1.0, clustered_variance(of_units) / alone)
