"""Advice on seeds, folds and images: for a stated margin alone, and against simulated cross-validations."""

from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from compare.test_verdict import only, plant, set_compare
from scipy import stats

from diascope.compare.estimate import Components
from diascope.compare.needs import MOST_FOLDS, resampled_needs

WITHIN = Components(seed=0.0005, case=0.05, residual=0.15)
CASES = 600


def simulated_power(effect: float, folds: int, seeds: int) -> float:
    """Corrected resampled t where its own model holds: what folds share has n_validation / n_training of their S²."""
    random, share = np.random.default_rng(folds), 1 / (folds - 1)
    spread = WITHIN.of_mean(seeds, CASES / folds)
    own = np.sqrt(spread) * random.standard_normal((20_000, folds))
    found = effect + own + np.sqrt(share * spread) * random.standard_normal((20_000, 1))
    error = np.sqrt((1 / folds + share) * found.var(axis=1, ddof=1))
    return float((np.abs(found.mean(axis=1)) > stats.t.ppf(0.975, folds - 1) * error).mean())


def test_more_folds_are_advised_where_seeds_alone_are_not_enough() -> None:
    effect, seeds = 0.075, 2
    needs = resampled_needs(effect, WITHIN.of_mean(seeds, CASES / 3), 3, WITHIN, seeds, CASES)
    assert needs.folds is not None
    assert 3 < needs.folds <= MOST_FOLDS
    assert simulated_power(effect, needs.folds, seeds) == pytest.approx(0.8, abs=0.04)
    assert simulated_power(effect, needs.folds - 1, seeds) < 0.8
    assert simulated_power(effect, 3, seeds) < 0.6


def test_folds_and_seeds_together_where_neither_is_enough() -> None:
    effect = 0.055
    needs = resampled_needs(effect, WITHIN.of_mean(1, CASES / 3), 3, WITHIN, 1, CASES)
    assert needs.together
    assert needs.folds is not None
    assert needs.seeds is not None
    assert needs.cases is None
    assert simulated_power(effect, needs.folds, needs.seeds) == pytest.approx(0.8, abs=0.04)
    assert simulated_power(effect, MOST_FOLDS, 1) < 0.8


def test_no_number_is_given_without_a_margin(make_study: Callable[..., Path]) -> None:
    found = only(plant(make_study(), {"baseline": 0.7, "dropout": 0.72}))
    assert set(found.needs.values()) == {None}
    assert found.sentence.endswith("state the smallest difference that matters: compare: {margin: 0.02}.")
    assert "80% power" not in found.sentence


def test_with_a_margin_cross_validation_is_told_of_folds(make_study: Callable[..., Path]) -> None:
    folder = set_compare(make_study(folds=3, seeds=2, per_class=[150, 150]), margin=0.12)
    found = only(plant(folder, {"baseline": 0.7, "dropout": 0.72}))
    assert found.verdict == "not shown"
    assert found.needs["folds"] is not None
    assert f"About {found.needs['folds']} folds instead of 3" in found.sentence
