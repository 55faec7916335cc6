"""The corrected resampled t of Nadeau and Bengio (2003), for the differences of cross-validation folds."""

from collections.abc import Sequence

import numpy as np

from diascope.compare.estimate import Estimate


def corrected_resampled(fold_differences: Sequence[float], validation_share: float) -> Estimate:
    """The mean over J folds (each the mean over its seeds), with variance (1/J + validation_share) S² and J - 1 df.

    `validation_share` is n_validation / n_training: training sets overlap, so folds are not independent. Raises
    ValueError for fewer than two folds.
    """
    values = np.asarray(fold_differences, dtype=np.float64)
    if len(values) < 2:
        raise ValueError(f"{len(values)} fold: a variance over folds needs two")
    variance = (1 / len(values) + validation_share) * float(values.var(ddof=1))
    return Estimate(float(values.mean()), variance, ((1.0, len(values) - 1),))
