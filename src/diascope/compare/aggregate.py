"""From the runs of one arm to the arm: mean and spread of scores, mean learning curve, mean ROC curve."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diascope.metrics import METRICS, RocCurve, Scores

if TYPE_CHECKING:
    from pandas import DataFrame

DDOF = 1
ROC_GRID = np.linspace(0, 1, 101)


@dataclass(frozen=True)
class Aggregate:
    """One score over runs. `n` counts the runs in which it is defined; sd (n - 1 in the denominator) needs two."""

    mean: float | None
    sd: float | None
    n: int


@dataclass(frozen=True)
class MeanCurve:
    """One column of the history over runs, arrays (E,): at each epoch, over the `n` runs that have a value there."""

    mean: NDArray[np.float64]
    sd: NDArray[np.float64]  # NaN where n is 1
    n: NDArray[np.int64]


def aggregate(values: Sequence[float | None]) -> Aggregate:
    """Mean, standard deviation and number of the values that are defined."""
    defined = np.array([value for value in values if value is not None], dtype=np.float64)
    mean = float(defined.mean()) if len(defined) else None
    return Aggregate(mean, float(defined.std(ddof=DDOF)) if len(defined) > 1 else None, len(defined))


def aggregate_scores(scores: Sequence[Scores]) -> dict[str, Aggregate]:
    """Every metric over the runs."""
    return {metric: aggregate([of_run[metric] for of_run in scores]) for metric in METRICS}


def mean_curve(histories: Sequence["DataFrame"], column: str) -> MeanCurve:
    """Mean and SD over runs of one column of their histories, epoch by epoch."""
    longest = max((len(history) for history in histories), default=0)
    values = np.zeros((len(histories), longest))
    reached = np.zeros((len(histories), longest), dtype=bool)
    for number, history in enumerate(histories):
        values[number, : len(history)] = history[column]
        reached[number, : len(history)] = np.isfinite(history[column])
    count = reached.sum(axis=0)
    values = np.where(reached, values, 0)
    mean = values.sum(axis=0) / np.where(count, count, np.nan)
    squares = np.where(reached, (values - mean) ** 2, 0).sum(axis=0)
    sd = np.sqrt(squares / np.where(count > DDOF, count - DDOF, np.nan))
    return MeanCurve(mean, sd, count)


def mean_roc(curves: Sequence[RocCurve]) -> RocCurve | None:
    """The mean of several ROC curves at equal false positive rates (vertical averaging, Fawcett 2006); None of none.

    Pooling the images of several runs instead would compare probabilities across networks whose scales differ.
    """
    if not curves:
        return None
    rates = [np.interp(ROC_GRID, curve.false_positive_rate, curve.true_positive_rate) for curve in curves]
    return RocCurve(np.r_[0.0, ROC_GRID], np.r_[0.0, np.mean(rates, axis=0)])
