"""Cross-validation in summary.json: every fold's scores, and their mean and spread, kept apart from that of the seeds.

A fold's score is the mean over its finished runs (its seeds). The folds' SD has n - 1 in the denominator; beside it
stands the one with n, which many papers and NumPy's `std` give, so that results can be compared.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diascope.metrics import METRICS

Run = Mapping[str, Any]


def fold_scores(runs: Sequence[Run]) -> list[dict[str, Any]]:
    """Of every fold of an arm {"fold", "runs", "planned", "images", and each metric's mean over its finished runs}.

    `runs` are those of summary.json. A metric that is undefined in all runs of a fold is None there.
    """
    return [_fold(number, [run for run in runs if run["fold"] == number]) for number in sorted(_numbers(runs))]


def _numbers(runs: Sequence[Run]) -> set[int]:
    return {run["fold"] for run in runs}


def _fold(number: int, runs: Sequence[Run]) -> dict[str, Any]:
    judged = [run["last"] for run in runs if run["last"] is not None]
    return {
        "fold": number,
        "runs": len(judged),
        "planned": len(runs),
        "images": judged[0]["images"] if judged else None,
        **{name: _mean([scores[name] for scores in judged if scores[name] is not None]) for name in METRICS},
    }


def over_folds(runs: Sequence[Run], folds: Sequence[Mapping[str, Any]]) -> dict[str, dict[str, Any]]:
    """Of every metric {"mean", "sd", "sd_population", "ddof", "n", "min", "max", "sd_seeds"} over the folds.

    sd has n - 1 in the denominator, sd_population n; both need two folds. sd_seeds is that of the seeds within a fold,
    pooled over the folds; None where no fold has two finished runs.
    """
    return {name: _spread([fold[name] for fold in folds], _of_seeds(runs, name)) for name in METRICS}


def _spread(scores: Sequence[float | None], sd_seeds: float | None) -> dict[str, Any]:
    known = [score for score in scores if score is not None]
    several = len(known) > 1
    return {
        "mean": _mean(known),
        "sd": float(np.std(known, ddof=1)) if several else None,
        "sd_population": float(np.std(known)) if several else None,
        "ddof": 1,
        "n": len(known),
        "min": min(known, default=None),
        "max": max(known, default=None),
        "sd_seeds": sd_seeds,
    }


def _of_seeds(runs: Sequence[Run], name: str) -> float | None:
    """The root of the mean variance within folds, weighted by degrees of freedom."""
    squares, freedom = 0.0, 0
    for number in _numbers(runs):
        judged = [run["last"] for run in runs if run["fold"] == number and run["last"] is not None]
        scores = [found[name] for found in judged if found[name] is not None]
        squares += float(np.var(scores)) * len(scores) if scores else 0.0
        freedom += max(0, len(scores) - 1)
    return float(np.sqrt(squares / freedom)) if freedom else None


def _mean(values: Sequence[float]) -> float | None:
    return float(np.mean(values)) if values else None
