"""The studentized bootstrap of a mean over images, resampling units (Efron 1979; Hall 1988)."""

import numpy as np

from diascope.metrics.arrays import Reals
from diascope.metrics.units import Limits, Units

FEWEST = 10  # units; of fewer there are too few different draws
CELLS_AT_ONCE = 2_000_000  # of the table of draws by units: four copies of 16 MB


def mean_limits(values: Reals, units: Units, *, draws: int, seed: int) -> Limits:
    """Limits of the mean of values (N,), none negative; None for fewer than ten units, or units that all agree."""
    method = "studentized bootstrap"
    sums = units.sums(values, np.ones(len(values)))
    # In an order of their own, so that neither the rows' order nor the groups' names decide which unit is drawn.
    sums = sums[np.lexsort(sums.T)]
    n, mean = len(sums), float(values.mean())
    error = _errors(np.ones((1, n)), sums)[1][0] if n > 1 else 0.0
    if n < FEWEST or not error > 1e-12 * max(1.0, abs(mean)):
        return Limits(None, None, n, method)
    pivots = _pivots(sums, mean, draws, seed)
    low, high = np.quantile(pivots, [(1 - units.level) / 2, (1 + units.level) / 2])
    return Limits(max(0.0, float(mean - high * error)), float(mean - low * error), n, method)


def _pivots(sums: Reals, mean: float, draws: int, seed: int) -> Reals:
    """Distances of the draws' means to the mean, in each draw's own standard error; draws without spread left out."""
    random = np.random.default_rng(seed)
    n, rows, pivots = len(sums), max(1, CELLS_AT_ONCE // len(sums)), []
    for first in range(0, draws, rows):
        means, errors = _errors(_weights(random, min(rows, draws - first), n), sums)
        usable = errors > 1e-12 * max(1.0, abs(mean))
        pivots.append((means[usable] - mean) / errors[usable])
    return np.concatenate(pivots)


def _weights(random: np.random.Generator, draws: int, n: int) -> Reals:
    """How often each unit is drawn (draws, n), n times with replacement."""
    cells = random.integers(n, size=(draws, n)) + n * np.arange(draws)[:, None]  # several times faster than multinomial
    return np.bincount(cells.ravel(), minlength=draws * n).reshape(draws, n).astype(np.float64)


def _errors(weights: Reals, sums: Reals) -> tuple[Reals, Reals]:
    """Weights (D, units), sums of values and of images (units, 2) -> means and their standard errors (D,)."""
    total, images = sums.T
    moments = weights @ np.column_stack([total, images, total**2, total * images, images**2])
    means = moments[:, 0] / moments[:, 1]
    squares = moments[:, 2] - 2 * means * moments[:, 3] + means**2 * moments[:, 4]
    n = len(sums)
    return means, np.sqrt(np.maximum(0, squares) * n / (n - 1)) / moments[:, 1]
