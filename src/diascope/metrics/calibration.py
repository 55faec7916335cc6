"""Metrics of calibration: slope and intercept of logistic recalibration, and the calibration error."""

from dataclasses import dataclass

import numpy as np

from diascope.metrics.arrays import Flags, Judged, Labels, Probabilities, Reals, checked
from diascope.metrics.metric import Metric, Question
from diascope.metrics.recalibration import left_out, predicted_logits, recalibration, shift
from diascope.metrics.units import Limits, student

IMAGES_A_BIN = 20
MOST_BINS = 15
CELLS_AT_ONCE = 4_000_000  # of a table of draws by images: 32 MB in float64


@dataclass(frozen=True)
class CalibrationError:
    """The expected calibration error beside what it would be if the probabilities were the truth."""

    value: float
    mean: float  # of the error of labels that are drawn anew from the probabilities
    high: float  # their 95th percentile: a value above it speaks against perfect calibration
    bins: int
    n: int


def _slope(judged: Judged) -> float | None:
    """b of logit P(y = 1) = a + b logit(p), by maximum likelihood (Cox 1958).

    None for more than two classes and where no finite b is the most likely one: if the images of the two classes do not
    overlap (Albert and Anderson 1984), or all have one probability.
    """
    if judged.classes != 2:
        return None
    fit = recalibration(predicted_logits(judged), judged.labels == judged.positive)
    return None if fit is None else float(fit[1])


def _slope_limits(question: Question, value: float) -> Limits:
    fit = recalibration(predicted_logits(question.judged), question.judged.labels == question.judged.positive)
    assert fit is not None, "a slope that has a value was fitted"
    return _coefficient_limits(question, value, fit)


def _intercept(judged: Judged) -> float | None:
    """a of logit P(y = 1) = a + logit(p), the slope fixed at 1: calibration in the large; None of one class only.

    It is not the intercept beside a fitted slope, whose meaning depends on that slope.
    """
    if judged.classes != 2:
        return None
    return shift(predicted_logits(judged), judged.labels == judged.positive)


def _intercept_limits(question: Question, value: float) -> Limits:
    return _coefficient_limits(question, value, np.array([value]))


def _coefficient_limits(question: Question, value: float, fit: Reals) -> Limits:
    """Of the last coefficient of a fit, from its changes as each unit in turn is left out; None where one cannot be.

    The spread is known no better than from the rarest class's units: Student's t has their degrees of freedom.
    """
    judged, units = question.judged, question.units
    changes = left_out(predicted_logits(judged), judged.labels == judged.positive, fit, units)
    n, method = units.count(question.everyone), "jackknife, one step"
    if changes is None or question.rarest < 2:
        return Limits(None, None, n, method)
    centred = changes[:, -1] - changes[:, -1].mean()
    half = student(units.level, question.rarest) * float(centred @ centred * (n - 1) / n) ** 0.5
    return Limits(value - half, value + half, n, method)


CALIBRATION_SLOPE = Metric(
    "calibration slope",
    "slope of the truth's logit on the predicted one; below 1 the probabilities are too extreme; two classes only",
    *(None, None, 1),
    value=_slope,
    limits=_slope_limits,
    needs="two classes whose probabilities overlap",
)
CALIBRATION_INTERCEPT = Metric(
    "calibration intercept",
    "calibration in the large: the shift of the predicted logits that makes their mean probability right; "
    "two classes only",
    *(None, None, 0),
    value=_intercept,
    limits=_intercept_limits,
    needs="images of both classes",
)


def _expected_calibration_error(judged: Judged) -> float | None:
    """Mean over images of the distance, in the image's bin, of mean confidence and share of truth (Naeini et al. 2015).

    Of two classes confidence is the positive class's probability and truth whether the image is positive; of more,
    confidence is the largest probability and truth whether its class is right. The images in order of confidence are
    cut into min(15, N // 20), at least one, bins of equally many (as Nguyen and O'Connor 2015 do).
    """
    if len(judged.labels) == 0:
        return None
    confidence, truth = _sorted_confidence(judged)
    return float(_binned_distance(confidence, truth[None].astype(np.float64))[0])


# Every resampled calibration error is biased upwards; `calibration_error` says how to read it.
ECE = Metric(
    "calibration error",
    "expected calibration error: mean distance of confidence and truth over bins of equally many images",
    *(0, 1, 0),
    value=_expected_calibration_error,
    limits="none, see calibration_error",
)


def calibration_error(
    labels: Labels, probabilities: Probabilities, positive: int, *, draws: int = 2000, seed: int = 0
) -> CalibrationError | None:
    """The calibration error, and what it is by chance when the probabilities are right (Vaicenavicius et al. 2019).

    Even perfect probabilities have an error above 0, and the more so the fewer images; so the error is to be read
    beside `mean` and `high`, for which labels are drawn from the probabilities `draws` times. None without images.
    """
    judged = checked(labels, probabilities, positive)
    if len(labels) == 0:
        return None
    confidence, truth = _sorted_confidence(judged)
    random = np.random.default_rng(seed)
    rows = max(1, CELLS_AT_ONCE // len(labels))
    by_chance = np.concatenate([
        _binned_distance(confidence, (random.random((min(rows, draws - first), len(labels))) < confidence) * 1.0)
        for first in range(0, draws, rows)
    ])  # fmt: skip
    return CalibrationError(
        value=float(_binned_distance(confidence, truth[None] * 1.0)[0]),
        mean=float(by_chance.mean()),
        high=float(np.quantile(by_chance, 0.95)),
        bins=_bins(len(labels)),
        n=len(labels),
    )


def _sorted_confidence(judged: Judged) -> tuple[Reals, Flags]:
    """Confidence and truth (N,), in order of confidence."""
    if judged.classes == 2:
        confidence, truth = judged.probabilities[:, judged.positive], judged.labels == judged.positive
    else:
        confidence, truth = judged.probabilities.max(axis=1), judged.predicted == judged.labels
    order = np.argsort(confidence, kind="stable")
    return confidence[order].astype(np.float64), truth[order]


def _binned_distance(confidence: Reals, truth: Reals) -> Reals:
    """Confidence (N,) in order, truth (D, N) -> errors (D,)."""
    images = len(confidence)
    first_of_ties = np.flatnonzero(np.r_[True, np.diff(confidence) > 0])
    in_tie = np.diff(np.r_[first_of_ties, images])
    # Images of one confidence share their mean truth, or the order of the rows would decide which bin gets which.
    truth = np.repeat(np.add.reduceat(truth, first_of_ties, axis=1) / in_tie, in_tie, axis=1)
    starts = np.arange(_bins(images)) * images // _bins(images)
    distances: Reals = np.abs(np.add.reduceat(truth - confidence, starts, axis=1)).sum(axis=1) / images
    return distances


def _bins(images: int) -> int:
    return max(1, min(MOST_BINS, images // IMAGES_A_BIN))
