"""The studentized bootstrap of a mean over images, resampling units (Efron 1979; Hall 1988)."""

import numpy as np

from diascope.metrics.arrays import Reals
from diascope.metrics.units import Limits, Units

CELLS_AT_ONCE = 4_000_000  # of the table of draws by units: 32 MB each as counts and as float64


def mean_limits(values: Reals, units: Units, *, draws: int, seed: int) -> Limits:
    """Limits of the mean of values (N,); None where fewer than two units, or units that all agree, leave no spread."""
    method = "studentized bootstrap"
    sums = units.sums(values, np.ones(len(values)))
    # In an order of their own, so that neither the rows' order nor the groups' names decide which unit is drawn.
    sums = sums[np.lexsort(sums.T)]
    n, mean = len(sums), float(values.mean())
    error = _errors(np.ones((1, n)), sums)[1][0] if n > 1 else 0.0
    if not error > 1e-12 * max(1.0, abs(mean)):
        return Limits(None, None, n, method)
    pivots = _pivots(sums, mean, draws, seed)
    low, high = np.quantile(pivots, [(1 - units.level) / 2, (1 + units.level) / 2])
    return Limits(float(mean - high * error), float(mean - low * error), n, method)


def _pivots(sums: Reals, mean: float, draws: int, seed: int) -> Reals:
    """Distances of the draws' means to the mean, in each draw's own standard error; draws without spread left out."""
    random = np.random.default_rng(seed)
    n, rows, pivots = len(sums), max(1, CELLS_AT_ONCE // len(sums)), []
    for first in range(0, draws, rows):
        weights = random.multinomial(n, np.full(n, 1 / n), size=min(rows, draws - first)).astype(np.float64)
        means, errors = _errors(weights, sums)
        usable = errors > 1e-12 * max(1.0, abs(mean))
        pivots.append((means[usable] - mean) / errors[usable])
    return np.concatenate(pivots)


def _errors(weights: Reals, sums: Reals) -> tuple[Reals, Reals]:
    """Weights (D, units), sums of values and of images (units, 2) -> means and their standard errors (D,)."""
    total, images = sums.T
    moments = weights @ np.column_stack([total, images, total**2, total * images, images**2])
    means = moments[:, 0] / moments[:, 1]
    squares = moments[:, 2] - 2 * means * moments[:, 3] + means**2 * moments[:, 4]
    n = len(sums)
    return means, np.sqrt(np.maximum(0, squares) * n / (n - 1)) / moments[:, 1]
