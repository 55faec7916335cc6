"""Operating points against scikit-learn's ROC curve, and thresholds that never saw the images they decide."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from scipy.stats import binomtest
from sklearn import metrics as oracle

from diascope import metrics


def _drawn(images: int, seed: int, levels: int = 50) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.r_[0, 1, random.integers(0, 2, images - 2)]
    p = np.clip(np.round((random.normal(size=images) + labels) * levels / 6 + levels / 2), 0, levels) / levels
    return labels, np.column_stack([1 - p, p])


@given(st.integers(0, 2**16), st.integers(2, 60), st.integers(1, 30))
def test_the_best_threshold_reaches_the_highest_youden_index(seed: int, images: int, levels: int) -> None:
    labels, probabilities = _drawn(images, seed, levels)
    false_rate, true_rate, _ = oracle.roc_curve(labels, probabilities[:, 1], drop_intermediate=False)
    threshold = metrics.operating_point(labels, probabilities, 1)
    found = metrics.scores(labels, probabilities, 1, threshold)
    assert found["sensitivity"] + found["specificity"] - 1 == pytest.approx((true_rate - false_rate).max(), abs=1e-12)


@given(st.integers(0, 2**16), st.integers(2, 60), st.integers(1, 30), st.floats(0.01, 1))
def test_the_threshold_of_a_sensitivity_reaches_it_and_a_higher_one_does_not(
    seed: int, images: int, levels: int, wanted: float
) -> None:
    labels, probabilities = _drawn(images, seed, levels)
    threshold = metrics.operating_point(labels, probabilities, 1, sensitivity=wanted)
    of_positives = probabilities[labels == 1, 1]
    assert (of_positives > threshold).mean() >= wanted - 1e-12
    next_higher = probabilities[probabilities[:, 1] > threshold, 1].min()
    assert (of_positives > next_higher).mean() < wanted


def test_the_threshold_lies_halfway_between_neighbours() -> None:
    p = np.array([0.2, 0.4, 0.8, 0.9])
    assert metrics.operating_point(np.array([0, 0, 1, 1]), np.column_stack([1 - p, p]), 1) == pytest.approx(0.6)


def test_all_images_can_be_called_positive() -> None:
    p = np.array([0.0, 0.5])
    threshold = metrics.operating_point(np.array([1, 0]), np.column_stack([1 - p, p]), 1, sensitivity=1.0)
    assert threshold < 0


def test_no_operating_point_without_both_classes() -> None:
    with pytest.raises(ValueError, match="needs images of the positive class"):
        metrics.operating_point(np.zeros(3, dtype=int), np.full((3, 2), 0.5), 1)
    with pytest.raises(ValueError, match="sensitivity"):
        metrics.operating_point(np.array([0, 1]), np.full((2, 2), 0.5), 1, sensitivity=0.0)


@pytest.mark.parametrize("grouped", [False, True])
def test_thresholds_come_from_the_other_parts(grouped: bool) -> None:
    labels, probabilities = _drawn(200, 1)
    groups = [f"patient {number // 3}" for number in range(200)] if grouped else None
    found = metrics.cross_fitted(labels, probabilities, 1, groups=groups, sensitivity=0.9)
    for part in range(5):
        others = found.parts != part
        threshold = metrics.operating_point(labels[others], probabilities[others], 1, sensitivity=0.9)
        assert found.thresholds[part] == threshold
        np.testing.assert_array_equal(found.decisions[~others], probabilities[~others, 1] > threshold)
    if groups is not None:
        assert all(len(set(found.parts[np.array(groups) == name])) == 1 for name in groups)
        assert found.sensitivity.unit == "groups"
    else:
        hits, images = int(found.decisions[labels == 1].sum()), int((labels == 1).sum())
        wilson = binomtest(hits, images).proportion_ci(method="wilson")
        assert (found.sensitivity.low, found.sensitivity.high) == pytest.approx((wilson.low, wilson.high))
        assert found.ppv.value == pytest.approx(oracle.precision_score(labels, found.decisions))
        shares = [labels[found.parts == part].mean() for part in range(5)]
        assert np.ptp(shares) < 0.05


def test_cross_fitting_takes_the_optimism_out_of_noise() -> None:
    apparent, honest = [], []
    for seed in range(60):
        random = np.random.default_rng(seed)
        labels, p = np.tile([0, 1], 20), random.random(40)
        probabilities = np.column_stack([1 - p, p])
        own = metrics.scores(labels, probabilities, 1, metrics.operating_point(labels, probabilities, 1))
        apparent.append(own["balanced_accuracy"])
        found = metrics.cross_fitted(labels, probabilities, 1, seed=seed)
        honest.append((found.sensitivity.value + found.specificity.value) / 2)
    assert np.mean(apparent) > 0.58
    assert np.mean(honest) == pytest.approx(0.5, abs=0.04)


def test_more_parts_than_images_of_a_class_are_refused() -> None:
    labels, probabilities = _drawn(40, 1)
    labels[:] = 0
    labels[:3] = 1
    with pytest.raises(ValueError, match="5 parts cannot be made where a class has 3 images"):
        metrics.cross_fitted(labels, probabilities, 1)
    with pytest.raises(ValueError, match="has 1 groups"):
        metrics.cross_fitted(labels, probabilities, 1, groups=[0] * 3 + list(range(1, 38)))
