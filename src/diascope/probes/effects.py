"""Effects with intervals and p-values where groups, not images, are independent.

`p` is one-sided: how probable so large an effect, or a larger one, would be under the null.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.compare.estimate import Estimate
from diascope.core.statistics import wilson
from diascope.metrics.proportions import clustered_variance
from diascope.metrics.units import Units, student

LEVEL = 0.95
SMALLEST_P = 1e-12

Floats = NDArray[np.float64]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Effect:
    """`n` counts the groups (or images) behind it."""

    value: float
    low: float
    high: float
    p: float
    n: int


def mean_effect(values: NDArray[Any], units: NDArray[np.int64], null: float = 0.0) -> Effect | None:
    """The mean of values (N,) over images of units (N,), against `null`; None of fewer than two units."""
    numbers = np.unique(units, return_inverse=True)[1]
    count, mean = int(numbers.max(initial=-1)) + 1, float(np.mean(values)) if len(values) else 0.0
    if count < 2:
        return None
    residuals = Units(len(values), numbers).sums((values - mean) / len(values))[:, 0]
    return estimated(mean, [(clustered_variance(residuals), count)], null)


def two_way_effect(
    statistic: Callable[[Flags, Flags], float],
    rows: NDArray[np.int64],
    columns: NDArray[np.int64],
    *,
    given_columns: bool = False,
) -> Effect | None:
    """A statistic of a table whose rows and columns are images of units (R,) and (C,), by leaving out each unit once.

    `statistic` gets which rows and which columns to keep. The variances over rows and over columns are added up, which
    counts a little too much (Owen 2007); with `given_columns` only rows vary. None where leaving one out undoes the
    statistic.
    """
    all_rows, all_columns = np.ones(len(rows), dtype=bool), np.ones(len(columns), dtype=bool)
    without_rows = [statistic(rows != unit, all_columns) for unit in np.unique(rows)]
    varied = [without_rows]
    if not given_columns:
        varied.append([statistic(all_rows, columns != unit) for unit in np.unique(columns)])
    if min(map(len, varied)) < 2 or not np.isfinite([value for left in varied for value in left]).all():
        return None
    variances = [(jackknife_variance(np.array(left)), len(left)) for left in varied]
    return estimated(statistic(all_rows, all_columns), variances)


def jackknife_variance(left: Floats) -> float:
    """The variance of a statistic, from its values (n,) without each unit (Tukey 1958)."""
    return float((len(left) - 1) * np.var(left))


def estimated(value: float, variances: list[tuple[float, int]], null: float = 0.0) -> Effect:
    """An effect whose variance has parts, each with the number of units that it was estimated from."""
    total, n = sum(variance for variance, _ in variances), min(count for _, count in variances)
    if total < 1e-16:
        return _all_alike(value, n, null)
    estimate = Estimate(value, total, tuple((variance / total, count - 1.0) for variance, count in variances))
    low, high = estimate.interval(1 - LEVEL)
    two_sided = estimate.p_value(null)
    p = two_sided / 2 if value > null else 1 - two_sided / 2
    return Effect(value, low, high, max(p, SMALLEST_P), n)


def class_weights(labels: NDArray[np.int64]) -> Floats:
    """Weights (N,) of mean 1 with which every class that occurs counts as much as any other."""
    counts = np.bincount(labels)
    found: Floats = len(labels) / (counts[labels] * np.count_nonzero(counts))
    return found


def _all_alike(value: float, n: int, null: float) -> Effect:
    """All units agree, and show no spread: as for a share of which all units are hits (Wilson), or half of none."""
    low = wilson(1.0, n, student(LEVEL, n))[0]
    reach = 1 - low
    p = max(SMALLEST_P, 0.5**n) if value > null else 1.0
    return Effect(value, max(min(-1.0, value), value - reach), min(max(1.0, value), value + reach), p, n)
