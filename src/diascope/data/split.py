"""Folds: which images a run learns from, is watched on, and is judged on once. By group, stratified, saved as paths."""

import json
from collections import Counter
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from diascope.core.errors import DataError
from diascope.core.seeding import stream
from diascope.core.text import shorten
from diascope.data.assignment import assign

if TYPE_CHECKING:
    from diascope.config import SplitConfig
    from diascope.data.index import ImageIndex

Rows = NDArray[np.int64]
_NAMED = 5
REDRAW = "let Diascope draw the sides: split: {kind: holdout}"
"""The remedy where given sides do not do."""


@dataclass(frozen=True, eq=False)
class Fold:
    """Sorted row numbers of the index."""

    training: Rows
    validation: Rows


@dataclass(frozen=True, eq=False)
class Folds:
    """`test` belongs to no fold: it is kept apart until the models are judged. `paths` are those of the index."""

    kind: str
    folds: tuple[Fold, ...]
    test: Rows
    paths: list[str] = field(repr=False)

    def save(self, file: Path) -> None:
        """Write the sides as lists of paths, so that people and other programs can read them."""
        folds = [
            {"training": self._named(fold.training), "validation": self._named(fold.validation)} for fold in self.folds
        ]
        tree = {"kind": self.kind, "test": self._named(self.test), "folds": folds}
        file.write_text(json.dumps(tree, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")

    @classmethod
    def load(cls, file: Path, index: "ImageIndex") -> "Folds":
        """Read the sides, and check that they are sides of this index: the same images, nothing on two sides."""
        tree = _read(file)
        number = {path: row for row, path in enumerate(index.paths)}
        try:
            test = _rows(tree["test"], number, file)
            folds = tuple(
                Fold(_rows(f["training"], number, file), _rows(f["validation"], number, file)) for f in tree["folds"]
            )
            kind = str(tree["kind"])
        except (KeyError, TypeError) as error:
            raise DataError("not a file of folds", where=str(file), remedy="remove it; it is written again") from error
        loaded = cls(kind, folds, test, index.paths)
        _check(loaded, index, str(file), "correct the file, or remove it to have it written again")
        return loaded

    def _named(self, rows: Rows) -> list[str]:
        return [self.paths[row] for row in rows.tolist()]


def make_folds(index: "ImageIndex", config: "SplitConfig") -> Folds:
    """The sides of a study. Raises DataError when a class has too few images or groups, or sides overlap.

    given: one fold, as the source says. holdout: one fold, `validation` and `test` as shares of all images. kfold:
    `folds` folds over what `test` leaves, each image on the validation side once. The result depends on paths, groups,
    classes and the seed, not on the order of the images.
    """
    kind = config.kind
    if kind == "auto":
        kind = "holdout" if index.splits is None else "given"
    if kind == "given":
        folds = _given(index)
    elif kind == "holdout":
        folds = _holdout(index, config)
    else:
        folds = _kfold(index, config)
    _check(folds, index, index.source, f"put them on one side in the source, or {REDRAW}")
    return folds


def _given(index: "ImageIndex") -> Folds:
    if index.splits is None:
        what = "split.kind is given, but the source names no sides"
        remedy = f"add a column 'split' or folders train/ and validation/, or {REDRAW}"
        raise DataError(what, where=index.source, remedy=remedy)
    side = np.array(index.splits)
    for name in ("training", "validation"):
        if not (side == name).any():
            what = f"the given split has no {name} side (only {shorten(sorted(set(index.splits)))})"
            remedy = f"mark a part of the images as {name}, or {REDRAW} (which does not use the given sides)"
            raise DataError(what, where=index.source, remedy=remedy)
    fold = Fold(np.flatnonzero(side == "training"), np.flatnonzero(side == "validation"))
    return Folds("given", (fold,), np.flatnonzero(side == "test"), index.paths)


def _holdout(index: "ImageIndex", config: "SplitConfig") -> Folds:
    training = 1 - config.validation - config.test
    if training <= 0:
        what = f"validation {config.validation:g} and test {config.test:g} leave nothing to train on"
        raise DataError(what, where="split", remedy="choose shares that sum to less than 1")
    names = ["training", "validation", *(["test"] if config.test else [])]
    part = _draw(index, names, [training, config.validation, config.test][: len(names)], config.seed)
    return Folds(
        "holdout", (Fold(np.flatnonzero(part == 0), np.flatnonzero(part == 1)),), np.flatnonzero(part == 2), index.paths
    )


def _kfold(index: "ImageIndex", config: "SplitConfig") -> Folds:
    names = [f"fold {fold}" for fold in range(config.folds)] + (["test"] if config.test else [])
    shares = [(1 - config.test) / config.folds] * config.folds + ([config.test] if config.test else [])
    part = _draw(index, names, shares, config.seed)
    development = part < config.folds
    folds = tuple(
        Fold(np.flatnonzero(development & (part != fold)), np.flatnonzero(part == fold)) for fold in range(config.folds)
    )
    return Folds("kfold", folds, np.flatnonzero(part == config.folds), index.paths)


def _draw(index: "ImageIndex", sides: list[str], shares: list[float], seed: int) -> Rows:
    """Part of each image, (N,). Groups are put in the order of their names first: that of the rows has no say."""
    names = index.groups if index.groups is not None else index.paths
    _, member = np.unique(np.array(names), return_inverse=True)
    counts = np.zeros((member.max() + 1, len(index.classes)), dtype=np.int64)
    np.add.at(counts, (member, index.labels), 1)
    _refuse_too_few(index, counts, len(sides))
    part = assign(counts, np.array(shares), stream(seed, "split"))[member]
    for number, side in enumerate(sides):
        for label in sorted(set(range(len(index.classes))) - set(index.labels[part == number].tolist())):
            what = (
                f"no way was found to give {side} an image of class {index.classes[label]!r} without dividing a group"
            )
            raise DataError(
                what, where=index.source, remedy="fewer folds, larger shares, another split.seed, or more groups"
            )
    return part


def _refuse_too_few(index: "ImageIndex", counts: Rows, sides: int) -> None:
    holding = (counts > 0).sum(axis=0)
    for label, available in enumerate(holding.tolist()):
        if available < sides:
            images = int(counts[:, label].sum())
            held = f"{images} {'image' if images == 1 else 'images'}"
            if index.groups is not None:
                held += f" of {available} {'group' if available == 1 else 'groups'}"
            what = f"class {index.classes[label]!r} has {held}; {sides} sides need at least {sides}"
            raise DataError(what, where=index.source, remedy="add images, or choose fewer folds or no test side")


def _read(file: Path) -> dict[str, Any]:
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise DataError(
            f"cannot be read ({error})", where=str(file), remedy="remove it; it is written again"
        ) from error
    return tree if isinstance(tree, dict) else {}


def _rows(paths: list[str], number: dict[str, int], file: Path) -> Rows:
    unknown = [path for path in paths if path not in number]
    if unknown:
        what = f"{len(unknown):,} images are not in the data set: {shorten(unknown, _NAMED)}"
        raise DataError(
            what, where=str(file), remedy="the images have changed since it was written; use another folder"
        )
    return np.array(sorted(number[path] for path in paths), dtype=np.int64)


def _check(folds: Folds, index: "ImageIndex", where: str, remedy: str) -> None:
    for number, fold in enumerate(folds.folds):
        sides = {"training": fold.training, "validation": fold.validation, "test": folds.test}
        place = where if len(folds.folds) == 1 else f"{where}, fold {number}"
        _refuse_overlap(sides, index.paths, "images", place, remedy)
        if index.groups is not None:
            _refuse_overlap(sides, index.groups, "groups", place, remedy)
        _refuse_left_out(sides, index, place, remedy)
        _refuse_lacking(sides, index, place)


def _refuse_overlap(sides: dict[str, Rows], names: list[str], what: str, where: str, remedy: str) -> None:
    on: dict[str, set[str]] = {}
    for side, rows in sides.items():
        for row in rows.tolist():
            on.setdefault(names[row], set()).add(side)
    both = [f"{name} ({' and '.join(sorted(found))})" for name, found in on.items() if len(found) > 1]
    twice = [name for rows in sides.values() for name in _repeated(rows, names)] if what == "images" else []
    if both:
        message = f"{len(both):,} {what} lie on more than one side: {shorten(both, _NAMED)}"
        raise DataError(message, where=where, remedy=remedy)
    if twice:
        raise DataError(
            f"{len(twice):,} duplicate images on a side: {shorten(twice, _NAMED)}", where=where, remedy=remedy
        )


def _repeated(rows: Rows, names: list[str]) -> Iterable[str]:
    return (names[row] for row, count in Counter(rows.tolist()).items() if count > 1)


def _refuse_left_out(sides: dict[str, Rows], index: "ImageIndex", where: str, remedy: str) -> None:
    left = np.ones(len(index), dtype=bool)
    for rows in sides.values():
        left[rows] = False
    if left.any():
        names = [index.paths[row] for row in np.flatnonzero(left).tolist()]
        raise DataError(f"{len(names):,} images are on no side: {shorten(names, _NAMED)}", where=where, remedy=remedy)


def _refuse_lacking(sides: dict[str, Rows], index: "ImageIndex", where: str) -> None:
    for side in ("training", "validation"):
        for label in sorted(set(range(len(index.classes))) - set(index.labels[sides[side]].tolist())):
            what = f"no image of class {index.classes[label]!r} on the {side} side"
            raise DataError(what, where=where, remedy=f"move some there, or {REDRAW}")
