"""Metrics of the probabilities themselves, means of one value an image: loss and Brier score."""

from collections.abc import Callable
from functools import partial
from math import isclose

import numpy as np

from diascope.metrics.arrays import Counts, Judged, Labels, Probabilities, Reals
from diascope.metrics.bootstrap import mean_limits
from diascope.metrics.metric import Metric, Question, ratio_left_out
from diascope.metrics.units import Limits

SMALLEST = float(np.finfo(np.float64).tiny)  # a probability that was rounded to 0 counts as this: a loss of 708 nats
OfImages = Callable[[Judged], Reals]  # (N,)


def loss(labels: Labels, probabilities: Probabilities) -> float | None:
    """Mean cross-entropy in nats, as the learning curves have it; None without images."""
    return LOSS.value(Judged(labels, np.asarray(probabilities), positive=1, threshold=0.5))


def _mean(of_images: OfImages, judged: Judged) -> float | None:
    return float(of_images(judged).mean()) if len(judged.labels) else None


def _mean_limits(of_images: OfImages, question: Question, value: float) -> Limits:
    return mean_limits(of_images(question.judged), question.units, draws=question.draws, seed=question.seed)


def _mean_left_out(of_images: OfImages, judged: Judged, cases: Counts) -> Reals:
    return ratio_left_out(of_images(judged), np.ones(len(cases)), cases)


def _nats(judged: Judged) -> Reals:
    """The cross-entropy of each image (N,), in nats."""
    of_truth = np.asarray(judged.probabilities, dtype=np.float64)[np.arange(len(judged.labels)), judged.labels]
    nats: Reals = -np.log(np.maximum(of_truth, SMALLEST))
    return nats


LOSS = Metric(
    "loss",
    "mean negative logarithm of the probability given to the true class (cross-entropy, natural logarithm)",
    *(0, None, 0),
    value=partial(_mean, _nats),
    limits=partial(_mean_limits, _nats),
    left_out=partial(_mean_left_out, _nats),
)


def _squared_distances(judged: Judged) -> Reals:
    """(N,): (p - y)^2 of two classes; of more, summed over the classes (Brier 1950), which counts twice as much."""
    if judged.classes > 2:
        return _of_all_columns(judged)
    probabilities = judged.probabilities.astype(np.float64)
    distances: Reals = (probabilities[:, judged.positive] - (judged.labels == judged.positive)) ** 2
    return distances


def _of_all_columns(judged: Judged) -> Reals:
    distances = (judged.probabilities.astype(np.float64) - np.eye(judged.classes)[judged.labels]) ** 2
    return np.asarray(distances.sum(axis=1))


def _brier_left_out(judged: Judged, cases: Counts) -> Reals | None:
    """Of two classes from both columns; None where their mean is another, as where rows do not add up to 1."""
    both = _of_all_columns(judged) / (2 if judged.classes == 2 else 1)
    if not isclose(both.mean(), _squared_distances(judged).mean(), rel_tol=1e-9, abs_tol=1e-12):
        return None
    return ratio_left_out(both, np.ones(len(cases)), cases)


BRIER = Metric(
    "Brier score",
    "mean squared distance of the positive class's probability to 0 or 1, the truth; for more than two classes the "
    "squared distances are summed over classes",
    *(0, None, 0),
    value=partial(_mean, _squared_distances),
    limits=partial(_mean_limits, _squared_distances),
    left_out=_brier_left_out,
)
