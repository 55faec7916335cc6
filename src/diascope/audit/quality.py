"""Images that hardly show anything: blank, saturated, dark or blurred, judged against the other images of the set.

An X-ray is dark and a dermoscopy is soft, so that what counts is how far an image lies below the median of its set, in
spreads of the lower half (from the median to the lower quartile, as a standard deviation): a long upper tail, which
real sets have, widens nothing. Beside that stand floors below which no image is of use.
"""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.audit.facts import Audited, Facts
from diascope.audit.pictures import SHOWN, write_pictures
from diascope.audit.wording import NAMED, file_actions
from diascope.core.findings import Finding

Flags = NDArray[np.bool_]
Reals = NDArray[np.float64]

_BLANK = 1 / 255  # standard deviation of gray: one level of 8 bits, as compression leaves it in an empty picture
_BRIGHT = 0.25  # share of pixels at the highest level, ...
_BRIGHTER = 0.2  # ... and so much more than the median image: white paper around every image is not saturation
_DARK, _DARK_SPREADS, _BLACK = 0.06, 4.0, 0.015  # mean gray, 0 to 1: dark and far below the others; dark anyway
_CONTRAST = 0.04  # standard deviation of gray that a dark image does not reach: an X-ray may be black but for the bone
_BLUR_SPREADS, _FLAT = 5.0, 1e-6  # of log sharpness below the others; sharpness of what has no detail at all
_LEAST_SPREAD = 0.25  # of logarithms: a set of images all alike makes none of them an outlier


def blank_images(audited: Audited) -> list[Finding]:
    """Images of one level of gray, or nearly so."""
    return [
        _found(audited, "blank-images", _blank(audited.facts), "blank", "are blank: every pixel is nearly the same")
    ]


def saturated_images(audited: Audited) -> list[Finding]:
    """Images with a large part at the highest level, unlike the others."""
    bright = audited.facts.bright
    flags = (bright >= _BRIGHT) & (bright >= np.median(bright) + _BRIGHTER) & ~_blank(audited.facts)
    what = "are saturated: a quarter of the pixels or more are at the highest level, where detail is lost"
    return [_found(audited, "saturated-images", flags, "saturated", what, bright)]


def dark_images(audited: Audited) -> list[Finding]:
    """Images of which little is to be seen for darkness."""
    what = "are nearly black, far darker than the others"
    gray = audited.facts.means.mean(axis=1)
    return [_found(audited, "dark-images", _dark(audited.facts), "dark", what, gray)]


def blurred_images(audited: Audited) -> list[Finding]:
    """Images with far less fine detail than the others."""
    facts = audited.facts
    low = spreads_below(np.log(np.maximum(facts.sharpness, 1e-12))) > _BLUR_SPREADS
    flags = (low | (facts.sharpness < _FLAT)) & ~_blank(facts) & ~_dark(facts)
    what = "are blurred: they have far less fine detail than the others"
    return [_found(audited, "blurred-images", flags, "blurred", what, facts.sharpness)]


def spreads_below(values: Reals) -> Reals:
    """How far each value (N,) lies below the median, in spreads of the lower half; negative above it."""
    middle, quartile = np.quantile(values, [0.5, 0.25])
    spread = max(_LEAST_SPREAD, (middle - quartile) / 0.6745)  # the lower quartile of a normal is 0.6745 SD below
    return np.asarray((middle - values) / spread)


def _blank(facts: Facts) -> Flags:
    return np.asarray(facts.deviations < _BLANK)


def _dark(facts: Facts) -> Flags:
    gray = facts.means.mean(axis=1)
    outliers = (gray < _DARK) & (spreads_below(np.log(gray + 1e-3)) > _DARK_SPREADS)
    poor = facts.deviations < _CONTRAST
    return np.asarray((outliers | (gray < _BLACK)) & poor & ~_blank(facts))


def _found(audited: Audited, code: str, flags: Flags, word: str, what: str, values: Reals | None = None) -> Finding:
    index = audited.index
    rows = np.flatnonzero(flags).tolist()
    if not rows:
        sentence = f"No image is {word}."
        return Finding(code=code, severity="info", outcome="passed", sentence=sentence, evidence={"count": 0})
    paths = [index.paths[row] for row in rows]
    per_class = {name: int((index.labels[rows] == k).sum()) for k, name in enumerate(index.classes)}
    evidence: dict[str, Any] = {"count": len(rows), "paths": paths[:NAMED], "images_per_class": per_class}
    if values is not None:
        evidence |= {"values": [float(values[row]) for row in rows[:NAMED]], "median": float(np.median(values))}
    evidence["files"] = file_actions((path, "look", word) for path in paths)
    evidence["pictures"] = write_pictures(audited, code, [(f"The first of {len(rows):,}", rows[:SHOWN])])
    images = "1 image of" if len(rows) == 1 else f"{len(rows):,} images of"
    said = what.replace("are", "is", 1).replace("they have", "it has") if len(rows) == 1 else what
    named = paths[0] if len(paths) == 1 else f"{paths[0]}, ..."
    sentence = f"{images} {len(index):,} {said} ({named}). Look at them, and remove what shows nothing."
    return Finding(code=code, severity="warning", outcome="issue", sentence=sentence, evidence=evidence)
