"""How much each image sways a metric: the change of the metric per change of the image's weight, at equal weights.

The sum of their squares estimates the variance of any smooth metric (the infinitesimal jackknife: Jaeckel 1972, Efron
1982), for groups the sum of squares of the groups' sums. Each function returns influences (N,), which sum to 0.
"""

import numpy as np

from diascope.metrics.arrays import Counts, Flags, Reals


def of_ratio(part: Flags | Reals, whole: Flags | Reals) -> Reals:
    """Of sum(part) / sum(whole), each (N,)."""
    total = whole.sum()
    influences: Reals = (part - part.sum() / total * whole) / total
    return influences


def of_area(is_class: Flags, ranking: Reals) -> Reals:
    """Of the AUROC: the placements of DeLong et al. (1988), centred, over the number of images of their side."""
    placed = placements(is_class, ranking)
    sides = np.where(is_class, is_class.sum(), (~is_class).sum())
    influences: Reals = (placed - placed[is_class].mean()) / sides
    return influences


def placements(is_class: Flags, ranking: Reals) -> Reals:
    """For each image (N,) the share of the other side that it is ranked rightly against, ties counting half."""
    of_class, rest = np.sort(ranking[is_class]), np.sort(ranking[~is_class])
    placed = np.empty(len(ranking))
    placed[is_class] = _share_below(ranking[is_class], rest)
    placed[~is_class] = 1 - _share_below(ranking[~is_class], of_class)
    return placed


def of_average_precision(is_class: Flags, ranking: Reals) -> Reals:
    """Of average precision: an image matters by its own precision and by those of the images ranked no higher."""
    order = np.argsort(-ranking, kind="stable")
    truth = is_class[order].astype(np.float64)
    tie = np.r_[0, np.cumsum(np.diff(ranking[order]) != 0)]  # number of the run of ties that an image is in
    above = np.cumsum(np.bincount(tie))[tie]  # images at or above
    precision = np.cumsum(np.bincount(tie, truth))[tie] / above
    positives = truth.sum()
    own = truth * (precision - truth @ precision / positives)
    lower = truth * _at_or_below(truth / above, tie) - _at_or_below(truth * precision / above, tie)
    influences = np.empty(len(order))
    influences[order] = (own + lower) / positives
    return influences


def of_matthews(table: Reals | Counts) -> Reals:
    """Of the Matthews correlation coefficient: influences (K, K) of an image by its true and its predicted class."""
    confusion = table.astype(np.float64)  # as integers the products below could overflow
    true, predicted, images = confusion.sum(axis=1), confusion.sum(axis=0), confusion.sum()
    agreement = np.trace(confusion) * images - true @ predicted
    of_predicted, of_true = images**2 - predicted @ predicted, images**2 - true @ true
    change = np.eye(len(confusion)) * images + np.trace(confusion) - predicted[:, None] - true
    relative = (images - predicted) / of_predicted + ((images - true) / of_true)[:, None]
    influences: Reals = change - agreement * relative
    influences /= np.sqrt(of_predicted * of_true)
    return influences


def _share_below(values: Reals, others: Reals) -> Reals:
    """The share of others (sorted) below each value, ties counting half."""
    doubled = np.searchsorted(others, values, "left") + np.searchsorted(others, values, "right")
    return np.asarray(doubled / (2 * len(others)))


def _at_or_below(values: Reals, tie: Counts) -> Reals:
    """Sums of the values (N,) from the start of each one's run of ties to the end."""
    of_runs = np.cumsum(np.bincount(tie, values)[::-1])[::-1]
    return np.asarray(of_runs[tie], dtype=np.float64)
