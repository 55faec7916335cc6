"""An arm's own interval against closed forms, scipy and simulated truths; degrees of freedom by class and by group."""

import numpy as np
import pytest
from scipy import stats

from diascope.compare.jackknife import PseudoValues, Strata, pseudo_values
from diascope.compare.own_score import df_of_sum, own_score
from diascope.compare.pairs import Key, ScoredRuns


def size_of(cases: int, folds: int = 1) -> ScoredRuns:
    counts = dict.fromkeys(range(folds), cases)
    return ScoredRuns({}, (), counts, counts, counts, counts, "images")


def runs_of(tables: list[np.ndarray]) -> dict[Key, PseudoValues]:
    """Tables (S, N), one a fold."""
    return {
        (fold, seed): PseudoValues(float(row.mean()), row)
        for fold, table in enumerate(tables)
        for seed, row in enumerate(table)
    }


def test_one_run_is_the_one_sample_t() -> None:
    values = np.random.default_rng(0).normal(0.7, 1, (1, 40))
    found = own_score(runs_of([values]), size_of(40))
    assert found is not None
    oracle = stats.ttest_1samp(values[0], 0).confidence_interval()
    assert found.interval() == pytest.approx(tuple(oracle))


def test_seeds_and_folds_that_agree_leave_what_the_images_give() -> None:
    """Three folds of 100 images, 80 right in each: the binomial interval, not one of two degrees of freedom."""
    fold = np.r_[np.ones(80), np.zeros(20)][None]
    found = own_score(runs_of([fold, fold, fold]), size_of(100, 3))
    assert found is not None
    assert found.variance == pytest.approx(0.8 * 0.2 / 99 / 3)
    assert found.reach() == pytest.approx(1.96 * np.sqrt(0.8 * 0.2 / 300), rel=0.02)


def test_what_seeds_and_folds_add_has_their_few_degrees_of_freedom() -> None:
    """Scores without any noise of images: seeds alone in one fold, folds alone in several."""
    flat = [np.full((1, 50), score) + np.r_[-1e-6, 1e-6][np.arange(50) % 2] for score in (0.7, 0.8, 0.84)]
    seeds = own_score(runs_of([np.concatenate(flat)]), size_of(50))
    oracle = stats.ttest_1samp([0.7, 0.8, 0.84], 0).confidence_interval()
    assert seeds is not None
    assert seeds.interval() == pytest.approx(tuple(oracle), rel=1e-4)
    folds = own_score(runs_of(flat), size_of(50, 3))
    assert folds is not None
    assert folds.interval() == pytest.approx(tuple(oracle), rel=1e-4)


def test_without_one_case_there_is_nothing() -> None:
    runs = {(0, 0): PseudoValues(0.5, None)}
    assert own_score(runs, size_of(10)) is None


def test_balanced_accuracy_has_the_degrees_of_freedom_of_welch() -> None:
    random = np.random.default_rng(1)
    labels = np.r_[np.zeros(180, int), np.ones(20, int)]
    right = random.random(200) < np.where(labels, 0.6, 0.9)
    positive = np.where(right == (labels == 1), 0.9, 0.1)
    found = pseudo_values("balanced_accuracy", labels, np.stack([1 - positive, positive], 1), 1, np.arange(200))
    assert found is not None
    assert found.values is not None
    assert found.strata is not None
    oracle = stats.ttest_ind(right[labels == 0].astype(float), right[labels == 1].astype(float), equal_var=False)
    assert found.strata.df(found.values) == pytest.approx(oracle.df, rel=0.02)
    sensitivity = pseudo_values("sensitivity", labels, np.stack([1 - positive, positive], 1), 1, np.arange(200))
    assert sensitivity is not None
    assert sensitivity.values is not None
    assert sensitivity.strata is not None
    assert sensitivity.strata.df(sensitivity.values) == pytest.approx(19, rel=0.01)


def test_a_group_that_holds_most_images_leaves_few_degrees_of_freedom() -> None:
    values, classes = np.random.default_rng(2).normal(size=41), np.zeros(41, int)
    equal = Strata(np.full(41, 3), classes)
    assert equal.df(values) == pytest.approx(40)
    one = Strata(np.r_[60, np.ones(40, int)], classes)
    assert one.df(values) == pytest.approx(100**2 / (60**2 + 40) - 1)
    assert Strata(np.r_[4000, np.ones(40, int)], classes).df(values) == 1


def test_degrees_of_freedom_of_a_sum() -> None:
    assert df_of_sum([(2.0, 10), (2.0, 10)]) == pytest.approx(20)
    assert df_of_sum([(1.0, 7), (0.0, 3)]) == pytest.approx(7)


@pytest.mark.parametrize(("seeds", "seed_sd"), [(3, 0.0), (3, 0.02), (10, 0.02)])
def test_the_interval_holds_the_truth_about_as_often_as_it_says(seeds: int, seed_sd: float) -> None:
    """Normal scores of 100 cases, SD of the mean 0.03: neither too rarely nor (nearly) always."""
    random, studies, inside = np.random.default_rng(3), 400, 0
    for _ in range(studies):
        table = (
            random.normal(0, seed_sd, (seeds, 1)) + random.normal(0, 0.25, 100) + random.normal(0, 0.15, (seeds, 100))
        )
        found = own_score(runs_of([table]), size_of(100))
        assert found is not None
        inside += found.interval()[0] < 0 < found.interval()[1]
    assert stats.binom.ppf(0.001, studies, 0.94) <= inside <= stats.binom.ppf(0.999, studies, 0.975)
