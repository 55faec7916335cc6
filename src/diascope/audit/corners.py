"""Whether a corner of the images, where no lesion should be, gives the class away: letters, rulers, borders, bars."""

from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diascope.audit.association import Association, take_sample
from diascope.audit.confounders import ALPHA, WORTH_ALARM, WORTH_SAYING, association_evidence, in_words
from diascope.audit.facts import CORNER, Audited
from diascope.audit.pictures import as_png
from diascope.audit.thumbnail_features import of_pictures, shrunken
from diascope.core.findings import Finding, Outcome, Severity
from diascope.core.statistics import holm
from diascope.data.index import ImageIndex

CODE = "corners-predict-label"
CORNERS = ("upper left", "upper right", "lower left", "lower right")
_SIDE = 8  # pixels that a corner is averaged to for the model
_SHOWN = 4  # pixels in the evidence
_ENLARGED, _GAP = 6, 8  # of the picture


def corners_predict_label(audited: Audited) -> list[Finding]:
    """One finding: which corner tells most, what each tells, and the mean corner of each class."""
    index, sample = audited.index, take_sample(audited.index)
    if sample is None:
        sentence = "Corners were not set against the classes: every class has images of fewer than 10 groups."
        return [Finding(code=CODE, severity="info", outcome="not applicable", sentence=sentence)]
    found = [sample.associate(of_pictures(audited.facts.corners[sample.rows, c], _SIDE), 4) for c in range(4)]
    adjusted = holm([one.p for one in found])
    told = [c for c in range(4) if adjusted[c] < ALPHA and found[c].auroc >= WORTH_SAYING]
    best = max(told or range(4), key=lambda c: found[c].auroc)
    evidence = association_evidence(found[best], adjusted[best], index) | {
        "corner": CORNERS[best],
        "corners": {name: association_evidence(found[c], adjusted[c], index) for c, name in enumerate(CORNERS)},
        "mean_corner": _mean_corner(audited, best),
    }
    if told and audited.pictures is not None:
        evidence["pictures"] = _draw(audited, audited.pictures)
    outcome: Outcome = "issue" if told else "passed"
    severity: Severity = "warning" if told and found[best].auroc >= WORTH_ALARM else "info"
    sentence = _sentence(found, told, best, index)
    return [Finding(code=CODE, severity=severity, outcome=outcome, sentence=sentence, evidence=evidence)]


def _sentence(found: list[Association], told: list[int], best: int, index: ImageIndex) -> str:
    if not told:
        return f"No corner tells the classes apart; the best, {CORNERS[best]}: {in_words(found[best], index)}."
    others = [CORNERS[c] for c in told if c != best]
    also = f" So do others: {', '.join(others)}." if others else ""
    return (
        f"The {CORNERS[best]} corner alone tells the classes apart: {in_words(found[best], index)}.{also} Unless "
        "lesions reach into it, that is a shortcut: letters, rulers, borders, or the light of another device. Look at "
        "the mean corners, and crop or cover what is there."
    )


def _mean_corner(audited: Audited, corner: int) -> dict[str, Any]:
    """The mean of the corner for each class, 4 x 4 gray levels from 0 to 255, row by row."""
    means = _means(audited)[:, corner]
    return {
        name: np.rint(shrunken(means[k], _SHOWN)).astype(int).tolist() for k, name in enumerate(audited.index.classes)
    }


def _means(audited: Audited) -> NDArray[np.float64]:
    """Mean corners (K, 4, CORNER, CORNER), 0 to 255."""
    corners, labels = audited.facts.corners, audited.index.labels
    return np.stack([corners[labels == k].mean(axis=0) for k in range(len(audited.index.classes))])


def _draw(audited: Audited, pictures: dict[str, bytes]) -> list[dict[str, Any]]:
    """The four mean corners of each class side by side, all on one scale of gray."""
    images = []
    for k, (name, corners) in enumerate(zip(audited.index.classes, _means(audited), strict=True)):
        side, step = CORNER * _ENLARGED, CORNER * _ENLARGED + _GAP
        canvas = np.full((side, 4 * step - _GAP), 255, dtype=np.uint8)
        for c, corner in enumerate(np.rint(corners).astype(np.uint8)):
            canvas[:, c * step : c * step + side] = np.kron(corner, np.ones((_ENLARGED, _ENLARGED), dtype=np.uint8))
        file = f"pictures/{CODE}-{k}.png"
        pictures[file] = as_png(Image.fromarray(canvas))
        count = int((audited.index.labels == k).sum())
        images.append({"file": file, "path": f"mean of {count:,} images", "label": name})
    return [{"caption": f"The mean corners of each class: {', '.join(CORNERS)}", "images": images}]
