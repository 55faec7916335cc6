"""What the AUROC owes to each image: placements, its interval on the logit scale, its value without each case.

DeLong et al. (1988), for groups Obuchowski (1997).
"""

import numpy as np

from diascope.metrics.arrays import Counts, Flags, Judged, Reals
from diascope.metrics.limits import logit_limits, macro_limits
from diascope.metrics.metric import Question
from diascope.metrics.units import Limits, Units


def placements(is_class: Flags, ranking: Reals) -> Reals:
    """For each image (N,) the share of the other side that it is ranked rightly against, ties counting half."""
    of_class, rest = np.sort(ranking[is_class]), np.sort(ranking[~is_class])
    placed = np.empty(len(ranking))
    placed[is_class] = _count_below(ranking[is_class], rest) / len(rest)
    placed[~is_class] = 1 - _count_below(ranking[~is_class], of_class) / len(of_class)
    return placed


def area_influences(is_class: Flags, ranking: Reals) -> Reals:
    """How much each image (N,) sways the area (see limits.py): its placement, centred, over the images of its side."""
    placed = placements(is_class, ranking)
    sides = np.where(is_class, is_class.sum(), (~is_class).sum())
    influences: Reals = (placed - placed[is_class].mean()) / sides
    return influences


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


def area_limits(question: Question, value: float) -> Limits:
    """Of two classes; where they are wholly apart, those that `apart` gives. Of the mean of more, from influences."""
    judged, units = question.judged, question.units
    if judged.classes > 2:
        return macro_limits(question, value, [area_influences(*judged.ranked(k)) for k in judged.against_rest])
    is_class, ranking = judged.ranked(judged.positive)
    method = "DeLong, logit" if units.groups is None else "Obuchowski, logit"
    everyone = units.count(question.everyone)
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


def area_left_out(judged: Judged, cases: Counts) -> Reals | None:
    """Of two classes, as the share of pairs (a positive, a negative) in the right order."""
    if judged.classes > 2:
        return None
    is_class, ranking = judged.ranked(judged.positive)
    of_class, rest = np.sort(ranking[is_class]), np.sort(ranking[~is_class])
    wins = np.empty(len(ranking))  # of each image, against the images of the other side
    wins[is_class] = _count_below(ranking[is_class], rest)
    wins[~is_class] = len(of_class) - _count_below(ranking[~is_class], of_class)
    lost = np.bincount(cases, wins)
    for case in np.flatnonzero(np.bincount(cases) > 1):  # pairs within a case were counted from both ends
        inside = cases == case
        up, down = ranking[inside & is_class], ranking[inside & ~is_class]
        lost[case] -= (np.sign(up[:, None] - down) + 1).sum() / 2
    positives, negatives = np.bincount(cases, is_class), np.bincount(cases, ~is_class)
    with np.errstate(divide="ignore", invalid="ignore"):
        left: Reals = (wins[is_class].sum() - lost) / ((len(of_class) - positives) * (len(rest) - negatives))
    return left


def _count_below(values: Reals, others: Reals) -> Reals:
    """How many of the others (sorted) lie below each value, ties counting half."""
    return np.asarray((np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")) / 2)
