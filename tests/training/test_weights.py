"""Class weights against scikit-learn and the formula of Cui et al.; what is refused."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as some
from sklearn.utils.class_weight import compute_class_weight

from diascope.core.errors import ConfigError
from diascope.training.class_weights import class_weights

CLASSES = ("mel", "nv", "bkl")
LABELS = np.repeat([0, 1, 2], [10, 200, 40])
LABEL_LISTS = some.lists(some.integers(0, 2), min_size=1, max_size=300)


def test_none_is_none():
    assert class_weights("none", LABELS, CLASSES) is None


def test_balanced_is_that_of_scikit_learn():
    expected = compute_class_weight("balanced", classes=np.arange(3), y=LABELS)
    np.testing.assert_allclose(class_weights("balanced", LABELS, CLASSES), expected, rtol=1e-12)


def test_effective_numbers():
    counts = np.bincount(LABELS)
    numbers = np.array([sum(0.999**i for i in range(count)) for count in counts])  # the sum that the paper closes
    found = class_weights("effective", LABELS, CLASSES)
    np.testing.assert_allclose(found / found[0], numbers[0] / numbers, rtol=1e-10)


def test_of_explicit_weights_the_ratios_count_in_the_order_of_the_classes():
    found = class_weights({"bkl": 2, "mel": 8, "nv": 1}, LABELS, CLASSES)
    np.testing.assert_allclose(found / found[1], [8, 1, 2], rtol=1e-12)


@given(labels=LABEL_LISTS, setting=some.sampled_from(["balanced", "effective", {"mel": 8.0, "nv": 1.0, "bkl": 2.0}]))
def test_their_mean_over_the_training_images_is_one_and_absent_classes_have_none(labels, setting):
    labels = np.array(labels)
    found = class_weights(setting, labels, CLASSES)
    assert found.shape == (3,)
    assert found[labels].mean() == pytest.approx(1)
    assert (found > 0).tolist() == [number in labels for number in range(3)]


@given(labels=LABEL_LISTS)
def test_rarer_classes_never_weigh_less(labels):
    labels = np.array(labels)
    counts = np.bincount(labels, minlength=3)
    for setting in ("balanced", "effective"):
        found = class_weights(setting, labels, CLASSES)
        present = np.argsort(counts)[np.sort(counts) > 0]
        assert (np.diff(found[present]) <= 1e-12).all()


@pytest.mark.parametrize(
    ("setting", "message"),
    [
        ({"mell": 1, "nv": 1, "bkl": 1}, r"training\.class_weights: there is no class mell; did you mean mel\?"),
        ({"xyz": 1, "nv": 1, "bkl": 1}, r"there is no class xyz; the classes are mel, nv, bkl"),
        ({"mel": 1}, r"no weight for class nv, bkl; add"),
        ({"mel": 0, "nv": 0, "bkl": 0}, r"no class with training images has a weight above 0"),
    ],
)
def test_what_cannot_be_used_is_refused(setting, message):
    with pytest.raises(ConfigError, match=message):
        class_weights(setting, LABELS, CLASSES)
