"""Where a loss curve has levelled off, and where overfitting sets in. Epochs count from 1."""

import numpy as np

from diascope.compare.curves.trend import Curve, Noise, end_trend, noise_of, smooth, tail_length, window

TOLERANCE = 0.1  # of the whole fall: a curve that has made 90% of it counts as having arrived
# Standard errors; so many because the lowest stretch of a flat curve is picked from many. docs/curves.md has the rates.
SURE_FALL = 6.0
SURE_TURN = 4.0
ROUNDING = 1e-9
SHORTEST = 10  # epochs that noise is measured over at least


def falls(loss: Curve) -> bool | None:
    """Whether a loss (E,) falls by more than its noise explains, or still falls at the end; None below 21 epochs.

    With S the smoothed loss, b its lowest epoch and w the smoothing window: S_1 - S_b exceeds 6 s sqrt(v / w), where SD
    s and inflation v are of the noise until b, or of the last half if that makes less: a steep fall inflates the one,
    late overfitting the other.
    """
    trend = end_trend(loss)
    if trend is None:
        return None
    smoothed, width = smooth(loss), window(len(loss))
    bottom = int(np.argmin(smoothed))
    error = _smoothed_error(loss, bottom, width)
    return trend.high < 0 or float(smoothed[0] - smoothed[bottom]) > max(SURE_FALL * error, ROUNDING)


def convergence_epoch(loss: Curve) -> int | None:
    """The epoch from which on a loss (E,) has made 90% of its fall; None if that is not shown within the run.

    With S the smoothed loss and b its lowest epoch, the level is S_b + 0.1 (S_1 - S_b), or S_b plus two standard errors
    of S (see falls) where that is more, and the answer the first epoch with S at or below it. What happens after b is
    overfitting, not learning. None where the loss still improves at the end, or reaches the level only in the last
    fifth, so that no plateau was seen: censored; or where it never falls, so that there is nothing to converge.
    """
    tail, trend = tail_length(len(loss)), end_trend(loss)
    if tail is None or trend is None or trend.high < 0 or not falls(loss):
        return None
    smoothed = smooth(loss)
    bottom = int(np.argmin(smoothed))
    fall = float(smoothed[0] - smoothed[bottom])
    tolerance = max(TOLERANCE * fall, 2 * _smoothed_error(loss, bottom, window(len(loss))))
    epoch = int(np.flatnonzero(smoothed <= smoothed[bottom] + tolerance)[0]) + 1
    return epoch if epoch <= len(loss) - tail else None


def overfitting_epoch(training: Curve, validation: Curve) -> int | None:
    """The epoch at which validation loss turns up while evaluation-mode training loss (both (E,)) goes on falling.

    Candidate b: the lowest epoch of the smoothed validation loss. It counts if b lies before the last fifth, and the
    mean over the last fifth lies above the mean over the smoothing window around b by more than 4 standard errors for
    validation loss, and below it by as much for training loss. The standard error of the difference of two means of m
    and n epochs is s sqrt(v (1/m + 1/n)), with SD s and inflation v of the curve's noise from b (at the latest from
    the middle) on. None: it does not happen within the run, or not surely.
    """
    tail = tail_length(len(validation))
    if tail is None:
        return None
    bottom = int(np.argmin(smooth(validation)))
    if bottom >= len(validation) - tail:
        return None
    if _change(validation, bottom, tail) > SURE_TURN and _change(training, bottom, tail) < -SURE_TURN:
        return bottom + 1
    return None


def _change(loss: Curve, bottom: int, tail: int) -> float:
    """How far the last fifth lies above the epochs around the lowest one, in standard errors."""
    reach = window(len(loss)) // 2
    around = loss[max(0, bottom - reach) : bottom + reach + 1]
    noise = noise_of(loss[min(bottom, len(loss) // 2) :])
    difference = float(loss[-tail:].mean() - around.mean())
    error = _error(noise, 1 / len(around) + 1 / tail)
    if error == 0:
        return float(np.sign(difference)) * np.inf if difference else 0.0
    return difference / error


def _smoothed_error(loss: Curve, bottom: int, width: int) -> float:
    """Standard error of the smoothed loss, by the noise until its lowest epoch or of the last half."""
    until = noise_of(loss[: max(SHORTEST, bottom + width // 2 + 1)])
    late = noise_of(loss[-max(SHORTEST, len(loss) // 2) :])
    return min(_error(until, 1 / width), _error(late, 1 / width))


def _error(noise: Noise, share: float) -> float:
    """Standard error of a mean of n epochs (share 1 / n), or of a difference of two means (the sum of their shares)."""
    return noise.sd * float(np.sqrt(noise.inflation * share))
