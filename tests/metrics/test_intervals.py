"""Intervals against scipy, direct formulas and brute force; what grouping, duplicates and relabelling do to them."""

import json
from dataclasses import asdict

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import expit, ndtri, stdtrit
from scipy.stats import binomtest, bootstrap

from diascope import metrics
from diascope.metrics import matthews, recalibration
from diascope.metrics.arrays import checked
from diascope.metrics.bootstrap import mean_limits
from diascope.metrics.decisions import ratio_influences
from diascope.metrics.delong import apart, area_influences, area_variance
from diascope.metrics.ranking import precision_influences
from diascope.metrics.units import Units

RATES = ("accuracy", "sensitivity", "specificity", "ppv", "npv")


def _two(p: np.ndarray) -> np.ndarray:
    return np.column_stack([1 - p, p])


def _drawn(images: int, seed: int = 0, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.r_[np.arange(classes), random.integers(0, classes, images - classes)]
    logits = 1.2 * np.eye(classes)[labels] + random.normal(size=(images, classes))
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


def _ends(found: dict[str, metrics.Interval]) -> dict[str, tuple[float | None, float | None]]:
    return {name: (interval.low, interval.high) for name, interval in found.items()}


def _assert_same(one: dict[str, metrics.Interval], other: dict[str, metrics.Interval]) -> None:
    for name, ends in _ends(one).items():
        ends, others = np.array([ends, _ends(other)[name]], dtype=np.float64)  # None becomes NaN
        np.testing.assert_allclose(ends, others, rtol=1e-6, atol=1e-9, err_msg=name)


def test_proportions_are_wilson_intervals() -> None:
    labels, probabilities = _drawn(150)
    called = probabilities[:, 1] > 0.4
    hits = {
        "accuracy": (called == labels, labels >= 0),
        "sensitivity": (called, labels == 1),
        "specificity": (~called, labels == 0),
        "ppv": (labels == 1, called),
        "npv": (labels == 0, ~called),
    }
    found = metrics.intervals(labels, probabilities, 1, threshold=0.4, names=RATES, level=0.9)
    for name, (right, members) in hits.items():
        exact = binomtest(int(right[members].sum()), int(members.sum())).proportion_ci(0.9, method="wilson")
        assert (found[name].low, found[name].high) == pytest.approx((exact.low, exact.high), abs=1e-9)
        assert (found[name].n, found[name].unit) == (members.sum(), "images")


def test_clustered_proportion_by_the_design_effect() -> None:
    right = np.array([1, 1, 1, 0, 0, 0, 1, 1, 1, 0], dtype=bool)
    groups = np.array([0, 0, 0, 1, 1, 1, 2, 2, 3, 3])
    labels = np.where(right, 1, 0)
    found = metrics.intervals(labels, np.tile([0.1, 0.9], (10, 1)), 1, groups=groups, names=["accuracy"])["accuracy"]
    residuals = np.array([3 * 0.4, -3 * 0.6, 2 * 0.4, 0.4 - 0.6])
    effective = 0.6 * 0.4 / (4 / 3 * (residuals @ residuals) / 100)
    t = stdtrit(3, 0.975)
    limits = [(limit - 0.6) ** 2 * effective / (limit * (1 - limit)) for limit in (found.low, found.high)]
    assert limits == pytest.approx([t**2, t**2])  # a score interval's limits are where the test just rejects
    assert (found.n, found.unit) == (4, "groups")


def test_delong_variance_is_the_direct_sum_over_pairs() -> None:
    labels, p = np.arange(60) % 3 == 0, np.random.default_rng(1).integers(0, 12, 60) / 12
    positives, negatives = p[labels], p[~labels]
    won = (positives[:, None] > negatives) + 0.5 * (positives[:, None] == negatives)
    expected = won.mean(axis=1).var(ddof=1) / len(positives) + won.mean(axis=0).var(ddof=1) / len(negatives)
    assert area_variance(labels, p, Units(60)) == pytest.approx(expected, abs=1e-12)
    assert area_variance(labels, p, Units(60, np.arange(60))) == pytest.approx(expected, abs=1e-12)  # Obuchowski's
    found = metrics.intervals(labels.astype(int), _two(p), 1, names=["auroc"])["auroc"]
    area = won.mean()
    half = ndtri(0.975) * expected**0.5 / (area * (1 - area))
    assert (found.low, found.high) == pytest.approx(
        expit(np.log(area / (1 - area)) + np.array([-half, half])), abs=1e-9
    )


def test_obuchowski_variance_by_loops() -> None:
    random = np.random.default_rng(2)
    labels, p, groups = random.random(40) < 0.5, random.random(40), np.arange(40) // 3
    positives, negatives = np.flatnonzero(labels), np.flatnonzero(~labels)
    won = (p[positives][:, None] > p[negatives]) * 1.0
    m, n, area = len(positives), len(negatives), won.mean()
    of_x = [(won.mean(axis=1) - area)[groups[positives] == g].sum() for g in range(14)]
    of_y = [(won.mean(axis=0) - area)[groups[negatives] == g].sum() for g in range(14)]
    i10, i01 = len(set(groups[positives])), len(set(groups[negatives]))
    s10, s01 = i10 / ((i10 - 1) * m) * np.square(of_x).sum(), i01 / ((i01 - 1) * n) * np.square(of_y).sum()
    s11 = 14 / 13 * np.dot(of_x, of_y)
    expected = s10 / m + s01 / n + 2 * s11 / (m * n)
    assert area_variance(labels, p, Units(40, groups)) == pytest.approx(expected, abs=1e-12)


def test_wholly_apart_classes_have_a_lower_bound_that_rises_with_the_images() -> None:
    bounds = []
    for images in (10, 50, 250):
        labels, p = np.repeat([0, 1], images), np.linspace(0, 1, 2 * images)
        found = metrics.intervals(labels, _two(p), 1)
        assert (found["auroc"].value, found["auroc"].high) == (1, 1)
        assert found["calibration_slope"].value is None
        for name in ("auprc", "f1", "mcc", "balanced_accuracy", "sensitivity"):
            assert 0 < found[name].low < 1 == found[name].high, name
        bounds.append(found["auroc"].low)
    assert bounds == sorted(bounds)
    assert apart(50, 50, 1.96) == pytest.approx(1 - 1.96**2 / 100, abs=0.003)
    wrong = metrics.intervals(labels, _two(1 - p), 1, names=["auroc"])["auroc"]
    assert (wrong.low, wrong.high) == pytest.approx((0, 1 - bounds[-1]))


def _weighted(name: str, labels: np.ndarray, probabilities: np.ndarray, weights: np.ndarray) -> float:
    """A metric of images that count as often as whole-numbered weights say."""
    rows = np.repeat(np.arange(len(labels)), weights)
    return metrics.score(name, labels[rows], probabilities[rows], 1)


@pytest.mark.parametrize("name", ["auprc", "auroc", "mcc", "f1"])
def test_influences_are_derivatives_by_the_weights(name: str) -> None:
    labels, probabilities = _drawn(40, 3)
    probabilities = np.round(probabilities, 1).clip(0.1, 0.9)  # ties
    judged = checked(labels, probabilities, 1)
    truth, p = labels == 1, probabilities[:, 1]
    called = judged.predicted == 1
    found = {
        "auprc": lambda: precision_influences(truth, p),
        "auroc": lambda: area_influences(truth, p),
        "mcc": lambda: matthews.influences(judged.confusion)[labels, judged.predicted],
        "f1": lambda: ratio_influences(2 * (truth & called), 1 * truth + called),
    }[name]()
    assert found.sum() == pytest.approx(0, abs=1e-9)
    step = 500  # each image counts 500 times, one of them 501 or 499 times
    for image in (0, 1, 7, 20, 39):
        weights = np.full(40, step)
        weights[image] += 1
        more = _weighted(name, labels, probabilities, weights)
        weights[image] -= 2
        less = _weighted(name, labels, probabilities, weights)
        assert (more - less) / 2 * step == pytest.approx(found[image], abs=1e-5)


@pytest.mark.parametrize("name", ["calibration_slope", "calibration_intercept"])
def test_recalibration_is_judged_by_a_jackknife_over_groups(name: str) -> None:
    labels, probabilities = _drawn(300, 3)
    groups = np.arange(300) // 3
    kept = [groups != group for group in range(100)]
    left_out = np.array([metrics.score(name, labels[rows], probabilities[rows], 1) for rows in kept])
    variance = 99 / 100 * np.square(left_out - left_out.mean()).sum()
    found = metrics.intervals(labels, probabilities, 1, groups=groups, names=[name])[name]
    # one step of Newton's each, instead of 100 whole fits
    assert found.high - found.low == pytest.approx(2 * stdtrit(99, 0.975) * variance**0.5, rel=0.02)
    assert found.high - found.value == pytest.approx(found.value - found.low)


def test_coefficients_that_lean_on_one_image_have_no_interval() -> None:
    logits, truth = np.array([0.0, 0.0, 1.0]), np.array([True, False, True])
    assert recalibration.left_out(logits, truth, np.zeros(2), Units(3)) is None


def test_studentized_bootstrap_has_the_limits_of_a_direct_one() -> None:
    values = np.random.default_rng(5).exponential(size=30)
    found = mean_limits(values, Units(30), draws=20_000, seed=1)
    random = np.random.default_rng(9)
    drawn = values[random.integers(30, size=(20_000, 30))]
    pivots = (drawn.mean(axis=1) - values.mean()) / (drawn.std(axis=1, ddof=1) / 30**0.5)
    error = values.std(ddof=1) / 30**0.5
    expected = values.mean() - error * np.quantile(pivots, [0.975, 0.025])
    # The draws' own spread divides by n, as their standard error does: the ratio of both is that of the values'.
    np.testing.assert_allclose((found.low, found.high), expected, rtol=0.03)


def test_bootstrap_of_many_images_is_scipys_and_the_normal_limit() -> None:
    values = np.random.default_rng(5).exponential(size=3000)
    found = mean_limits(values, Units(3000), draws=2000, seed=1)
    limit = bootstrap((values,), np.mean, n_resamples=2000, method="BCa", rng=np.random.default_rng(1))
    normal = values.mean() + np.array([-1, 1]) * ndtri(0.975) * values.std(ddof=1) / 3000**0.5
    np.testing.assert_allclose((found.low, found.high), normal, rtol=0.005)
    np.testing.assert_allclose((found.low, found.high), tuple(limit.confidence_interval), rtol=0.005)


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 3))
def test_neither_rows_nor_names_of_groups_decide(seed: int, classes: int) -> None:
    labels, probabilities = _drawn(60, seed, classes)
    random = np.random.default_rng(seed)
    groups, order = random.integers(0, 25, 60), random.permutation(60)
    names = np.array([f"patient {number}" for number in random.permutation(25)])
    straight = metrics.intervals(labels, probabilities, 1, groups=groups, draws=200)
    shuffled = metrics.intervals(labels[order], probabilities[order], 1, groups=names[groups[order]], draws=200)
    _assert_same(straight, shuffled)
    _assert_same(
        metrics.intervals(labels, probabilities, 1, draws=200),
        metrics.intervals(labels[order], probabilities[order], 1, draws=200),
    )


@settings(max_examples=20, deadline=None)
@given(st.integers(0, 2**16), st.integers(2, 4))
def test_copies_inside_a_group_do_not_narrow_an_interval(seed: int, copies: int) -> None:
    labels, probabilities = _drawn(50, seed)
    once = metrics.intervals(labels, probabilities, 1, groups=np.arange(50), draws=200)
    rows = np.repeat(np.arange(50), copies)
    often = metrics.intervals(labels[rows], probabilities[rows], 1, groups=rows, draws=200)
    for name, interval in often.items():
        if interval.low is not None and once[name].low is not None:
            assert interval.high - interval.low >= (once[name].high - once[name].low) * 0.999, name
            assert interval.n == once[name].n
    as_images = metrics.intervals(labels[rows], probabilities[rows], 1, names=["accuracy", "auroc"])
    for name, interval in as_images.items():  # which is what forgetting the groups would do
        assert interval.high - interval.low < often[name].high - often[name].low


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("grouped", [False, True])
def test_values_are_the_scores_within_their_limits_and_range(classes: int, grouped: bool) -> None:
    labels, probabilities = _drawn(200, 1, classes)
    groups = (np.arange(200) // 4).tolist() if grouped else None
    found = metrics.intervals(labels, probabilities, 1, groups=groups)
    assert {name: interval.value for name, interval in found.items()} == metrics.scores(labels, probabilities, 1)
    for name, interval in found.items():
        known = metrics.REGISTRY[name]
        if name == "ece" or (classes == 3 and name.startswith("calibration")):
            assert (interval.low, interval.high) == (None, None)
            continue
        assert interval.low < interval.value < interval.high, name
        assert known.low is None or interval.low >= known.low
        assert known.high is None or interval.high <= known.high
    json.dumps({name: asdict(interval) for name, interval in found.items()}, allow_nan=False)


def test_wider_levels_hold_narrower_ones_and_the_seed_decides_the_bootstrap() -> None:
    labels, probabilities = _drawn(100)
    wide, narrow = (metrics.intervals(labels, probabilities, 1, level=level) for level in (0.95, 0.8))
    for name in wide:
        assert name == "ece" or wide[name].low < narrow[name].low < narrow[name].high < wide[name].high
    assert metrics.intervals(labels, probabilities, 1) == wide
    other = metrics.intervals(labels, probabilities, 1, seed=1)
    assert {name for name in wide if other[name] != wide[name]} == {"brier", "loss"}


def test_undefined_values_have_no_interval() -> None:
    found = metrics.intervals(np.zeros(5, dtype=int), np.tile([0.9, 0.1], (5, 1)), 1)
    for name in ("sensitivity", "ppv", "f1", "mcc", "auroc", "auprc", "balanced_accuracy", "calibration_slope"):
        assert (found[name].value, found[name].low, found[name].high) == (None, None, None), name
    assert found["accuracy"].low == pytest.approx(5 / (5 + ndtri(0.975) ** 2))
    assert (found["loss"].value, found["loss"].low) == (pytest.approx(-np.log(0.9)), None)  # no spread to judge by
    empty = metrics.intervals(np.zeros(0, dtype=int), np.zeros((0, 2)), 1)
    assert {(interval.value, interval.low, interval.n) for interval in empty.values()} == {(None, None, 0)}


def test_one_group_has_values_but_no_intervals() -> None:
    labels, probabilities = _drawn(20)
    for name, interval in metrics.intervals(labels, probabilities, 1, groups=["one"] * 20).items():
        assert interval.value is not None
        assert (interval.low, interval.high) == (None, None), name


@pytest.mark.parametrize("images", [2, 3, 5])
def test_a_handful_of_images_gives_finite_limits_or_none(images: int) -> None:
    for seed in range(20):
        labels, probabilities = _drawn(images, seed)
        for groups in (None, np.arange(images) // 2):
            found = metrics.intervals(labels, probabilities, 1, groups=groups, draws=100)
            json.dumps({name: asdict(interval) for name, interval in found.items()}, allow_nan=False)


def test_what_cannot_be_answered_is_refused() -> None:
    labels, probabilities = _drawn(10)
    with pytest.raises(ValueError, match="no metric is called auc; there are accuracy"):
        metrics.intervals(labels, probabilities, 1, names=["auc"])
    with pytest.raises(ValueError, match="level 95"):
        metrics.intervals(labels, probabilities, 1, level=95)
    with pytest.raises(ValueError, match="one group for each of 10 images"):
        metrics.intervals(labels, probabilities, 1, groups=["a"])
