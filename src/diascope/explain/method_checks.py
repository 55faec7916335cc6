"""The two checks of a method on a run: do its maps lie where the finding is, and do they need the network's weights."""

from functools import partial
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diascope.core.errors import DataError
from diascope.explain.methods import attribute
from diascope.explain.randomization import randomization
from diascope.explain.regions import measure_regions
from diascope.explain.study_images import inputs
from diascope.explain.subject import Subject
from diascope.explain.validation import spread

SANITY = 8  # images at most whose maps are made with random weights
FINEST = 12  # stages at most in which the weights are replaced


def check_regions(subject: Subject, method: str, layer: str | None, most: int) -> dict[str, Any]:
    """measure_regions of maps for the predicted class, of at most so many images.

    Raises DataError where no region is known, or nothing is left of those that are.
    """
    require_regions(subject)
    rows = located_rows(subject, most)
    maps = subject.maps(subject.pixels(rows), subject.judged.predicted[rows], method, layer)
    found = regions_of(subject, rows, maps)
    if found is None:
        what = (
            f"nothing is left of the regions of {len(rows):,} images: they are empty, or data.resize crop cuts them off"
        )
        raise DataError(
            what, where=subject.images.index.source, remedy="look at the masks: whatever is not black is inside"
        )
    return found


def require_regions(subject: Subject) -> None:
    """Raises DataError where no region is known of an image of the validation side."""
    if not len(located_rows(subject, 1)):
        raise subject.images.why_unknown()


def located_rows(subject: Subject, most: int) -> NDArray[np.int64]:
    """The rows, at most so many and spread evenly, of images of which it is known where the finding lies."""
    known = [subject.images.has_region(path) for path in subject.judged.paths]
    return spread(np.flatnonzero(known).astype(np.int64), most)


def regions_of(subject: Subject, rows: NDArray[np.int64], maps: NDArray[np.float32]) -> dict[str, Any] | None:
    """Where maps (N, H, W) of rows (N,) lie; None where no region is known."""
    judged = subject.judged
    regions = [subject.images.region(judged.paths[row]) for row in rows]
    known = np.array([region is not None for region in regions], dtype=bool)
    if not known.any():
        return None
    groups = None if judged.groups is None else [judged.groups[row] for row in rows[known]]
    right = (judged.predicted == judged.labels)[rows[known]]
    return measure_regions(maps[known], np.stack([region for region in regions if region is not None]), right, groups)


def check_sanity(
    subject: Subject,
    method: str,
    layer: str | None = None,
    *,
    rows: NDArray[np.int64] | None = None,
    stages: int = FINEST,
) -> dict[str, Any]:
    """The randomization test over some of the rows (default: those that fix the method's scale)."""
    chosen = spread(subject.reference(method) if rows is None else rows, min(SANITY, subject.affordable // 4))
    images, targets = inputs(subject.pixels(chosen)), torch.from_numpy(subject.judged.predicted[chosen])
    return randomization(subject.model, images, targets, partial(attribute, method=method, layer=layer), stages=stages)
