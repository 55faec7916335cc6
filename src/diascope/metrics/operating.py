"""Operating points: the threshold above which an image is called positive, and what it is worth on other images."""

from dataclasses import dataclass
from typing import Literal

import numpy as np

from diascope.metrics.arrays import Counts, Flags, Groups, Labels, Probabilities, Reals, checked, group_numbers
from diascope.metrics.intervals import Interval
from diascope.metrics.proportions import proportion
from diascope.metrics.ranking import roc_counts
from diascope.metrics.units import Units


@dataclass(frozen=True)
class CrossFitted:
    """Decisions on images, none of which had a say in the threshold that it was decided with."""

    decisions: Flags  # (N,) whether an image is called positive
    parts: Counts  # (N,) which part of the images it is in
    thresholds: Reals  # (parts,) each chosen on the other parts
    sensitivity: Interval
    specificity: Interval
    ppv: Interval
    npv: Interval


def operating_point(
    labels: Labels, probabilities: Probabilities, positive: int, *, sensitivity: float | None = None
) -> float:
    """The threshold of the positive class, against the rest, that these images would choose.

    Without `sensitivity` the one with the highest sensitivity + specificity - 1 (Youden 1950), else the highest that
    reaches that sensitivity. Any threshold between two neighbouring probabilities decides alike: theirs is the middle.
    Of thresholds that are equally good the highest is taken. ValueError unless both classes occur.
    """
    checked(labels, probabilities, positive)
    if sensitivity is not None and not 0 < sensitivity <= 1:
        raise ValueError(f"sensitivity {sensitivity} does not lie between 0 and 1")
    ranking = np.asarray(probabilities, dtype=np.float64)[:, positive]
    counts = roc_counts(np.asarray(labels) == positive, ranking)
    if counts is None:
        raise ValueError("an operating point needs images of the positive class and of others")
    negatives, positives = counts
    true_rate = positives / positives[-1]
    if sensitivity is None:
        # Exact integers: rates that are equal must tie.
        chosen = int(np.argmax(positives * negatives[-1] - negatives * positives[-1]))
    else:
        chosen = int(np.argmax(true_rate >= sensitivity - 1e-12))
    return _between(np.unique(ranking)[::-1], chosen)


def cross_fitted(
    labels: Labels,
    probabilities: Probabilities,
    positive: int,
    *,
    groups: Groups | None = None,
    sensitivity: float | None = None,
    parts: int = 5,
    seed: int = 0,
) -> CrossFitted:
    """Choose the operating point on all parts of the images but one, decide that one with it, for each part in turn.

    Parts hold classes in like shares and never split a group. ValueError where a class has fewer images, or groups,
    than there are parts.
    """
    judged = checked(labels, probabilities, positive)
    truth = judged.labels == positive
    numbers = None if groups is None else group_numbers(groups, len(truth))
    units = Units(len(truth), numbers)
    part_of = _parts(truth, units, parts, seed)
    thresholds = np.array([
        operating_point(judged.labels[others], judged.probabilities[others], positive, sensitivity=sensitivity)
        for others in (part_of != part for part in range(parts))
    ])  # fmt: skip
    called = judged.probabilities[:, positive] > thresholds[part_of]
    return CrossFitted(
        decisions=called,
        parts=part_of,
        thresholds=thresholds,
        sensitivity=_share(called, truth, units),
        specificity=_share(~called, ~truth, units),
        ppv=_share(truth, called, units),
        npv=_share(~truth, ~called, units),
    )


def _between(values: Reals, above: int) -> float:
    """A threshold that leaves `above` of the values, which fall, above it: halfway to the next one, or to 0."""
    if above == 0:
        return float(values[0])
    last = float(values[above - 1])
    below = float(values[above]) if above < len(values) else min(0.0, last - 1)
    middle = (last + below) / 2
    return middle if below <= middle < last else below


def _parts(truth: Flags, units: Units, parts: int, seed: int) -> Counts:
    """The number of the part that each image is in (N,)."""
    from sklearn.model_selection import StratifiedGroupKFold, StratifiedKFold

    fewest = min(units.count(truth), units.count(~truth))
    if not 2 <= parts <= fewest:
        kind = "images" if units.groups is None else "groups"
        raise ValueError(f"{parts} parts cannot be made where a class has {fewest} {kind}; ask for 2 to {fewest}")
    kinds = StratifiedKFold if units.groups is None else StratifiedGroupKFold
    splits = kinds(parts, shuffle=True, random_state=seed).split(truth, truth, units.groups)
    part_of = np.empty(len(truth), dtype=np.int64)
    for number, (_, held) in enumerate(splits):
        part_of[held] = number
    return part_of


def _share(hits: Flags, members: Flags, units: Units) -> Interval:
    share = proportion(hits, members, units)
    unit: Literal["images", "groups"] = "images" if units.groups is None else "groups"
    if share is None:
        return Interval(None, None, None, "none", 0, unit)
    return Interval(share.value, share.limits.low, share.limits.high, share.limits.method, share.limits.n, unit)
