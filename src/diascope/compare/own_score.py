"""The variance of an arm's own mean score: what its images give, and what seeds and training sets add beyond that.

A score of one network varies mostly with the images it is judged on, and there are many of those. So the variance is
taken apart, each part with its own degrees of freedom:

- images, from the spread of single cases inside the folds;
- seeds, what runs of one fold differ more than their cases explain, with J (S - 1) df;
- training sets, what folds differ more than EXPLAINED of the noise of cases and seeds, with J - 1 df.

A part that is not seen counts nothing. No unbiased estimate of the variance over folds exists (Bengio and Grandvalet
2004), as folds share training images: training sets that differ much are underestimated, and
benchmarks/results/arm_coverage.md says by how much. The factor of Nadeau and Bengio (2003) did not help there: it
multiplies a spread that mostly is not seen.
"""

from collections.abc import Mapping

import numpy as np

from diascope.compare.estimate import Estimate
from diascope.compare.jackknife import PseudoValues
from diascope.compare.pairs import Key, ScoredRuns, by_fold, two_way_of_fold
from diascope.compare.resampled import pooled_variance

# The share of the folds' spread that cases and seeds explain which is subtracted. Chosen by simulating normal scores in
# 3, 5 and 10 folds: where training sets vary a third as much as the images, intervals hold the truth in 95.2 to 95.6%
# (all of it subtracted, and Nadeau and Bengio's factor: 94.2 to 94.8), where they do not vary in 97.3 (96.8 to 97.0).
EXPLAINED = 0.7


def own_score(runs: Mapping[Key, PseudoValues], size: ScoredRuns) -> Estimate | None:
    """The mean over folds of the mean over seeds; None where a score is undefined without one of its cases."""
    folds = by_fold(runs)
    images: list[tuple[float, float]] = []  # variance and df of each fold's mean over its cases
    residuals: list[float] = []  # of each fold's single run
    for fold, scores in folds.items():
        found = two_way_of_fold(runs, fold, size.cases[fold])
        if found is None or found.components is None:
            return None
        parts, cases = found.components, size.cases[fold]
        images.append((parts.case / cases + parts.residual / (len(scores) * cases), found.sources[-1][1]))
        residuals.append(parts.residual / cases)
    count = len(folds)
    per_seed = [1 / len(scores) for scores in folds.values()]
    within, seed_df = pooled_variance(list(folds.values()))
    seed = max(0.0, within - float(np.mean(residuals)))
    of_images = sum(variance for variance, _ in images) / count**2
    parts_of_mean = [
        (of_images, df_of_sum(images)),
        (seed * sum(per_seed) / count**2, float(max(1, seed_df))),
    ]
    if count > 1:
        means = [float(np.mean(scores)) for scores in folds.values()]
        explained = float(np.mean([variance for variance, _ in images])) + seed * float(np.mean(per_seed))
        beyond = max(0.0, float(np.var(means, ddof=1)) - EXPLAINED * explained)
        parts_of_mean.append((beyond / count, float(count - 1)))
    variance = sum(part for part, _ in parts_of_mean)
    value = float(np.mean([np.mean(scores) for scores in folds.values()]))
    sources = tuple((part / variance, df) for part, df in parts_of_mean if part > 0) if variance > 0 else ((1.0, 1.0),)
    return Estimate(value, variance, sources)


def df_of_sum(parts: list[tuple[float, float]]) -> float:
    """Degrees of freedom of a sum of independent variances, each with its own (Satterthwaite 1946)."""
    squares = sum(variance**2 / df for variance, df in parts)
    return sum(variance for variance, _ in parts) ** 2 / squares if squares > 0 else sum(df for _, df in parts)
