"""Every metric against scikit-learn or a computation by hand, and what happens where one is undefined."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from sklearn import metrics as oracle

from diascope import metrics
from diascope.metrics.arrays import checked


def _random(classes: int, images: int = 200, seed: int = 0) -> tuple[np.ndarray, np.ndarray]:
    generator = np.random.default_rng(seed)
    labels = generator.integers(0, classes, images)
    logits = generator.normal(size=(images, classes)) + np.eye(classes)[labels]
    return labels, np.exp(logits) / np.exp(logits).sum(axis=1, keepdims=True)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_scores_agree_with_scikit_learn(classes: int) -> None:
    labels, probabilities = _random(classes)
    found = metrics.scores(labels, probabilities, positive=1)
    predicted = probabilities.argmax(axis=1)
    ranking = probabilities[:, 1] if classes == 2 else probabilities
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels, predicted), abs=1e-12)
    assert found["balanced_accuracy"] == pytest.approx(oracle.balanced_accuracy_score(labels, predicted), abs=1e-12)
    assert found["loss"] == pytest.approx(oracle.log_loss(labels, probabilities), abs=1e-9)
    assert found["auroc"] == pytest.approx(oracle.roc_auc_score(labels, ranking, multi_class="ovr"), abs=1e-12)
    assert list(found) == list(metrics.METRICS)


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_rates_agree_with_scikit_learn(classes: int) -> None:
    labels, probabilities = _random(classes)
    found = metrics.scores(labels, probabilities, positive=1)
    predicted = probabilities.argmax(axis=1)
    average = {"average": "binary" if classes == 2 else "macro"}
    assert found["sensitivity"] == pytest.approx(oracle.recall_score(labels, predicted, **average), abs=1e-12)
    assert found["ppv"] == pytest.approx(oracle.precision_score(labels, predicted, **average), abs=1e-12)
    assert found["f1"] == pytest.approx(oracle.f1_score(labels, predicted, **average), abs=1e-12)
    assert found["mcc"] == pytest.approx(oracle.matthews_corrcoef(labels, predicted), abs=1e-12)
    shown = [1] if classes == 2 else range(classes)
    rest = [oracle.recall_score(labels != k, predicted != k) for k in shown]
    assert found["specificity"] == pytest.approx(np.mean(rest), abs=1e-12)
    rest = [oracle.precision_score(labels != k, predicted != k) for k in shown]
    assert found["npv"] == pytest.approx(np.mean(rest), abs=1e-12)
    areas = [oracle.average_precision_score(labels == k, probabilities[:, k]) for k in shown]
    assert found["auprc"] == pytest.approx(np.mean(areas), abs=1e-12)
    brier = oracle.brier_score_loss(labels, probabilities, scale_by_half=classes == 2, labels=range(classes))
    assert found["brier"] == pytest.approx(brier, abs=1e-12)


@pytest.mark.parametrize("positive", [0, 1])
def test_the_threshold_moves_the_decisions_of_two_classes(positive: int) -> None:
    labels, probabilities = _random(2)
    found = metrics.scores(labels, probabilities, positive, threshold=0.3)
    called = probabilities[:, positive] > 0.3
    assert found["sensitivity"] == pytest.approx(oracle.recall_score(labels == positive, called))
    assert found["npv"] == pytest.approx(oracle.precision_score(labels != positive, ~called))
    assert found["accuracy"] == pytest.approx(oracle.accuracy_score(labels == positive, called))


@pytest.mark.parametrize("classes", [2, 4])
def test_one_score_is_that_of_all_scores(classes: int) -> None:
    labels, probabilities = _random(classes)
    found = metrics.scores(labels, probabilities, 0, threshold=0.4)
    assert {name: metrics.score(name, labels, probabilities, 0, 0.4) for name in metrics.METRICS} == found


@pytest.mark.parametrize("classes", [2, 3])
def test_each_class_against_the_rest(classes: int) -> None:
    labels, probabilities = _random(classes)
    found = metrics.per_class(labels, probabilities)
    predicted = probabilities.argmax(axis=1)
    recall = oracle.recall_score(labels, predicted, average=None)
    np.testing.assert_allclose([of_class["sensitivity"] for of_class in found], recall)
    assert [of_class["n"] for of_class in found] == np.bincount(labels).tolist()
    areas = [oracle.average_precision_score(labels == k, probabilities[:, k]) for k in range(classes)]
    np.testing.assert_allclose([of_class["auprc"] for of_class in found], areas)
    if classes == 2:
        assert found[0]["sensitivity"] == found[1]["specificity"]


def test_rates_without_a_denominator_are_undefined() -> None:
    labels, sure = np.array([0, 0, 1]), np.tile([0.9, 0.1], (3, 1))
    found = metrics.scores(labels, sure, positive=1)
    assert (found["sensitivity"], found["specificity"], found["npv"]) == (0.0, 1.0, 2 / 3)
    assert (found["ppv"], found["mcc"]) == (None, None)
    assert found["f1"] == 0.0
    assert metrics.scores(np.zeros(3, dtype=int), sure, positive=1)["f1"] is None


@given(st.integers(0, 2**16), st.integers(2, 60), st.integers(1, 8))
def test_average_precision_agrees_with_scikit_learn_on_ties(seed: int, images: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.r_[0, 1, random.integers(0, 2, images - 2)]
    p = random.integers(0, levels + 1, images) / levels
    found = metrics.score("auprc", labels, np.column_stack([1 - p, p]), 1)
    assert found == pytest.approx(oracle.average_precision_score(labels, p), abs=1e-12)


def test_auroc_is_the_share_of_ordered_pairs() -> None:
    labels = np.array([0, 0, 0, 1, 1])
    p = np.array([0.1, 0.4, 0.4, 0.4, 0.9])  # pairs won by the positive: 1 + .5 + .5, and 3 of 3
    found = metrics.scores(labels, np.column_stack([1 - p, p]), positive=1)
    assert found["auroc"] == pytest.approx((1 + 0.5 + 0.5 + 3) / 6)


@given(st.integers(0, 2**16), st.integers(2, 60), st.integers(1, 8))
def test_auroc_and_roc_agree_with_scikit_learn_on_ties(seed: int, images: int, levels: int) -> None:
    random = np.random.default_rng(seed)
    labels = np.r_[0, 1, random.integers(0, 2, images - 2)]
    p = random.integers(0, levels + 1, images) / levels
    probabilities = np.column_stack([1 - p, p])
    assert metrics.auroc(labels, probabilities, 1) == pytest.approx(oracle.roc_auc_score(labels, p), abs=1e-12)
    curve = metrics.roc_curve(labels, probabilities, 1)
    false_rate, true_rate, _ = oracle.roc_curve(labels, p, drop_intermediate=False)
    assert curve is not None
    drawn = set(zip(curve.false_positive_rate.tolist(), curve.true_positive_rate.tolist(), strict=True))
    assert drawn <= set(zip(false_rate.tolist(), true_rate.tolist(), strict=True))
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(np.trapezoid(true_rate, false_rate), abs=1e-12)


def test_the_first_class_can_be_the_positive_one() -> None:
    labels, probabilities = _random(2)
    assert metrics.auroc(labels, probabilities, 0) == pytest.approx(metrics.auroc(labels, probabilities, 1))
    tie = np.array([[0.5, 0.5]])
    assert metrics.predicted_classes(tie, positive=1).tolist() == [0]
    assert metrics.predicted_classes(tie, positive=0).tolist() == [1]


def test_a_tie_of_three_goes_to_the_first_class() -> None:
    assert metrics.predicted_classes(np.array([[0.2, 0.4, 0.4]]), positive=1).tolist() == [1]


def test_loss_by_hand_and_finite_where_a_probability_was_rounded_to_0() -> None:
    labels = np.array([1, 0])
    assert metrics.loss(labels, np.array([[0.2, 0.8], [0.6, 0.4]])) == pytest.approx(-np.log([0.8, 0.6]).mean())
    assert metrics.loss(np.array([0]), np.array([[1e-30, 1.0]])) == pytest.approx(30 * np.log(10))
    assert metrics.loss(np.array([0]), np.array([[0.0, 1.0]])) == pytest.approx(708, abs=1)
    assert metrics.loss(np.array([1]), np.array([[0.0, 1.0]])) == 0


def test_one_class_only_leaves_scores_undefined_not_zero() -> None:
    found = metrics.scores(np.zeros(5, dtype=np.int64), np.tile([0.9, 0.1], (5, 1)), positive=1)
    assert found["accuracy"] == 1.0
    assert found["auroc"] is None
    assert found["balanced_accuracy"] is None
    assert metrics.roc_curve(np.zeros(5, dtype=np.int64), np.tile([0.9, 0.1], (5, 1)), 1) is None


def test_no_images_leave_every_score_undefined() -> None:
    found = metrics.scores(np.zeros(0, dtype=np.int64), np.zeros((0, 2)), positive=1)
    assert found == dict.fromkeys(metrics.METRICS)


def test_rows_that_do_not_add_up_to_1_have_no_closed_form_of_the_brier_score() -> None:
    labels, probabilities = np.array([0, 1, 1, 1]), np.array([[0.7, 0.3], [0.2, 0.8], [0.6, 0.4], [0.1, 0.9]])
    form = metrics.REGISTRY["brier"].left_out
    assert form(checked(labels, probabilities, 1), np.arange(4)) is not None
    assert form(checked(labels, probabilities * 0.9, 1), np.arange(4)) is None


def test_a_missing_class_of_three_leaves_macro_averages_undefined() -> None:
    labels, probabilities = _random(3)
    kept = labels != 2
    found = metrics.scores(labels[kept], probabilities[kept], positive=1)
    assert found["auroc"] is None
    assert found["balanced_accuracy"] is None
    assert found["accuracy"] is not None


def test_confusion_matrix_has_the_truth_in_rows() -> None:
    labels, probabilities = _random(4)
    expected = oracle.confusion_matrix(labels, probabilities.argmax(axis=1))
    np.testing.assert_array_equal(metrics.confusion_matrix(labels, probabilities, 1), expected)


def test_roc_curve_runs_from_corner_to_corner_and_encloses_the_auroc() -> None:
    labels, probabilities = _random(2)
    curve = metrics.roc_curve(labels, probabilities, 1)
    assert curve is not None
    ends = (curve.false_positive_rate[[0, -1]].tolist(), curve.true_positive_rate[[0, -1]].tolist())
    assert ends == ([0, 1], [0, 1])
    area = np.trapezoid(curve.true_positive_rate, curve.false_positive_rate)
    assert area == pytest.approx(metrics.auroc(labels, probabilities, 1))


@given(st.integers(2, 5), st.integers(1, 40), st.integers(0, 2**16))
def test_the_order_of_the_images_is_of_no_account(classes: int, images: int, seed: int) -> None:
    labels, probabilities = _random(classes, images, seed)
    order = np.random.default_rng(seed + 1).permutation(images)
    straight = metrics.scores(labels, probabilities, 0)
    shuffled = metrics.scores(labels[order], probabilities[order], 0)
    assert straight == pytest.approx(shuffled)


@pytest.mark.parametrize(
    ("labels", "probabilities", "positive"),
    [
        ([0, 1], [[0.5, 0.5]], 1),
        ([0], [0.5], 1),
        ([2], [[0.5, 0.5]], 1),
        ([-1], [[0.5, 0.5]], 1),
        ([0], [[0.5, 0.5]], 2),
        ([0], [[1.0]], 0),
        ([0], [[np.nan, 0.5]], 1),
    ],
)
def test_arrays_that_do_not_fit_are_refused(labels: list[int], probabilities: list, positive: int) -> None:
    with pytest.raises(ValueError, match=r"labels|class|probabilities"):
        metrics.scores(np.array(labels), np.array(probabilities), positive)
