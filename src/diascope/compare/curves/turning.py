"""Where a loss curve has levelled off, and where overfitting sets in. Epochs count from 1.

The rules and their numbers were chosen on simulated curves with a known course: benchmarks/curves.py.
"""

from dataclasses import dataclass

import numpy as np

from diascope.compare.curves.trend import Curve, Noise, end_trend, monotone, noise_of, smooth, tail_length, window

TOLERANCE = 0.1  # of the whole fall: a curve that has made 90% of it counts as having arrived
NOTEWORTHY = 0.05  # of the whole fall: less than this in a last fifth is no fall that matters
RISEN = 0.05  # of the whole rise: overfitting has set in where so much of it is made
PLATEAU = 2  # fifths of the run that a level must hold at the end to count as one
# Standard errors; so many because the lowest stretch of a flat curve is picked from many. docs/curves.md has the rates.
SURE_FALL = 6.0
SURE_TURN = 4.0
ROUNDING = 1e-9
SHORTEST = 10  # epochs that noise is measured over at least


@dataclass(frozen=True, eq=False)
class Fall:
    """The falling part of a loss: a monotone fit of its epochs, and the level that it falls to."""

    fit: Curve
    level: float

    @property
    def size(self) -> float:
        return float(self.fit[0]) - self.level


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


def still_falls(loss: Curve) -> bool | None:
    """Whether the last fifth of a loss (E,) surely falls, by an amount that matters; None below 21 epochs.

    The whole 95% interval of its slope lies below zero, and slope times length is more than 5% of the whole fall (see
    `fall_of`). Without the second, the quieter a curve the more of its exponential tail would count as improvement.
    """
    return _surely_falls(loss, 1, NOTEWORTHY)


def convergence_epoch(loss: Curve) -> int | None:
    """The epoch from which on a loss (E,) has made 90% of its fall; None if that is not shown within the run.

    With F the monotone fit and L the level of `fall_of`: the first epoch with F at most L + 0.1 (F_1 - L). What comes
    after the lowest loss is overfitting, not learning. None where the loss never falls, so that there is nothing to
    converge; and, censored, where no plateau was seen: the loss still falls at the end, or its last two fifths surely
    fall by more than a tenth of the whole fall, or the level is reached only within them.
    """
    tail = tail_length(len(loss))
    if tail is None or not falls(loss) or still_falls(loss) or _surely_falls(loss, PLATEAU, TOLERANCE):
        return None
    fall = fall_of(loss)
    reached = np.flatnonzero(fall.fit <= fall.level + TOLERANCE * fall.size + ROUNDING)
    if fall.size <= 0 or len(reached) == 0 or reached[0] + 1 > len(loss) - PLATEAU * tail:
        return None
    return int(reached[0]) + 1


def fall_of(loss: Curve) -> Fall:
    """How a loss (E,), E >= 21, falls, and to which level.

    The level is the mean of the last fifth, and the fit that of the whole curve; unless the loss surely turns up (see
    overfitting_epoch): then the level is the mean of the smoothing window around its lowest epoch, where the fit ends.
    """
    tail = tail_length(len(loss))
    assert tail is not None
    bottom = int(np.argmin(smooth(loss)))
    if bottom < len(loss) - tail and _change(loss, bottom, tail) > SURE_TURN:
        return Fall(monotone(loss[: bottom + 1], increasing=False), float(_around(loss, bottom).mean()))
    return Fall(monotone(loss, increasing=False), float(loss[-tail:].mean()))


def overfitting_epoch(training: Curve, validation: Curve) -> int | None:
    """The epoch at which validation loss turns up while evaluation-mode training loss (both (E,)) goes on falling.

    b is the lowest epoch of the smoothed validation loss. It turns up if b lies before the last fifth, and the mean T
    over the last fifth lies above the mean B over the smoothing window around b by more than 4 standard errors for
    validation loss, and below it by as much for training loss. The standard error of the difference of two means of m
    and n epochs is s sqrt(v (1/m + 1/n)), with SD s and inflation v of the curve's noise from b (at the latest from
    the middle) on. The onset is the last epoch at which the rising monotone fit from b on is at most B + 0.05 (T - B):
    b itself may lie anywhere on a flat bottom. None: it does not happen within the run, or not surely.
    """
    tail = tail_length(len(validation))
    if tail is None:
        return None
    bottom = int(np.argmin(smooth(validation)))
    if bottom >= len(validation) - tail:
        return None
    if _change(validation, bottom, tail) <= SURE_TURN or _change(training, bottom, tail) >= -SURE_TURN:
        return None
    lowest = float(_around(validation, bottom).mean())
    risen = lowest + RISEN * (float(validation[-tail:].mean()) - lowest)
    before = np.flatnonzero(monotone(validation[bottom:], increasing=True) <= risen + ROUNDING)
    return bottom + 1 + (int(before[-1]) if len(before) else 0)


def _surely_falls(loss: Curve, fifths: int, share: float) -> bool | None:
    """Whether the last fifths fall, by their slope's interval, and by more than `share` of the whole fall."""
    tail, trend = tail_length(len(loss)), end_trend(loss, fifths)
    if tail is None or trend is None:
        return None
    return trend.high < 0 and -trend.slope * fifths * tail > share * max(fall_of(loss).size, 0.0)


def _change(loss: Curve, bottom: int, tail: int) -> float:
    """How far the last fifth lies above the epochs around the lowest one, in standard errors."""
    around = _around(loss, bottom)
    noise = noise_of(loss[min(bottom, len(loss) // 2) :])
    difference = float(loss[-tail:].mean() - around.mean())
    error = _error(noise, 1 / len(around) + 1 / tail)
    if error == 0:
        return float(np.sign(difference)) * np.inf if difference else 0.0
    return difference / error


def _around(loss: Curve, epoch: int) -> Curve:
    """The smoothing window around an epoch (from 0), shorter at the ends."""
    reach = window(len(loss)) // 2
    return loss[max(0, epoch - reach) : epoch + reach + 1]


def _smoothed_error(loss: Curve, bottom: int, width: int) -> float:
    """Standard error of the smoothed loss, by the noise until its lowest epoch or of the last half."""
    until = noise_of(loss[: max(SHORTEST, bottom + width // 2 + 1)])
    late = noise_of(loss[-max(SHORTEST, len(loss) // 2) :])
    return min(_error(until, 1 / width), _error(late, 1 / width))


def _error(noise: Noise, share: float) -> float:
    """Standard error of a mean of n epochs (share 1 / n), or of a difference of two means (the sum of their shares)."""
    return noise.sd * float(np.sqrt(noise.inflation * share))
