"""Power, and how many seeds, folds or images would show a stated margin: from the noncentral t distribution."""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np

from diascope.compare.estimate import LEVEL, Components
from diascope.compare.resampled import variances
from diascope.compare.two_way import combine

POWER = 0.8
_GRID = (np.arange(400) + 0.5) / 400  # midpoints of equal probabilities
MOST = 100  # times what there is: beyond that "more of the same" is no advice
MOST_FOLDS, IN_A_FOLD = 20, 10  # folds that are looked at, and cases that each of them has at least
FEWEST = 3  # seeds, or folds, from which a variance says anything about what more of them would bring


def two_way_power(effect: float, components: Components, seeds: int, cases: int, level: float = LEVEL) -> float:
    """Power of the two-way analysis for a true difference, given the true components of variance; S >= 2.

    Noncentral t with noncentrality effect / sqrt(Var). Critical value and df are those of the squared half-width of the
    interval, the floor on the variance included: its mean, and 2 mean² / variance (Satterthwaite 1946); the mean
    square of the seeds varies as chi-squared with S - 1 df, that of the cases with N - 1.
    """
    from scipy.stats import chi2, t

    variance = components.of_mean(seeds, cases)
    if variance == 0:
        return 1.0
    residual = components.residual
    of_cases = seeds * components.case + residual
    of_seeds = (cases * (components.seed or 0.0) + residual) * chi2.ppf(_GRID, seeds - 1) / (seeds - 1)
    seed_t, case_t = t.isf(level / 2, [seeds - 1, cases - 1]) ** 2
    scaled, _ = combine(of_seeds, np.full_like(of_seeds, of_cases), np.full_like(of_seeds, residual), seeds, cases)
    rest = scaled * seeds * cases - of_seeds
    squared = of_seeds * seed_t + rest * case_t
    spread = squared.var() + 2 * (case_t * min(of_cases, rest.mean())) ** 2 / (cases - 1)
    critical = np.sqrt(squared.mean() / (variance * seeds * cases))
    return _power(effect / np.sqrt(variance), float(critical), float(2 * squared.mean() ** 2 / spread))


def resampled_power(
    effect: float,
    spread: float,
    seed_variance: float,
    folds: int,
    seeds: int,
    validation_share: float,
    variance: float,
    level: float = LEVEL,
) -> float:
    """Power of the corrected resampled t: `spread` is the expected S² of the folds, `seed_variance` that between the
    runs of a fold, `variance` the true one of the mean.

    Noncentral t with noncentrality effect / sqrt(variance); critical value and df are again those of the squared
    half-width, whose parts vary as chi-squared with J - 1 and J (S - 1) df. With up to four seeds the df are J - 1.
    """
    from scipy.stats import t

    parts = variances(spread, seed_variance, folds, seeds, validation_share)
    dfs = [folds - 1, max(1, folds * (seeds - 1))]
    squared = np.array([float(part) for part in parts]) * t.isf(level / 2, dfs) ** 2
    df = squared.sum() ** 2 / (squared**2 / dfs).sum()
    return _power(effect / np.sqrt(variance), float(np.sqrt(squared.sum() / variance)), float(df))


def needed(power: Callable[[int], float], present: int, most: int) -> int | None:
    """The smallest number from `present` to `most` with enough power; None if even `most` has not."""
    if power(present) >= POWER:
        return present
    if power(most) < POWER:
        return None
    low, high = present, most  # low has too little, high enough
    while high - low > 1:
        middle = (low + high) // 2
        low, high = (low, middle) if power(middle) >= POWER else (middle, high)
    return high


@dataclass(frozen=True)
class Needs:
    """Seeds, cases or folds, the others being as they are; None: not by that alone. `together`: it takes all given."""

    seeds: int | None = None
    cases: int | None = None
    together: bool = False
    folds: int | None = None


def _needs(power: Callable[[int, int], float], seeds: int, cases: int, *, more_seeds: bool) -> Needs:
    """Of more seeds alone, more cases alone or, if neither will do, of both by the same whole factor."""
    of_seeds = needed(lambda n: power(n, cases), seeds, MOST * seeds) if more_seeds else None
    of_cases = needed(lambda n: power(seeds, n), cases, MOST * cases)
    if of_seeds is not None or of_cases is not None or not more_seeds:
        return Needs(of_seeds, of_cases)
    factor = needed(lambda k: power(k * seeds, k * cases), 1, MOST)
    return Needs() if factor is None else Needs(factor * seeds, factor * cases, together=True)


def two_way_needs(effect: float, components: Components, seeds: int, cases: int, level: float = LEVEL) -> Needs:
    """What shows `effect` with POWER.

    Up to MOST times as many are looked at; from fewer than FEWEST seeds nothing is foretold. `level` is that of the
    test, after the adjustment for several pairs.
    """
    if components.seed is None or effect == 0 or seeds < FEWEST:
        return Needs()
    return _needs(lambda s, n: two_way_power(effect, components, s, n, level), seeds, cases, more_seeds=True)


def two_way_needs_of_cases(effect: float, components: Components, rows: int, cases: int, level: float = LEVEL) -> Needs:
    """What shows `effect` with POWER where the number of rows is given: folds, of which more would be others."""
    if effect == 0 or rows < FEWEST:
        return Needs()
    return _needs(lambda s, n: two_way_power(effect, components, s, n, level), rows, cases, more_seeds=False)


def resampled_needs(
    effect: float,
    spread: float,
    folds: int,
    within: Components,
    seeds: int,
    cases: int,
    level: float = LEVEL,
) -> Needs:
    """The same for cross-validation: `within` folds, `seeds` a fold, `cases` of all folds together.

    What the folds' S² has beyond the noise within a fold is taken to stay; the corrected variance, to be the true one.
    More folds (another cross-validation of the same cases) have smaller validation sides, but more degrees of freedom.
    """
    if effect == 0 or spread == 0 or folds < FEWEST:
        return Needs()
    present = within.of_mean(seeds, cases / folds)
    beyond = max(0.0, spread - present)
    scale = min(1.0, spread / present) if present > 0 else 1.0

    def power(more_seeds: int, more_cases: int, more_folds: int = folds) -> float:
        expected = beyond + scale * within.of_mean(more_seeds, more_cases / more_folds)
        seed_variance = (within.seed or 0.0) + within.residual / (more_cases / more_folds)
        share = 1 / (more_folds - 1)
        variance = float(sum(variances(expected, seed_variance, more_folds, more_seeds, share)))
        return resampled_power(effect, expected, seed_variance, more_folds, more_seeds, share, variance, level)

    known = within.seed is not None
    of_seeds = needed(lambda n: power(n, cases), seeds, MOST * seeds) if known else None
    of_cases = needed(lambda n: power(seeds, n), cases, MOST * cases)
    most = max(folds, min(MOST_FOLDS, cases // IN_A_FOLD))
    of_folds = next((n for n in range(folds, most + 1) if power(seeds, cases, n) >= POWER), None)
    if of_folds is not None or of_seeds is not None or not known:
        return Needs(of_seeds, of_cases, folds=of_folds)
    both = [
        (n * more, n, more)
        for n in range(folds + 1, most + 1)
        if (more := needed(lambda s, n=n: power(s, cases, n), seeds, MOST * seeds)) is not None  # type: ignore[misc]
    ]
    if both:
        _, n, more = min(both)
        return Needs(more, None, together=True, folds=n)
    if of_cases is not None:
        return Needs(None, of_cases)
    factor = needed(lambda k: power(k * seeds, k * cases), 1, MOST)
    return Needs() if factor is None else Needs(factor * seeds, factor * cases, together=True)


def _power(noncentrality: float, critical: float, df: float) -> float:
    from scipy.stats import nct

    size = min(abs(float(noncentrality)), 37.0)  # beyond this scipy's series gives NaN, and the power is 1 anyway
    return float(np.nan_to_num(nct.sf(critical, df, size), nan=1.0) + np.nan_to_num(nct.cdf(-critical, df, size)))
