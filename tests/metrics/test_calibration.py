"""Recalibration against scikit-learn's and scipy's fits, the calibration error by hand and by chance."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.optimize import minimize
from scipy.special import expit
from sklearn.linear_model import LogisticRegression

from diascope import metrics


def _two(p: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - p, p])


def _drawn(images: int, seed: int, slope: float = 1.0, shift: float = 0.0) -> tuple[np.ndarray, np.ndarray]:
    """Labels whose true logit is shift + slope times the predicted one."""
    random = np.random.default_rng(seed)
    logits = random.normal(0, 1.5, images)
    return (random.random(images) < expit(shift + slope * logits)).astype(int), expit(logits)


@pytest.mark.parametrize("seed", range(5))
def test_slope_is_that_of_logistic_regression(seed: int) -> None:
    labels, p = _drawn(150, seed, slope=0.6, shift=0.4)
    logits = np.log(p / (1 - p))
    fit = LogisticRegression(C=np.inf, tol=1e-12, solver="newton-cholesky", max_iter=500).fit(logits[:, None], labels)
    assert metrics.score("calibration_slope", labels, _two(p), 1) == pytest.approx(fit.coef_[0, 0], abs=1e-7)


@pytest.mark.parametrize("seed", range(5))
def test_intercept_is_the_most_likely_shift_at_slope_1(seed: int) -> None:
    labels, p = _drawn(150, seed, slope=0.6, shift=0.4)
    logits = np.log(p / (1 - p))
    fit = minimize(lambda a: np.logaddexp(0, np.where(labels == 1, -1, 1) * (logits + a)).sum(), 0.0, tol=1e-12)
    found = metrics.score("calibration_intercept", labels, _two(p), 1)
    assert found == pytest.approx(fit.x[0], abs=1e-5)
    assert expit(logits + found).mean() == pytest.approx(labels.mean(), abs=1e-12)


def test_recalibration_recovers_what_was_planted() -> None:
    labels, p = _drawn(200_000, 1, slope=0.5, shift=0.0)
    assert metrics.score("calibration_slope", labels, _two(p), 1) == pytest.approx(0.5, abs=0.01)
    labels, p = _drawn(200_000, 2, slope=1.0, shift=-0.7)
    assert metrics.score("calibration_intercept", labels, _two(p), 1) == pytest.approx(-0.7, abs=0.02)


def test_the_other_class_has_the_same_slope_and_the_opposite_intercept() -> None:
    labels, p = _drawn(100, 3)
    one, other = metrics.scores(labels, _two(p), 1), metrics.scores(labels, _two(p), 0)
    assert one["calibration_slope"] == pytest.approx(other["calibration_slope"])
    assert one["calibration_intercept"] == pytest.approx(-other["calibration_intercept"])


@pytest.mark.parametrize(
    ("labels", "p"),
    [
        ([0, 0, 1, 1], [0.1, 0.2, 0.8, 0.9]),  # apart
        ([0, 0, 1, 1], [0.1, 0.5, 0.5, 0.9]),  # they only touch
        ([1, 1, 0, 0], [0.1, 0.2, 0.8, 0.9]),  # apart the wrong way round
        ([0, 1, 0, 1], [0.3, 0.3, 0.3, 0.3]),  # one probability
        ([1, 1, 1], [0.2, 0.5, 0.8]),  # one class
    ],
)
def test_slope_does_not_exist_without_overlap(labels: list[int], p: list[float]) -> None:
    assert metrics.score("calibration_slope", np.array(labels), _two(np.array(p)), 1) is None


def test_intercept_exists_with_any_two_classes_and_at_probabilities_of_0_and_1() -> None:
    assert metrics.score("calibration_intercept", np.array([0, 1, 1]), _two(np.full(3, 0.5)), 1) == pytest.approx(
        np.log(2)
    )
    found = metrics.scores(np.array([0, 1, 0, 1]), _two(np.array([0.0, 1.0, 0.6, 0.4])), 1)
    assert np.isfinite([found["calibration_intercept"], found["calibration_slope"]]).all()
    assert metrics.score("calibration_intercept", np.ones(3, dtype=int), _two(np.full(3, 0.5)), 1) is None


def test_the_slope_of_almost_separated_classes_is_found() -> None:
    p = np.r_[np.linspace(0.01, 0.5, 50), np.linspace(0.5001, 0.99, 50)]
    labels = np.r_[np.zeros(50), np.ones(50)].astype(int)
    labels[[49, 50]] = labels[[50, 49]]
    found = metrics.score("calibration_slope", labels, _two(p), 1)
    assert found is not None
    logits = np.log(p / (1 - p))
    intercept = _shift_at(found * logits, labels)
    assert (labels - expit(intercept + found * logits)) @ logits == pytest.approx(0, abs=1e-6)  # the score is 0


def _shift_at(logits: np.ndarray, labels: np.ndarray) -> float:
    return metrics.score("calibration_intercept", labels, np.column_stack([expit(-logits), expit(logits)]), 1)


def test_more_than_two_classes_have_no_recalibration() -> None:
    found = metrics.scores(np.array([0, 1, 2]), np.full((3, 3), 1 / 3), 0)
    assert (found["calibration_slope"], found["calibration_intercept"]) == (None, None)


def test_calibration_error_by_hand() -> None:
    p = np.r_[np.full(20, 0.25), np.full(20, 0.75)]  # two bins of twenty
    labels = np.r_[np.ones(10), np.zeros(10), np.ones(15), np.zeros(5)].astype(int)  # shares 0.5 and 0.75
    assert metrics.score("ece", labels, _two(p), 1) == pytest.approx(0.125)


def test_calibration_error_of_more_classes_is_of_the_largest_probability() -> None:
    probabilities = np.tile([0.5, 0.3, 0.2], (10, 1))
    assert metrics.score("ece", np.zeros(10, dtype=int), probabilities, 0) == pytest.approx(0.5)


@given(st.integers(0, 2**16), st.integers(1, 100), st.integers(1, 6))
def test_calibration_error_does_not_see_the_order_of_rows(seed: int, images: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    labels, p = random.integers(0, 2, images), random.integers(0, levels + 1, images) / levels
    order = random.permutation(images)
    found = metrics.score("ece", labels, _two(p), 1)
    assert metrics.score("ece", labels[order], _two(p[order]), 1) == pytest.approx(found, abs=1e-12)


def test_calibrated_probabilities_look_calibrated_and_overconfident_ones_do_not() -> None:
    high = 0
    for seed in range(40):
        labels, p = _drawn(200, seed)
        found = metrics.calibration_error(labels, _two(p), 1, draws=400)
        assert found.mean < found.high
        high += found.value > found.high
    assert high <= 6  # of 40 with 5% each: more than 6 in one of 180 repetitions
    labels, p = _drawn(200, 1, slope=0.3)
    found = metrics.calibration_error(labels, _two(p), 1)
    assert (found.bins, found.n) == (10, 200)
    assert found.value == metrics.score("ece", labels, _two(p), 1)
    assert found.value > found.high


def test_calibration_error_by_chance_agrees_with_the_formula_of_one_bin() -> None:
    labels, p = np.zeros(30, dtype=int), np.full(30, 0.3)  # one bin: |binomial / 30 - 0.3|
    found = metrics.calibration_error(labels, _two(p), 1, draws=20_000)
    from scipy.stats import binom

    expected = binom(30, 0.3).expect(lambda hits: abs(hits / 30 - 0.3))
    assert found.mean == pytest.approx(expected, rel=0.03)
    assert metrics.calibration_error(labels[:0], _two(p[:0]), 1) is None
