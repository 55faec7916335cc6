"""The statistics of verdicts against closed forms, hand calculations, scipy and known components."""

import numpy as np
import pytest
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from scipy import stats

from diascope import metrics
from diascope.compare.estimate import Candidates, Components, Estimate, critical_value, most_cautious
from diascope.compare.jackknife import blocks, pseudo_values
from diascope.compare.needs import Needs, needed, two_way_needs, two_way_power
from diascope.compare.resampled import corrected_resampled, pooled_variance
from diascope.compare.two_way import combine, mean_squares, two_way
from diascope.core.statistics import holm


def test_mean_squares_are_those_of_an_analysis_of_variance_by_hand() -> None:
    table = np.array([[1.0, 2.0, 6.0], [3.0, 6.0, 6.0]])  # row means 3, 5; column means 2, 4, 6; rest 0, -1, 1
    assert [float(ms) for ms in mean_squares(table)] == pytest.approx([6.0, 8.0, 2.0])
    found = two_way(table)
    assert found.variance == pytest.approx((6 + 8 - 2) / 6)
    assert found.components == Components(pytest.approx(4 / 3), pytest.approx(3.0), pytest.approx(2.0))
    assert found.sources[0] == (pytest.approx(6 / 12), 1)


def test_the_variance_is_floored_at_the_larger_single_factor() -> None:
    seeds_agree = combine(np.array(0.1), np.array(2.0), np.array(1.0), 3, 10)
    assert [float(x) for x in seeds_agree] == pytest.approx([2.0 / 30, 0.05])
    cases_agree = combine(np.array(2.0), np.array(0.5), np.array(1.0), 3, 10)
    assert [float(x) for x in cases_agree] == pytest.approx([2.0 / 30, 1.0])


def test_known_components_are_found_and_the_interval_covers() -> None:
    random, seeds, cases = np.random.default_rng(3), 5, 60
    shape = (400, seeds, cases)
    tables = random.normal(0, 0.2, (400, seeds, 1)) + random.normal(0, 1, (400, 1, cases)) + random.normal(0, 1, shape)
    found = [two_way(table) for table in tables]
    parts = np.mean([[f.components.seed, f.components.case, f.components.residual] for f in found], axis=0)  # type: ignore[union-attr]
    assert parts == pytest.approx([0.04, 1, 1], rel=0.15)
    assert np.mean([f.variance for f in found]) == pytest.approx(Components(0.04, 1, 1).of_mean(5, 60), rel=0.1)
    missed = sum(not f.interval()[0] < 0 < f.interval()[1] for f in found)
    assert missed <= stats.binom.ppf(0.999, 400, 0.05)


def test_one_seed_is_the_one_sample_t_over_cases() -> None:
    values = np.random.default_rng(0).normal(0.3, 1, (1, 30))
    oracle = stats.ttest_1samp(values[0], 0)
    found = two_way(values)
    assert found.p_value() == pytest.approx(oracle.pvalue)
    assert found.interval() == pytest.approx(tuple(oracle.confidence_interval()))


def test_p_and_interval_of_two_sources_agree() -> None:
    found = Estimate(1.0, 0.1, ((0.3, 2), (0.7, 199)))
    assert found.quantile() ** 2 == pytest.approx(0.3 * stats.t.ppf(0.975, 2) ** 2 + 0.7 * stats.t.ppf(0.975, 199) ** 2)
    low, _ = found.interval()
    assert found.p_value(low) == pytest.approx(0.05)
    assert stats.t.ppf(0.975, found.df) == pytest.approx(found.quantile())
    assert found.p_value(1.0) == 1.0
    assert found.p_within(found.interval()[1] + 1e-9) < 0.025 < found.p_within(found.interval()[1] - 1e-3)
    assert found.p_within(0.5) > 0.5


def test_corrected_t_by_hand_and_in_its_limits() -> None:
    found = corrected_resampled([0.1, 0.2, 0.6], 0.5)
    assert (found.value, found.variance) == (pytest.approx(0.3), pytest.approx((1 / 3 + 0.5) * 0.07))
    assert found.p_value() == pytest.approx(2 * stats.t.sf(0.3 / np.sqrt((1 / 3 + 0.5) * 0.07), 2))
    assert corrected_resampled([0.1, 0.2, 0.6], 0).p_value() == pytest.approx(
        stats.ttest_1samp([0.1, 0.2, 0.6], 0).pvalue
    )
    assert corrected_resampled([0.1, 0.2, 0.6], 0.5, 0.4, 4, 9) == found  # up to four seeds it is the published formula
    many = corrected_resampled([0.1, 0.2, 0.6], 0.5, 0.4, 8, 21)
    assert many.variance - found.variance == pytest.approx(0.5 * 0.4 * (1 / 4 - 1 / 8))
    with pytest.raises(ValueError, match="two"):
        corrected_resampled([0.1], 0.5)
    assert pooled_variance([[1.0, 3.0], [2.0, 2.0, 5.0], [4.0]]) == (pytest.approx((2 + 6) / 3), 3)


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, None]) == [pytest.approx(0.03), pytest.approx(0.06), pytest.approx(0.06), None]
    assert holm([0.6, 0.7]) == [1.0, 1.0]
    assert holm([]) == []


def data(seed: int, images: int = 40, classes: int = 2) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(seed)
    labels = np.arange(images) % classes
    logits = random.normal(0, 1, (images, classes)) + 1.2 * np.eye(classes)[labels]
    odds = np.exp(np.round(logits, 1))  # rounded: with ties
    return labels, odds / odds.sum(axis=1, keepdims=True)


def test_pseudo_values_of_accuracy_are_right_and_wrong() -> None:
    labels, probabilities = data(0)
    found = pseudo_values("accuracy", labels, probabilities, 1, np.arange(40))
    assert found is not None
    np.testing.assert_allclose(found.values, metrics.predicted_classes(probabilities, 1) == labels, atol=1e-12)


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("size", [1, 3])
@pytest.mark.parametrize("metric", sorted(metrics.METRICS))
def test_closed_forms_are_the_score_without_each_case(metric: str, size: int, classes: int) -> None:
    labels, probabilities = data(1, classes=classes)
    cases = np.arange(40) // size
    score = metrics.score(metric, labels, probabilities, 0)
    found = pseudo_values(metric, labels, probabilities, 0, cases)
    if score is None:
        assert found is None
        return
    count = cases.max() + 1
    left = [metrics.score(metric, labels[cases != g], probabilities[cases != g], 0) for g in range(count)]
    expected = count * score - (count - 1) * np.array(left, dtype=float)
    assert found is not None
    assert found.score == score
    np.testing.assert_allclose(found.values, expected - expected.mean() + score, atol=1e-9)


def test_a_score_that_needs_one_image_has_no_pseudo_values() -> None:
    labels, probabilities = data(2)
    labels[:] = 0
    labels[3] = 1
    found = pseudo_values("auroc", labels, probabilities, 1, np.arange(40))
    assert found is not None
    assert found.values is None
    labels[3] = 0
    assert pseudo_values("auroc", labels, probabilities, 1, np.arange(40)) is None


def test_many_cases_are_left_out_in_blocks_of_whole_cases() -> None:
    cases = np.repeat(np.arange(1000), 2)
    found = blocks(cases)
    assert found.max() == 249
    assert (found[::2] == found[1::2]).all()
    assert set(np.bincount(found)) == {8}


@pytest.mark.parametrize(
    ("seeds", "parts"), [(3, (0.002, 0.1, 0.2)), (5, (0.0005, 0.1, 0.2)), (10, (0.004, 0.02, 0.2))]
)
def test_power_is_the_rate_of_simulated_rejections(seeds: int, parts: tuple[float, float, float]) -> None:
    cases, studies, components = 200, 20_000, Components(*parts)
    random = np.random.default_rng(seeds)
    residual = components.residual
    expected = (cases * parts[0] + residual, seeds * parts[1] + residual, residual)
    dfs = (seeds - 1, cases - 1, (seeds - 1) * (cases - 1))
    squares = [ms * random.chisquare(df, studies) / df for ms, df in zip(expected, dfs, strict=True)]
    variance, share = combine(*squares, seeds, cases)
    critical = critical_value(np.stack([share, 1 - share], axis=-1), [seeds - 1, cases - 1])
    deviation = np.sqrt(components.of_mean(seeds, cases))
    for effect in (2.5 * deviation, 4 * deviation):
        called = np.abs(random.normal(effect, deviation, studies)) > critical * np.sqrt(variance)
        assert called.mean() == pytest.approx(two_way_power(effect, components, seeds, cases), abs=0.03)


def test_needs_are_the_smallest_numbers_with_enough_power() -> None:
    parts = Components(0.002, 0.05, 0.2)
    found = two_way_needs(0.05, parts, 3, 200)
    seeds, cases = found.seeds, found.cases
    assert seeds is not None
    assert two_way_power(0.05, parts, seeds, 200) >= 0.8 > two_way_power(0.05, parts, seeds - 1, 200)
    assert cases is None  # three seeds alone have too much noise
    assert two_way_needs(0.01, Components(0.0001, 0.5, 0.2), 3, 200).seeds is None
    assert two_way_needs(0.05, Components(None, 0.05, 0.2), 1, 200) == Needs()
    assert needed(lambda n: 0.9, 7, 100) == 7


@pytest.mark.parametrize(("seeds", "run_sd"), [(3, 0.06), (10, 0.015)])
def test_equal_arms_are_rarely_called_different(seeds: int, run_sd: float) -> None:
    """Right answers from a probit model; 500 studies, so at most the 99.9% limit of a true rate of 5%."""
    random, studies, cases = np.random.default_rng(11), 500, 200
    latent = random.normal(0, 1, (studies, 2, seeds, cases)) + 1.5 * random.normal(0, 1, (studies, 1, 1, cases))
    latent += 0.84 * 1.8 + run_sd / 0.28 * 1.8 * random.normal(0, 1, (studies, 2, seeds, 1))
    right = (latent > 0).astype(float)
    called = sum(two_way(table).p_value() < 0.05 for table in right[:, 0] - right[:, 1])
    assert called <= stats.binom.ppf(0.999, studies, 0.05)
    assert called > 0


def test_of_several_candidates_the_most_cautious_counts_at_every_level() -> None:
    """Three folds that hardly vary have the wider tails, many cases the wider middle."""
    folds, cases = corrected_resampled([0.20, 0.20, 0.21], 0.5), Estimate(0.2, 0.03**2, ((1.0, 299),))
    both = most_cautious([folds, cases], 0.2)
    assert isinstance(both, Candidates)
    assert folds.reach() < cases.reach()
    assert folds.p_value() > cases.p_value()
    assert both.p_value() == pytest.approx(folds.p_value(), rel=0.1)
    assert both.interval() == pytest.approx(cases.interval())
    for level in (0.05, 1e-3, 1e-6):
        low, high = both.interval(level)
        assert max(both.p_value(low), both.p_value(high)) == pytest.approx(level)
        assert high - low == pytest.approx(2 * max(folds.reach(level), cases.reach(level)), rel=0.02)
    margin = both.interval()[1]
    assert both.p_within(margin) == pytest.approx(0.025)


def test_candidates_without_spread_are_left_out_and_nothing_is_nothing() -> None:
    agreeing, cases = corrected_resampled([0.2, 0.2, 0.2], 0.5), Estimate(0.2, 0.01, ((1.0, 50),))
    assert most_cautious([agreeing, cases, None], 0.2) == cases
    only = most_cautious([agreeing, None], 0.2)
    assert only is not None
    assert (only.value, only.variance) == (0.2, 0.0)
    assert most_cautious([None], 0.2) is None


@settings(deadline=None, max_examples=50)
@given(
    st.lists(st.tuples(st.floats(0.001, 1), st.floats(1, 300)), min_size=2, max_size=3),
    st.floats(-1, 1),
    st.floats(0.001, 0.5),
)
def test_p_and_interval_agree_at_every_level(parts: list[tuple[float, float]], null: float, level: float) -> None:
    both = most_cautious([Estimate(0.1, error**2, ((1.0, df),)) for error, df in parts], 0.1)
    assert both is not None
    low, high = both.interval(level)
    assume(min(abs(null - low), abs(null - high)) > 1e-6)
    assert (both.p_value(null) <= level) == (not low <= null <= high)


def test_more_pairs_need_more_seeds_and_few_seeds_foretell_nothing() -> None:
    parts = Components(seed=0.001, case=0.02, residual=0.1)
    alone, of_six = (two_way_needs(0.05, parts, 5, 200, 0.05 / tests).seeds for tests in (1, 6))
    assert alone is not None
    assert of_six is not None
    assert 5 < alone < of_six
    assert two_way_needs(0.05, parts, 2, 200) == Needs()
    assert two_way_needs(0.0001, parts, 5, 200) == Needs(), "more than 100 times as many is no advice"


def test_where_neither_alone_will_do_both_together_are_named() -> None:
    parts = Components(seed=0.001, case=0.2, residual=0.1)
    both = two_way_needs(0.02, parts, 5, 200)
    assert both.together
    assert both.seeds is not None
    assert both.cases is not None
    assert both.cases / 200 == both.seeds / 5 == both.seeds // 5
    assert two_way_power(0.02, parts, both.seeds, both.cases) >= 0.8
    assert two_way_power(0.02, parts, both.seeds - 5, both.cases - 200) < 0.8
    assert two_way_power(0.02, parts, 500, 200) < 0.8
    assert two_way_power(0.02, parts, 5, 20_000) < 0.8
