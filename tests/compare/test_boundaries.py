"""Group-sequential boundaries against published ones, and the error of looks that share images by simulation."""

import numpy as np
import pytest
from scipy.stats import norm

from diascope.compare.boundaries import levels

EQUAL = np.arange(1, 6) / 5
STEPS = (0.0, *(EQUAL[:-1] / EQUAL[1:]))


def bounds(spent: np.ndarray, ratios: tuple[float, ...] = STEPS) -> np.ndarray:
    return norm.isf(np.array(levels(tuple(spent), ratios)) / 2)


def test_boundaries_of_pocock_like_spending_are_those_published() -> None:
    spent = 0.05 * np.log(1 + (np.e - 1) * EQUAL)
    assert bounds(spent) == pytest.approx([2.438, 2.427, 2.410, 2.397, 2.386], abs=1e-3)


def test_boundaries_of_spending_like_obrien_and_fleming_are_those_published() -> None:
    spent = 4 * norm.sf(norm.isf(0.05 / 4) / np.sqrt(EQUAL))
    assert bounds(spent) == pytest.approx([4.877, 3.357, 2.680, 2.290, 2.031], abs=1e-3)


def test_unrelated_looks_are_independent_and_one_without_error_to_spend_has_none() -> None:
    first, second, third = levels((0.04, 0.05, 0.05), (0.0, 0.0, 0.5))
    assert first == pytest.approx(0.04)
    assert second == pytest.approx(0.01 / 0.96)
    assert third == 0.0


@pytest.mark.parametrize(("of_images", "most"), [(0.0, 0.0503), (0.2, 0.05), (5.0, 0.05)])
def test_looks_that_share_images_err_at_most_as_often_as_was_spent(of_images: float, most: float) -> None:
    """`of_images`: variance of what the images share, where that of one seed is 1."""
    random, seeds = np.random.default_rng(0), np.array([3, 5, 8, 13, 20])
    allowed = levels(tuple(0.05 * seeds / 20), (0.0, *(seeds[:-1] / seeds[1:])))
    found = np.sqrt(of_images) * random.standard_normal((200_000, 1))
    steps = random.standard_normal((200_000, 5)) * np.sqrt(np.diff([0, *seeds]))
    mean = found + steps.cumsum(axis=1) / seeds
    p = 2 * norm.sf(np.abs(mean) / np.sqrt(of_images + 1 / seeds))
    called = (p <= np.array(allowed)).any(axis=1).mean()
    assert called <= most + 0.001
    assert called > (0.048 if of_images == 0 else 0.02)
