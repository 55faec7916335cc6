"""Noise, slope and smoothing of learning curves: against SciPy, closed forms, and rates over drawn noise."""

import numpy as np
import pytest
from planted_curves import falling, noise
from scipy.stats import linregress

from diascope.compare.curves.trend import end_trend, noise_of, smooth, tail_length, window


def share_improving(epochs: int, sd: float, autocorrelation: float, fall: float = 0.0, curves: int = 120) -> float:
    """How often a loss that falls by `fall` over its last fifth is said to fall at the end."""
    random = np.random.default_rng([epochs, int(autocorrelation * 10)])
    course = -fall * np.arange(epochs) / tail_length(epochs)  # type: ignore[operator]
    found = [end_trend(course + drawn) for drawn in noise(epochs, sd, autocorrelation, random, curves)]
    return float(np.mean([trend.high < 0 for trend in found if trend is not None]))


@pytest.mark.parametrize(("epochs", "tail"), [(1, None), (20, None), (21, 5), (50, 10), (51, 11), (1000, 200)])
def test_the_tail_is_the_last_fifth_of_five_epochs_or_more(epochs: int, tail: int | None) -> None:
    assert tail_length(epochs) == tail
    assert (end_trend(np.linspace(1, 0, epochs)) is None) == (tail is None)


def test_the_slope_is_that_of_least_squares() -> None:
    values = falling(60, 20) + noise(60, 0.02, 0, np.random.default_rng(0))[0]
    found = end_trend(values)
    assert found is not None
    assert found.slope == pytest.approx(linregress(np.arange(12), values[-12:]).slope)
    assert found.low < found.slope < found.high


@pytest.mark.parametrize("epochs", [25, 50, 150, 400])
@pytest.mark.parametrize("autocorrelation", [0.0, 0.5, 0.8])
def test_flat_curves_rarely_pass_for_improving(epochs: int, autocorrelation: float) -> None:
    assert share_improving(epochs, 0.03, autocorrelation) <= 0.1


@pytest.mark.parametrize("autocorrelation", [0.0, 0.5, 0.8])
def test_the_interval_covers_a_planted_slope(autocorrelation: float) -> None:
    random = np.random.default_rng(5)
    found = [end_trend(0.004 * np.arange(100) + drawn) for drawn in noise(100, 0.03, autocorrelation, random, 250)]
    covered = np.mean([trend.low <= 0.004 <= trend.high for trend in found if trend is not None])
    assert covered >= 0.9


def test_curves_that_still_fall_are_seen() -> None:
    assert share_improving(50, 0.01, 0.0, fall=0.06) > 0.95
    assert share_improving(150, 0.01, 0.5, fall=0.06) > 0.95


@pytest.mark.parametrize("autocorrelation", [0.0, 0.5, 0.8])
def test_noise_is_measured_around_a_bent_course(autocorrelation: float) -> None:
    course = 0.5 + 0.0001 * np.arange(100) ** 2
    drawn = noise(100, 0.05, autocorrelation, np.random.default_rng(1), 200)
    found = [noise_of(course + values) for values in drawn]
    # Noise below zero counts as zero, so white noise has a mean above it.
    assert np.median([one.autocorrelation for one in found]) == pytest.approx(autocorrelation, abs=0.06)
    assert np.mean([one.sd for one in found]) == pytest.approx(0.05, rel=0.2)


def test_inflation_is_that_of_an_autoregressive_mean() -> None:
    found = noise_of(np.array([0.0, 1, 0, 1, 0, 1, 0, 1]))
    assert (found.autocorrelation, found.inflation) == (0, 1)
    drawn = noise(200, 1, 0.5, np.random.default_rng(2), 2000)
    found = noise_of(drawn[0])
    assert found.inflation == pytest.approx((1 + found.autocorrelation) / (1 - found.autocorrelation))
    assert drawn.mean(axis=1).var() == pytest.approx(3 / 200, rel=0.15)  # (1 + .5) / (1 - .5) over the epochs


def test_a_curve_without_noise_has_none() -> None:
    assert noise_of(np.full(20, 0.7)).sd == 0
    assert noise_of(np.linspace(0.7, 0.1, 20)).sd == 0


def test_smoothing_keeps_straight_lines_to_the_ends_and_takes_off_spikes() -> None:
    line = np.linspace(0.7, 0.2, 50)
    np.testing.assert_allclose(smooth(line), line)
    spiked = line.copy()
    spiked[30] += 5
    np.testing.assert_allclose(smooth(spiked), line, atol=0.02)


def test_smoothing_takes_off_noise() -> None:
    drawn = noise(200, 1, 0, np.random.default_rng(3))[0]
    assert smooth(drawn).std() < 2 / np.sqrt(window(200))


@pytest.mark.parametrize("epochs", range(1, 12))
def test_short_curves_are_smoothed_without_error(epochs: int) -> None:
    values = np.linspace(0.7, 0.5, epochs)
    np.testing.assert_allclose(smooth(values), values)


@pytest.mark.parametrize(("epochs", "width"), [(5, 3), (50, 5), (80, 9), (150, 15), (250, 25), (1000, 25)])
def test_the_window_is_a_tenth_and_odd(epochs: int, width: int) -> None:
    assert window(epochs) == width
