"""The Matthews correlation coefficient of true and predicted class (Matthews 1975; of more than two Gorodkin 2004)."""

import numpy as np

from diascope.metrics.arrays import Counts, Judged, Reals
from diascope.metrics.decisions import confusion_left_out
from diascope.metrics.metric import Metric, Question
from diascope.metrics.proportions import clustered_variance
from diascope.metrics.units import Limits, Units


def _matthews(judged: Judged) -> float | None:
    """None where all images have one true class, or one predicted class: there is no correlation with a constant."""
    confusion = judged.confusion
    true, predicted, images = confusion.sum(axis=1), confusion.sum(axis=0), int(confusion.sum())
    spread = (images**2 - int(predicted @ predicted)) * (images**2 - int(true @ true))  # exact: ints of any size
    if not spread:
        return None
    return float((int(np.trace(confusion)) * images - int(true @ predicted)) / spread**0.5)


def _limits(question: Question, value: float) -> Limits:
    """On Fisher's scale, a quarter of a unit added to each cell of the table.

    That keeps a spread where no image is wrong (after Haldane 1956, whose halves cover worse with few groups).
    """
    judged, units = question.judged, question.units
    n, method = units.count(question.everyone), "delta method, Fisher's z"
    if n < 2:
        return Limits(None, None, n, method)
    table = judged.confusion + 0.25 * units.images / n
    middle, gradient = _coefficient(table), influences(table)
    error = (float((table * gradient**2).sum()) * _design_effect(judged, units)) ** 0.5
    half = units.critical(n) * error / (1 - middle**2)
    low, high = np.tanh(np.arctanh(middle) + np.array([-half, half]))
    return Limits(float(min(low, value)), float(max(high, value)), n, method)


def _coefficient(table: Reals) -> float:
    """Of counts (K, K) that need not be whole."""
    true, predicted, images = table.sum(axis=1), table.sum(axis=0), table.sum()
    spread = (images**2 - predicted @ predicted) * (images**2 - true @ true)
    return float((np.trace(table) * images - true @ predicted) / np.sqrt(spread))


def influences(table: Reals | Counts) -> Reals:
    """How much an image sways it (see limits.py), by its true and its predicted class (K, K)."""
    confusion = table.astype(np.float64)  # as integers the products below could overflow
    true, predicted, images = confusion.sum(axis=1), confusion.sum(axis=0), confusion.sum()
    agreement = np.trace(confusion) * images - true @ predicted
    of_predicted, of_true = images**2 - predicted @ predicted, images**2 - true @ true
    change = np.eye(len(confusion)) * images + np.trace(confusion) - predicted[:, None] - true
    relative = (images - predicted) / of_predicted + ((images - true) / of_true)[:, None]
    swayed: Reals = change - agreement * relative
    swayed /= np.sqrt(of_predicted * of_true)
    return swayed


def _design_effect(judged: Judged, units: Units) -> float:
    """By how much grouping raises the variance, at least 1; images a group where none is wrong."""
    if units.groups is None:
        return 1.0
    of_images = influences(judged.confusion)[judged.labels, judged.predicted]
    alone = float(of_images @ of_images)
    of_units = units.sums(of_images)[:, 0]
    if alone <= 1e-18:
        return units.images / len(of_units)
    return max(1.0, clustered_variance(of_units) / alone)


def _left_out(judged: Judged, cases: Counts) -> Reals | None:
    if judged.classes > 2:
        return None
    turned = [judged.positive, 1 - judged.positive]
    tp, fn, fp, tn = confusion_left_out(judged, cases)[:, turned][:, :, turned].reshape(-1, 4).T
    with np.errstate(invalid="ignore"):
        left: Reals = (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))
    return left


MCC = Metric(
    "MCC",
    "Matthews correlation coefficient of true and predicted class",
    *(-1, 1, 1),
    value=_matthews,
    limits=_limits,
    left_out=_left_out,
    needs="at least two true and two predicted classes",
    spelled_out="Matthews correlation coefficient",
)
