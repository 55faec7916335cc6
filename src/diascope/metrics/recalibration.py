"""Logistic recalibration: how predicted logits would have to be shifted and stretched to be right (Cox 1958)."""

import numpy as np

from diascope.metrics.arrays import Flags, Judged, Reals
from diascope.metrics.units import Units

NEAREST = 1e-15  # probabilities are kept this far from 0 and 1, where logits are infinite


def predicted_logits(judged: Judged) -> Reals:
    """Log odds of the positive class (N,), from both columns: near 1, float32 keeps only the other one's distance."""
    kept = np.maximum(judged.probabilities.astype(np.float64), NEAREST)
    logits: Reals = np.log(kept[:, judged.positive] / kept[:, 1 - judged.positive])
    return logits


def recalibration(logits: Reals, truth: Flags) -> Reals | None:
    """Intercept and slope (2,) of logistic regression on one variable, by Newton's method; None where not finite."""
    if not _overlap(logits, truth):
        return None
    centre, scale = logits.mean(), logits.std()  # so that Newton's steps are well conditioned
    design = np.column_stack([np.ones(len(logits)), (logits - centre) / scale])
    share = truth.mean()
    fitted = np.array([np.log(share / (1 - share)), 0.0])
    deviance = _deviance(design @ fitted, truth)
    for _ in range(100):
        p = _expit(design @ fitted)
        step = np.linalg.solve(design.T @ (design * (p * (1 - p))[:, None]), design.T @ (truth - p))
        while (new := _deviance(design @ (fitted + step), truth)) > deviance + 1e-9:
            step /= 2  # far from the solution a whole step can overshoot
        fitted, deviance = fitted + step, new
        if np.abs(step).max() < 1e-11:
            break
    return np.array([fitted[0] - fitted[1] * centre / scale, fitted[1] / scale])


def shift(logits: Reals, truth: Flags) -> float | None:
    """The a at which the mean of expit(a + logits) is the share of the truth; None where that share is 0 or 1."""
    wanted = float(truth.mean()) if len(truth) else 0.0
    if wanted in (0, 1):
        return None
    from scipy.optimize import brentq

    centre = np.log(wanted / (1 - wanted))
    low, high = centre - logits.max(), centre - logits.min()  # all images on one side of the wanted share
    if low == high:
        return float(low)
    return float(brentq(lambda a: float(_expit(a + logits).mean()) - wanted, low - 1e-9, high + 1e-9, xtol=1e-13))


def left_out(logits: Reals, truth: Flags, fit: Reals, units: Units) -> Reals | None:
    """How the coefficients change as each unit is left out (units, 2), by one step of Newton's (Pregibon 1981).

    With one coefficient only the shift changes, the slope staying 1: (units, 1). None where leaving one out leaves no
    solution. Such changes are larger than the sandwich estimator's and cover better with few groups, as its
    third correction does for linear models (MacKinnon and White 1985; Bell and McCaffrey 2002).
    """
    design = np.column_stack([np.ones(len(logits)), logits])[:, : len(fit)]
    p = _expit(fit[0] + logits * (fit[1] if len(fit) > 1 else 1.0))
    gradients = units.sums(*(design * (truth - p)[:, None]).T)
    squares = (design[:, :, None] * design[:, None, :] * (p * (1 - p))[:, None, None]).reshape(len(logits), -1)
    of_units = units.sums(*squares.T).reshape(-1, len(fit), len(fit))
    try:
        changes: Reals = -np.linalg.solve(of_units.sum(axis=0) - of_units, gradients[:, :, None])[:, :, 0]
    except np.linalg.LinAlgError:
        return None
    return changes


def _overlap(logits: Reals, truth: Flags) -> bool:
    """Whether neither class lies wholly at or above the other."""
    of_true, of_false = logits[truth], logits[~truth]
    if not (len(of_true) and len(of_false)):
        return False
    return bool(of_true.min() < of_false.max() and of_false.min() < of_true.max())


def _deviance(logits: Reals, truth: Flags) -> float:
    return float(np.logaddexp(0, np.where(truth, -logits, logits)).sum())


def _expit(logits: Reals) -> Reals:
    from scipy.special import expit

    p: Reals = expit(logits)
    return p
