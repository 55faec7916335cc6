"""Two-way random-effects analysis of a matrix of differences, seeds x cases (as Obuchowski and Rockette 1995 do it).

D[s, i] = difference + seed_s + case_i + rest_si; the variance of its mean is (MS_seed + MS_case - MS_residual) / (S N).
It is never taken to be less than what the seeds alone, or the cases alone, would give.
"""

import numpy as np

from diascope.compare.estimate import Components, Estimate, Floats


def mean_squares(differences: Floats) -> tuple[Floats, Floats, Floats]:
    """Mean squares (...) of seeds, cases and residual of matrices (..., S, N) with S, N >= 2."""
    seeds, cases = differences.shape[-2:]
    mean = differences.mean(axis=(-2, -1))
    of_seeds, of_cases = differences.mean(axis=-1), differences.mean(axis=-2)
    between_seeds = cases * ((of_seeds - mean[..., None]) ** 2).sum(axis=-1)
    between_cases = seeds * ((of_cases - mean[..., None]) ** 2).sum(axis=-1)
    total = ((differences - mean[..., None, None]) ** 2).sum(axis=(-2, -1))
    left = np.maximum(total - between_seeds - between_cases, 0)
    return between_seeds / (seeds - 1), between_cases / (cases - 1), left / ((seeds - 1) * (cases - 1))


def combine(ms_seed: Floats, ms_case: Floats, ms_residual: Floats, seeds: int, cases: int) -> tuple[Floats, Floats]:
    """Variance of the mean, and the share of it that counts with the seeds' S - 1 degrees of freedom, both (...)."""
    scaled = np.maximum(ms_seed + ms_case - ms_residual, np.maximum(ms_seed, ms_case))
    share = np.divide(ms_seed, scaled, out=np.ones_like(scaled), where=scaled > 0)
    return scaled / (seeds * cases), share


def two_way(differences: Floats, case_df: float | None = None) -> Estimate:
    """The mean of a matrix (S, N), generalizing over seeds and cases; of one seed (S = 1) over cases only.

    `case_df`: what the variance over cases is known with, where that is less than N - 1 (Strata.df). Raises ValueError
    for fewer than two cases.
    """
    differences = np.asarray(differences, dtype=np.float64)
    seeds, cases = differences.shape
    if cases < 2:
        raise ValueError(f"{cases} cases: a variance over cases needs two")
    value = float(differences.mean())
    of_cases = float(cases - 1) if case_df is None else min(case_df, cases - 1)
    if seeds == 1:
        spread = float(differences.var(ddof=1))
        return Estimate(value, spread / cases, ((1.0, of_cases),), Components(None, spread, 0.0))
    ms_seed, ms_case, ms_residual = mean_squares(differences)
    variance, share = combine(ms_seed, ms_case, ms_residual, seeds, cases)
    components = Components(
        seed=max(0.0, float(ms_seed - ms_residual) / cases),
        case=max(0.0, float(ms_case - ms_residual) / seeds),
        residual=float(ms_residual),
    )
    sources = ((float(share), seeds - 1), (1 - float(share), of_cases))
    return Estimate(value, float(variance), sources, components)
