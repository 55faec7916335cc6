"""The images of a study, read before any training: one index, one split, decoded once for each way of showing them."""

from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from diascope.config import canonical_json
from diascope.core.errors import ConfigError
from diascope.core.findings import Finding
from diascope.core.text import did_you_mean
from diascope.data.cache import ImageCache, load_images
from diascope.data.index import ImageIndex, open_index
from diascope.data.split import Folds, make_folds
from diascope.study.compatibility import check_arms, check_sides
from diascope.study.output import refuse_images
from diascope.study.starting import in_order_of_start
from diascope.studyfile import Study

DECODING = "decoding images"
OnUnreadable = Literal["error", "skip"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Images:
    """The decoded images of a study: one index and one split for all arms, a cache for each way of showing them."""

    index: ImageIndex
    folds: Folds
    caches: dict[str, ImageCache]  # by arm
    indices: dict[str, ImageIndex]  # by arm; they differ where arms draw phantoms of their own
    findings: list[Finding]


def read_images(
    study: Study, out: Path | None = None, *, on_unreadable: OnUnreadable = "error", progress: Progress | None = None
) -> Images:
    """Index, decode and split the images of a study that is to be written to `out`, if it is.

    Raises DataError or ConfigError before anything is written to the study.
    """
    in_order_of_start(study.arms)  # raises for one that cannot begin
    caches: dict[str, ImageCache] = {}
    indices: dict[str, ImageIndex] = {}
    by_view: dict[str, tuple[ImageIndex, ImageCache]] = {}
    first: ImageIndex | None = None
    findings: list[Finding] = []
    for arm in study.arms:
        view = canonical_json(arm.data)
        if view not in by_view:
            opened = open_index(arm.data)
            if out is not None:
                refuse_images(out, opened.source, opened.paths)
            _refuse_unknown_columns(study, opened)
            check_arms(study, opened)
            index, cache, found = load_images(opened, arm.data, on_unreadable=on_unreadable, progress=progress)
            by_view[view] = (index, cache)
            findings += [finding for finding in found if finding not in findings]
        indices[arm.name], caches[arm.name] = by_view[view]
        first = first or indices[arm.name]
    assert first is not None  # a study has at least one arm
    folds = make_folds(first, study.split)
    check_sides(study, first, folds)
    return Images(first, folds, caches, indices, findings)


def _refuse_unknown_columns(study: Study, index: ImageIndex) -> None:
    """A subgroup that the data do not know would be missed only after all training."""
    for name in study.config.report.subgroups:
        if name not in index.columns:
            remedy = did_you_mean(name, index.columns) if index.columns else "name a column of a CSV manifest"
            what = f"report.subgroups: {index.source} has no further column {name!r}"
            raise ConfigError(what, where=study.config.name, remedy=remedy)
