"""A clue: something about images that is no content of the picture, or need be none, and may give the class away.

What counts: a clue of two values that is in 15 percentage points more of one class's images than of the others' has an
AUROC of 0.575, one of 5 points 0.525. Below 0.525 a clue is not worth a word, however significant; from 0.575 it is
worth an alarm. So is a clue that says little of most images and everything of some: an implant in 2% of them.
"""

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.audit.association import LEVEL, Association, Sample
from diascope.audit.thumbnail_features import Reals, of_levels
from diascope.core.findings import Finding, Severity
from diascope.core.statistics import holm
from diascope.data.index import ImageIndex
from diascope.metrics.proportions import proportion
from diascope.metrics.units import Units

WORTH_SAYING, WORTH_ALARM = 0.525, 0.575
OF_CONTENT = 0.8  # AUROC from which a clue that may be content is worth an alarm: real lesions reach this by colour
ALPHA = 0.025  # of a family of clues: there are two, of files and of corners, and columns where a manifest has any
_TELLING, _TELLING_IMAGES, _TELLING_GROUPS, _TELLING_PART = 0.3, 10, 5, 0.01  # see telling_level
_MOST_LEVELS = 30
_OTHERS = "(others)"


@dataclass(frozen=True, eq=False)
class Clue:
    """One clue: `levels` or `numbers` hold a value an image of the index, the other is None.

    `content`: it may be a true sign of the class, as brightness may. `remedy`: what to do, a sentence.
    """

    code: str
    what: str  # as a sentence begins
    remedy: str
    levels: Sequence[str] | None = None
    numbers: dict[str, NDArray[np.float64] | NDArray[np.int64]] | None = None
    features: Reals | None = None
    content: bool = False

    @property
    def constant(self) -> bool:
        """Whether it is the same for all images, so that it says nothing."""
        if self.levels is not None:
            return len(set(self.levels)) == 1
        assert self.numbers is not None
        return all(float(np.ptp(column)) == 0 for column in self.numbers.values())


@dataclass(frozen=True)
class Level:
    """A value whose images are of a class more often than others by 30 points or more."""

    name: str
    told: int
    share: float
    elsewhere: float
    images: int

    @property
    def weight(self) -> float:
        """How plainly it is seen: a chi-squared but for its scale."""
        return self.images * (self.share - self.elsewhere) ** 2


def weigh(clues: Sequence[Clue], index: ImageIndex, sample: Sample | None) -> list[Finding]:
    """A finding for each clue; p-values are corrected for how many of them there are (Holm)."""
    if sample is None:
        return [_not_applicable(clue, "every class has images of fewer than 10 groups") for clue in clues]
    moving = [clue for clue in clues if not clue.constant]
    found = [sample.associate(columns_of(clue, sample), len(moving)) for clue in moving]
    adjusted = holm([one.p for one in found])
    said = {id(clue): judge(clue, one, p, index, sample) for clue, one, p in zip(moving, found, adjusted, strict=True)}
    return [said.get(id(clue)) or _not_applicable(clue, "it is the same for all images") for clue in clues]


def judge(clue: Clue, found: Association, p: float, index: ImageIndex, sample: Sample) -> Finding:
    """What is said of a clue with this association; `p` is corrected for the number of clues."""
    evidence = association_evidence(found, p, index) | _tables(clue, index, sample)
    level = None if clue.levels is None or p >= ALPHA else telling_level(clue.levels, index, sample)
    if level is not None:
        evidence["level"] = {"value": level.name, "class": index.classes[level.told], "images": level.images}
        evidence["level"] |= {"share": level.share, "elsewhere": level.elsewhere}
    if p >= ALPHA or (found.auroc < WORTH_SAYING and level is None):
        sentence = f"{clue.what} does not tell the classes apart: {in_words(found, index)}."
        return Finding(code=clue.code, severity="info", outcome="passed", sentence=sentence, evidence=evidence)
    alarm = found.auroc >= (OF_CONTENT if clue.content else WORTH_ALARM) or level is not None
    severity: Severity = "warning" if alarm else "info"
    said = "" if level is None else f" Of the {level.images:,} images with {level.name}, {_percent(level.share)} are "
    said += "" if level is None else f"{index.classes[level.told]}, of the others {_percent(level.elsewhere)}."
    little = "" if alarm or clue.content else " That is little."
    sentence = f"{clue.what} alone tells the classes apart: {in_words(found, index)}.{said}{little} {clue.remedy}"
    return Finding(code=clue.code, severity=severity, outcome="issue", sentence=sentence, evidence=evidence)


def in_words(found: Association, index: ImageIndex) -> str:
    """The AUROC, in words."""
    rest = "" if len(index.classes) == 2 else f" for {index.classes[found.told]} against the rest"
    return f"AUROC {found.auroc:.2f}{rest}, 95% interval {found.low:.2f} to {found.high:.2f} (0.5 is chance)"


def association_evidence(found: Association, p: float, index: ImageIndex) -> dict[str, Any]:
    """The numbers of an association, for programs."""
    return {
        "auroc": found.auroc,
        "low": found.low,
        "high": found.high,
        "p": found.p,
        "p_holm": p,
        "class": index.classes[found.told],
        "images": found.images,
        "groups": found.groups,
    }


def telling_level(levels: Sequence[str], index: ImageIndex, sample: Sample) -> Level | None:
    """The value that gives most of its images away: at least 10 of 5 groups and 1% of all.

    The interval of its share of a class excludes the share elsewhere, corrected for the number of values and classes.
    """
    values = np.array(levels)[sample.rows]
    names = np.unique(values).tolist()
    units = Units(len(values), sample.groups, level=1 - (1 - LEVEL) / (len(names) * len(index.classes)))
    best: Level | None = None
    for name in names:
        has = values == name
        enough = has.sum() >= max(_TELLING_IMAGES, _TELLING_PART * len(has)) and units.count(has) >= _TELLING_GROUPS
        if not enough or has.sum() > len(has) / 2:
            continue
        for told in range(len(index.classes)):
            inside = proportion(sample.labels == told, has, units)
            elsewhere = float((sample.labels[~has] == told).mean())
            if inside is None or (inside.limits.low or 0) <= elsewhere or inside.value - elsewhere < _TELLING:
                continue
            level = Level(str(name), told, inside.value, elsewhere, int(has.sum()))
            if best is None or level.weight > best.weight:
                best = level
    return best


def columns_of(clue: Clue, sample: Sample) -> Reals:
    """What a model gets to see of a clue: (N, F), a row an image of the sample."""
    if clue.features is not None:
        return clue.features[sample.rows]
    assert clue.levels is not None
    values = np.array(clue.levels)[sample.rows].tolist()
    often = dict(Counter(values).most_common(_MOST_LEVELS))
    return of_levels([value if value in often else _OTHERS for value in values])


def _tables(clue: Clue, index: ImageIndex, sample: Sample) -> dict[str, Any]:
    """How the clue's values are spread over the classes: counts of levels, or quartiles of numbers."""
    labels = index.labels[sample.rows]
    if clue.levels is not None:
        values = np.array(clue.levels)[sample.rows]
        often = [name for name, _ in Counter(values.tolist()).most_common(_MOST_LEVELS)]
        counts = {
            name: {kind: int(((values == name) & (labels == k)).sum()) for k, kind in enumerate(index.classes)}
            for name in often
        }
        return {"levels": len(set(values.tolist())), "images_per_level": counts}
    assert clue.numbers is not None
    quartiles = {
        name: {
            kind: [float(q) for q in np.quantile(column[sample.rows][labels == k], (0.25, 0.5, 0.75))]
            for k, kind in enumerate(index.classes)
            if (labels == k).any()
        }
        for name, column in clue.numbers.items()
    }
    return {"quartiles": quartiles}


def _not_applicable(clue: Clue, why: str) -> Finding:
    sentence = f"{clue.what} was not set against the classes: {why}."
    return Finding(code=clue.code, severity="info", outcome="not applicable", sentence=sentence)


def _percent(share: float) -> str:
    return f"{100 * share:.1f}%"
