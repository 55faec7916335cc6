"""Interval of the AUROC on the logit scale: DeLong et al. (1988), for groups Obuchowski (1997)."""

import numpy as np

from diascope.metrics.arrays import Flags, Reals
from diascope.metrics.influence import placements
from diascope.metrics.limits import logit_limits
from diascope.metrics.units import Limits, Units


def area_variance(is_class: Flags, ranking: Reals, units: Units) -> float:
    """The variance of the AUROC; NaN where a side has fewer than two units."""
    placed = placements(is_class, ranking)
    centred = placed - placed[is_class].mean()
    sides = units.sums(
        np.where(is_class, centred, 0) / is_class.sum(), np.where(is_class, 0, centred) / (~is_class).sum()
    )
    positives, negatives = units.count(is_class), units.count(~is_class)
    if min(positives, negatives) < 2:
        return float("nan")
    of_positives, of_negatives = (sides**2).sum(axis=0)
    together = 0.0 if units.groups is None else 2 * sides[:, 0] @ sides[:, 1] * len(sides) / (len(sides) - 1)
    return float(of_positives * positives / (positives - 1) + of_negatives * negatives / (negatives - 1) + together)


def area_limits(is_class: Flags, ranking: Reals, units: Units) -> Limits:
    """The limits of the AUROC; where the classes are wholly apart, those that `apart` gives."""
    method = "DeLong, logit" if units.groups is None else "Obuchowski, logit"
    everyone = units.count(np.ones(len(ranking), dtype=bool))
    positives, negatives = units.count(is_class), units.count(~is_class)
    area = float(placements(is_class, ranking)[is_class].mean())
    variance = area_variance(is_class, ranking, units)
    if np.isnan(variance):
        return Limits(None, None, everyone, method)
    critical = units.critical(min(positives, negatives) if units.groups is not None else everyone)
    if area in (0, 1):
        bound = apart(positives, negatives, critical)
        return Limits(*((bound, 1.0) if area else (0.0, 1 - bound)), everyone, "score bound, classes wholly apart")
    return logit_limits(area, variance**0.5, critical, min(positives, negatives), everyone, method)


def apart(positives: int, negatives: int, critical: float) -> float:
    """The lowest AUROC from which classes of so many units are still found wholly apart: 1 - A = critical * error(A).

    The standard error is Hanley and McNeil's (1982) with both of its numbers of images set to their mean, the fifth
    method of Newcombe (2006). Numbers alike it falls to about 1 - critical^2 / (2 * positives).
    """
    from scipy.optimize import brentq

    mean = (positives + negatives) / 2 - 1

    def distance(area: float) -> float:
        spread = 1 + mean * ((1 - area) / (2 - area) + area / (1 + area))
        return (1 - area) - critical**2 * area * spread / (positives * negatives)

    return float(brentq(distance, 0, 1))
