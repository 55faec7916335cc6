"""The noise of a learning curve, its slope at the end with an interval, and the curve without its noise.

Epochs that follow one another are alike: a validation set that is judged a little too kindly at epoch 40 is judged
kindly at epoch 41, too. An interval that took the residuals for independent would call one flat curve in four
"still improving" (measured at a lag-1 autocorrelation of 0.8, where 2.5% are meant). So the noise carries its
autocorrelation, and the interval counts fewer epochs than there are: Santer et al. (2000), "Statistical significance
of trends and trend differences in layer-average atmospheric temperature time series".
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

Curve = NDArray[np.float64]

DEGREE = 2  # of the polynomial that is taken for the course of a curve when its noise is measured
SHORTEST_TAIL = 5  # epochs
TAIL = 5  # the end of a curve is its last fifth
LARGEST_AUTOCORRELATION = 0.95
CONFIDENCE = 0.95


@dataclass(frozen=True)
class Noise:
    """What a curve does besides its course: SD, lag-1 autocorrelation (0 to 0.95), residual degrees of freedom."""

    sd: float
    autocorrelation: float
    freedom: int

    @property
    def inflation(self) -> float:
        """How many neighbouring epochs carry the information of one independent one: (1 + r) / (1 - r)."""
        return (1 + self.autocorrelation) / (1 - self.autocorrelation)


@dataclass(frozen=True)
class Trend:
    """A slope in units of the curve per epoch, and its 95% interval."""

    slope: float
    low: float
    high: float


def monotone(values: Curve, *, increasing: bool) -> Curve:
    """The nearest monotone curve by least squares to a curve (E,) without its spikes (isotonic regression).

    Unlike a smoothed curve it does not lag behind a steep start, and noise does not carry it over a level by chance, as
    the first of many noisy epochs would be.
    """
    from scipy.optimize import isotonic_regression

    fitted: Curve = isotonic_regression(calm(values), increasing=increasing).x
    return fitted


def tail_length(epochs: int) -> int | None:
    """Epochs in the last fifth, rounded up; None where that is fewer than five (below 21 epochs)."""
    length = -(-epochs // TAIL)
    return length if length >= SHORTEST_TAIL else None


def noise_of(values: Curve) -> Noise:
    """The residuals of a curve (n,), n >= 6, around a quadratic.

    The lag-1 autocorrelation r of n residuals of a fit with p = 3 coefficients comes out too small, white noise below
    zero; (n r + p) / (n - p - 2) takes that off (after Marriott and Pope 1954). Below zero it counts as zero.
    """
    coefficients, count = DEGREE + 1, len(values)
    position = np.linspace(-1, 1, count)
    residuals = values - np.polynomial.Polynomial.fit(position, values, DEGREE)(position)
    squares = float(residuals @ residuals)
    if squares <= (1e-12 * max(1e-300, float(np.abs(values).max()))) ** 2 * count:  # a drawn curve, or a constant
        return Noise(0.0, 0.0, count - coefficients)
    raw = float(residuals[1:] @ residuals[:-1]) / squares
    corrected = (count * raw + coefficients) / (count - coefficients - 2)
    autocorrelation = min(max(corrected, 0.0), LARGEST_AUTOCORRELATION)
    return Noise(float(np.sqrt(squares / (count - coefficients))), autocorrelation, count - coefficients)


def end_trend(values: Curve, fifths: int = 1) -> Trend | None:
    """Slope of the last fifth(s) of a curve (E,) by least squares, with a 95% t interval; None below 21 epochs.

    The noise is that of the last half (the fifth alone is too short to tell its autocorrelation). With s its SD, r its
    autocorrelation, v = (1 + r) / (1 - r) and x the epochs of the fifth around their mean, the standard error is
    s sqrt(v / sum x^2), and t has (n - 3) / v degrees of freedom for a half of n epochs, at least one.
    """
    from scipy.stats import t

    tail = tail_length(len(values))
    if tail is None:
        return None
    length = fifths * tail
    noise = noise_of(values[-max(2 * SHORTEST_TAIL, len(values) // 2) :])
    position = np.arange(length) - (length - 1) / 2
    squares = float(position @ position)
    slope = float(position @ values[-length:]) / squares
    quantile = float(t.ppf((1 + CONFIDENCE) / 2, max(1.0, noise.freedom / noise.inflation)))
    half_width = quantile * noise.sd * float(np.sqrt(noise.inflation / squares))
    return Trend(slope, slope - half_width, slope + half_width)


def window(epochs: int) -> int:
    """How many epochs the smoothing looks at: a tenth, odd, 3 to 25."""
    return min(25, max(3, epochs // 10 // 2 * 2 + 1))


def calm(values: Curve) -> Curve:
    """A curve (E,) without lone spikes: a running median of 3; the first and the last epoch stay as they are."""
    from scipy.ndimage import median_filter

    calmed = values.copy()
    if len(values) > 2:
        calmed[1:-1] = median_filter(values, size=3, mode="nearest")[1:-1]
    return calmed


def smooth(values: Curve) -> Curve:
    """A curve (E,) without its noise: a running median of 3 against lone spikes, then a running mean.

    The first and last epochs are read off a straight line through the window (Savitzky and Golay 1964, of degree one):
    a mean that had only one side would lag behind a curve that still falls. Fewer than 3 epochs stay as they are.
    """
    from scipy.signal import savgol_filter

    if len(values) < 3:
        return values.copy()
    smoothed: Curve = savgol_filter(calm(values), min(window(len(values)), len(values) - 1 + len(values) % 2), 1)
    return smoothed
