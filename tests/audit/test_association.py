"""The AUROC of small models on groups they have not seen: its value, its interval, and how often chance is believed."""

import numpy as np
import pytest
from fact_sets import index_of
from hypothesis import given, settings
from hypothesis import strategies as st
from sklearn.metrics import roc_auc_score

from diascope.audit.association import Sample, take_sample
from diascope.audit.label_permutation import LabelPermutation
from diascope.audit.thumbnail_features import of_levels, of_numbers, of_pictures, shrunken
from diascope.core.statistics import holm


def sample(labels: np.ndarray, groups: np.ndarray, classes: int = 2) -> Sample:
    taken = take_sample(index_of(labels, groups=groups, classes=classes))
    assert taken is not None
    return taken


def test_the_auroc_is_that_of_scikit_learn_averaged_over_folds_by_pairs() -> None:
    random = np.random.default_rng(0)
    labels = np.repeat(random.integers(0, 2, 100), 3)
    features = random.normal(labels[:, None] * 0.5, 1, (300, 4))
    taken = sample(labels, np.arange(300) // 3)
    found = taken.associate(features)
    total, pairs = 0.0, 0.0
    for fold in range(5):
        judged = taken.folds == fold
        learned, truth = features[~judged], labels[~judged].astype(float)
        centred = learned - learned.mean(axis=0)
        weights = np.linalg.lstsq(
            np.vstack([centred, np.sqrt(2.0) * np.eye(4)]), np.r_[truth - truth.mean(), np.zeros(4)], rcond=None
        )[0]
        weight = labels[judged].sum() * (1 - labels[judged]).sum()
        total += weight * roc_auc_score(labels[judged], features[judged] @ weights)
        pairs += weight
    assert found.auroc == pytest.approx(total / pairs, abs=1e-12)
    assert found.low < found.auroc < found.high
    assert found.p < 0.01
    assert (found.images, found.groups) == (300, 100)


def test_groups_lie_in_one_fold_each_and_classes_in_all() -> None:
    random = np.random.default_rng(1)
    groups = np.sort(random.integers(0, 60, 200))
    taken = sample(random.integers(0, 2, 60)[groups], groups)
    for group in np.unique(taken.groups):
        assert len(set(taken.folds[taken.groups == group])) == 1
    assert all(len(set(taken.labels[taken.folds == fold])) == 2 for fold in range(5))


def test_images_of_a_group_do_not_count_as_many() -> None:
    """Every image copied five times tells no more than once, if the copies are known to be copies."""
    random = np.random.default_rng(2)
    labels = random.integers(0, 2, 80)
    numbers = random.normal(labels * 0.8, 1)[:, None]
    once = sample(labels, np.arange(80)).associate(numbers)
    copied = sample(np.repeat(labels, 5), np.repeat(np.arange(80), 5)).associate(np.repeat(numbers, 5, axis=0))
    unknown = sample(np.repeat(labels, 5), np.arange(400)).associate(np.repeat(numbers, 5, axis=0))
    assert copied.high - copied.low == pytest.approx(once.high - once.low, rel=0.25)
    assert unknown.high - unknown.low < 0.6 * (once.high - once.low)


@pytest.mark.parametrize(("images", "of_group", "classes"), [(120, 2, 2), (120, 1, 2), (240, 3, 4)])
def test_chance_is_rarely_believed(images: int, of_group: int, classes: int) -> None:
    """Facts that groups share and labels do not: p below 0.05 in about one of twenty, the interval above 0.5 rarer."""
    random = np.random.default_rng(3)
    low_p = excluded = 0
    repetitions = 40
    for _ in range(repetitions):
        groups = np.arange(images) // of_group
        labels = np.repeat(random.permutation(np.arange(images // of_group) % classes), of_group)
        shared = random.standard_normal(images // of_group)[groups] + 0.5 * random.standard_normal(images)
        found = sample(labels, groups, classes).associate(of_numbers(shared))
        low_p += found.p < 0.05
        excluded += found.low > 0.5 and classes == 2
    assert low_p <= 6  # of 40: P(more than 6) is 0.003 at a rate of 0.05
    assert excluded <= 5


def test_the_class_that_is_told_best_of_several_is_named() -> None:
    random = np.random.default_rng(4)
    labels = np.arange(300) % 3
    marked = ((labels == 1) & (random.random(300) < 0.8)).astype(str)
    found = sample(labels, np.arange(300), 3).associate(of_levels(marked.tolist()))
    assert found.told == 1
    assert found.auroc > 0.85


def test_no_sample_without_groups_enough() -> None:
    assert take_sample(index_of(np.repeat([0, 1], 50), groups=np.repeat([0, 1], 50))) is None
    assert take_sample(index_of(np.r_[np.zeros(50, int), np.ones(9, int)])) is None


def test_large_sets_are_sampled_by_whole_groups() -> None:
    labels = np.repeat(np.arange(200) % 2, 5)
    taken = take_sample(index_of(labels, groups=np.repeat(np.arange(200), 5)), images=300)
    assert taken is not None
    assert 290 < len(taken.rows) <= 300
    assert set(np.bincount(taken.groups)) == {5}


@given(st.lists(st.floats(0, 1, allow_subnormal=False), min_size=1, max_size=12))
@settings(max_examples=50, deadline=None)
def test_holm_is_that_of_its_definition(chances: list[float]) -> None:
    adjusted = holm(chances)
    order = sorted(range(len(chances)), key=lambda i: chances[i])
    running = 0.0
    for step, i in enumerate(order):
        running = max(running, min(1.0, chances[i] * (len(chances) - step)))
        assert adjusted[i] == pytest.approx(running)


def test_dealing_keeps_the_labels_of_groups_together_and_of_folds_in_number() -> None:
    groups = np.repeat(np.arange(40), np.tile([1, 3], 20))
    labels, folds = (np.arange(40) % 2)[groups], (np.arange(40) // 8)[groups]
    dealt = LabelPermutation(labels, groups, folds).deal(20)
    for labels_dealt in dealt.T:
        assert all(len(set(labels_dealt[groups == group])) == 1 for group in range(40))
    assert any((dealt[:, time] != labels).any() for time in range(20))
    even = LabelPermutation(np.arange(60) % 2, np.arange(60), np.arange(60) // 12).deal(5)
    assert (even.reshape(5, 12, 5).sum(axis=1) == 6).all()


def test_features() -> None:
    assert of_levels(["b", "a", "b"]).tolist() == [[0, 1], [1, 0], [0, 1]]
    numbers = of_numbers(np.arange(80.0))
    assert numbers.shape == (80, 9)
    assert (numbers[:, 1:].sum(axis=0) == 10).all()
    assert of_numbers(np.ones(5)).shape[0] == 5
    picture = np.arange(16, dtype=np.uint8).reshape(1, 4, 4)
    assert shrunken(picture, 2).tolist() == [[[2.5, 4.5], [10.5, 12.5]]]
    assert of_pictures(np.repeat(picture, 3, axis=0), 2).tolist() == [[0] * 4] * 3
