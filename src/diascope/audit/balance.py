"""How many images each class has: whether classes are unequal, and what so few images can show."""

import numpy as np
from numpy.typing import NDArray

from diascope.audit.facts import Audited
from diascope.audit.wording import not_applicable
from diascope.core.findings import Finding, Outcome, Severity
from diascope.core.statistics import wilson
from diascope.core.text import counted
from diascope.data.index import ImageIndex
from diascope.metrics.units import student

UNEQUAL = 1.5  # from here on a report is led by balanced accuracy (compare/primary.py)
_ALARM = 4.0  # the frequent class is four in five of two: always answering it looks like a good network
_ACCURACY = 0.8  # what intervals are shown for
_WIDE = 0.1  # an interval that reaches further than this from 0.8 cannot tell a good network from a poor one
_FEW = 20  # units of a class to be judged on: one more right or wrong moves its sensitivity by 5 points
_LEAST = 2  # units: of fewer no interval can be told
_HOLDOUT = 0.2  # of the images are validated where no split is planned
_HOLDOUT_KIND = "a validation side of a fifth of the images"


def class_imbalance(audited: Audited) -> list[Finding]:
    """Counts of each class, and the ratio of the largest to the smallest."""
    index = audited.index
    counts = dict(zip(index.classes, np.bincount(index.labels, minlength=len(index.classes)).tolist(), strict=True))
    *_, few = sorted(counts, key=counts.__getitem__, reverse=True)
    many = max(counts, key=counts.__getitem__)
    ratio = counts[many] / max(1, counts[few])
    share = counts[many] / len(index)
    evidence = {"images": counts, "ratio": ratio, "always_frequent_accuracy": share}
    said = f"{counted(counts[many], 'image')} of {many}, {counts[few]:,} of {few}"
    if ratio < UNEQUAL:
        sentence = f"The classes have much the same number of images: {said}."
        return [_finding("class-imbalance", "info", "passed", sentence, evidence)]
    sentence = (
        f"The classes are unequal: {said}, {ratio:.1f} times as many. Always answering {many} has an accuracy of "
        f"{share:.3f}: judge by balanced accuracy and AUROC (Diascope does by itself), and try "
        "training.class_weights: balanced or training.sampler: balanced."
    )
    severity: Severity = "warning" if ratio >= _ALARM else "info"
    return [_finding("class-imbalance", severity, "issue", sentence, evidence)]


def too_few_images(audited: Audited) -> list[Finding]:
    """How wide the interval of an accuracy of 0.8 would be on what is judged, and whether a class has too few.

    Never more than information: few images are no defect, and every interval of a report shows what they cost.
    """
    index = audited.index
    judged = _judged(audited)
    unit = "images" if index.groups is None else "groups"
    if judged is None:
        per_class = {name: int(_units(index, index.labels == k) * _HOLDOUT) for k, name in enumerate(index.classes)}
        units, images = int(_units(index, np.ones(len(index), bool)) * _HOLDOUT), int(len(index) * _HOLDOUT)
        where = _HOLDOUT_KIND
    else:
        per_class = {name: _units(index, judged & (index.labels == k)) for k, name in enumerate(index.classes)}
        units, images, where = _units(index, judged), int(judged.sum()), "the validation side of the planned split"
    if judged is None and units < _LEAST:
        available = counted(len(index) if index.groups is None else len(set(index.groups)), unit[:-1])
        sentence = f"It cannot be judged how sure an accuracy would be: a fifth of {available} is no validation side."
        return not_applicable("too-few-images", sentence)
    few = {name: count for name, count in per_class.items() if count < _FEW}
    low, high = wilson(_ACCURACY, max(1, units), student(0.95, max(2, units)))
    evidence = {"unit": unit, "units": units, "images": images, "units_per_class": per_class}
    evidence |= {"accuracy": _ACCURACY, "low": low, "high": high}
    there = counted(images, "image") + ("" if index.groups is None else f" of {counted(units, 'group')}")
    interval = f"an accuracy of 0.80 would have a 95% interval of {low:.2f} to {high:.2f}"
    alike = "" if index.groups is None else " if the images of a group are alike"
    said = f"On {where} ({there}) {interval}{alike}."
    if not few and _ACCURACY - low <= _WIDE:
        return [_finding("too-few-images", "info", "passed", said, evidence)]
    rare = ", ".join(f"{counted(count, unit[:-1])} of {name}" for name, count in few.items())
    rare = f" Only {rare} {'is' if [*few.values()] == [1] else 'are'} judged." if few else ""
    every = audited.folds is not None and audited.folds.kind == "kfold"
    kfold = "" if every else "use split.kind kfold, which judges every image once, "
    remedy = f" Do not trust small differences: {kfold}{'' if every else 'or '}add images."
    return [_finding("too-few-images", "info", "issue", said + rare + remedy, evidence)]


def _judged(audited: Audited) -> NDArray[np.bool_] | None:
    """Which images are on a validation side (N,); None where no split is planned."""
    if audited.folds is None:
        return None
    place = {path: row for row, path in enumerate(audited.index.paths)}
    judged = np.zeros(len(audited.index), dtype=bool)
    for fold in audited.folds.folds:
        rows = [place.get(audited.folds.paths[row]) for row in fold.validation.tolist()]
        judged[[row for row in rows if row is not None]] = True  # an unreadable image is in no index
    return judged


def _units(index: ImageIndex, members: NDArray[np.bool_]) -> int:
    if index.groups is None:
        return int(members.sum())
    return len({index.groups[row] for row in np.flatnonzero(members).tolist()})


def _finding(code: str, severity: Severity, outcome: Outcome, sentence: str, evidence: dict[str, object]) -> Finding:
    return Finding(code=code, severity=severity, outcome=outcome, sentence=sentence, evidence=evidence)
