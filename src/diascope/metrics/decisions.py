"""Metrics of decisions: what the counts of true and predicted classes say."""

from dataclasses import dataclass

import numpy as np

from diascope.metrics.arrays import Counts, Judged, Labels, Probabilities, checked, predicted_classes

__all__ = ["Cells", "cells", "confusion_matrix", "macro", "matthews", "predicted_classes", "rate", "share"]


@dataclass(frozen=True)
class Cells:
    """Counts of one class against the rest."""

    true_positive: int
    false_positive: int
    false_negative: int
    true_negative: int


def confusion_matrix(labels: Labels, probabilities: Probabilities, positive: int, threshold: float = 0.5) -> Counts:
    """Counts (K, K): row = true class, column = predicted class."""
    return checked(labels, probabilities, positive, threshold).confusion


def cells(confusion: Counts, class_number: int) -> Cells:
    """One class against the rest, from counts (K, K)."""
    hits = int(confusion[class_number, class_number])
    of_class, called = int(confusion[class_number].sum()), int(confusion[:, class_number].sum())
    return Cells(hits, called - hits, of_class - hits, int(confusion.sum()) - called - of_class + hits)


def rate(name: str, counts: Cells) -> float | None:
    """Sensitivity, specificity, PPV, NPV or F1; None where its denominator is 0."""
    tp, fp, fn, tn = counts.true_positive, counts.false_positive, counts.false_negative, counts.true_negative
    part, whole = {
        "sensitivity": (tp, tp + fn),
        "specificity": (tn, tn + fp),
        "ppv": (tp, tp + fp),
        "npv": (tn, tn + fn),
        "f1": (2 * tp, 2 * tp + fp + fn),
    }[name]
    return share(part, whole)


def macro_rate(judged: Judged, name: str) -> float | None:
    """The rate of the positive class of two, the mean rate of more."""
    return macro([rate(name, cells(judged.confusion, k)) for k in judged.against_rest])


def accuracy(judged: Judged) -> float | None:
    return share(int(np.trace(judged.confusion)), len(judged.labels))


def balanced_accuracy(judged: Judged) -> float | None:
    """Mean sensitivity of all classes; None if a class has no image."""
    images = judged.confusion.sum(axis=1)
    return float((np.diag(judged.confusion) / images).mean()) if images.all() else None


def matthews(confusion: Counts) -> float | None:
    """Matthews correlation coefficient of counts (K, K) (Matthews 1975; for more than two classes Gorodkin 2004).

    None where all images have one true class, or one predicted class: a correlation with a constant does not exist.
    """
    true, predicted, images = confusion.sum(axis=1), confusion.sum(axis=0), int(confusion.sum())
    spread = (images**2 - int(predicted @ predicted)) * (images**2 - int(true @ true))  # exact: ints of any size
    if not spread:
        return None
    return float((int(np.trace(confusion)) * images - int(true @ predicted)) / spread**0.5)


def macro(values: list[float | None]) -> float | None:
    """The mean; None if one is: an average over whichever classes are defined would differ in meaning by fold."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if len(defined) == len(values) else None


def share(part: int, whole: int) -> float | None:
    return part / whole if whole else None
