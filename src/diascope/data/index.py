"""ImageIndex: which images there are, what class each is of, and where its pixels lie.

From a folder per class, a CSV manifest, an npz in MedMNIST's layout, or `phantom:skin` and `phantom:bone`.
"""

import os
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Literal, TypeVar

import numpy as np
from numpy.typing import NDArray

from diascope.config.data import DICOM_GROUPS
from diascope.core.csv_cells import csv_text
from diascope.core.errors import DataError
from diascope.core.findings import Finding
from diascope.core.text import did_you_mean, shorten
from diascope.data.folders import read_folder
from diascope.data.manifest import read_manifest
from diascope.data.npz import read_npz
from diascope.data.table import SourceTable

if TYPE_CHECKING:
    from diascope.config import DataConfig, PhantomConfig

Rows = NDArray[np.int64]
PhantomKind = Literal["skin", "bone"]
T = TypeVar("T")
_SOURCES = "data.source names a folder, a CSV manifest (.csv) or an npz"


@dataclass(frozen=True)
class Files:
    """Every image is a file of its own; paths are relative to `root`."""

    root: Path


@dataclass(frozen=True)
class Arrays:
    """All images lie in one npz; `counts` says how many in each of its arrays, in order."""

    file: Path
    counts: dict[str, int]


@dataclass(frozen=True)
class Phantoms:
    """Images are drawn when they are needed."""

    kind: PhantomKind
    config: "PhantomConfig"


@dataclass(frozen=True)
class ArrayRow:
    """One image of an npz."""

    file: Path
    array: str
    row: int


@dataclass(frozen=True)
class PhantomNumber:
    """One image that is drawn: `phantoms.draw(kind, config, number)`."""

    kind: PhantomKind
    config: "PhantomConfig"
    number: int


Location = Path | ArrayRow | PhantomNumber


@dataclass(frozen=True, eq=False)
class ImageIndex:
    """N images in a fixed order; every list has one entry an image.

    `paths` are unique, with forward slashes, relative to the source (absolute where a manifest says so). `labels`
    (N,) int64 count into `classes`, whose order is the order of every probability. `splits` holds training, validation
    or test. `columns` holds what else the source says. `numbers` (N,) is each image's number in the source.
    """

    source: str
    paths: list[str]
    labels: Rows
    classes: tuple[str, ...]
    positive: str
    groups: list[str] | None
    splits: list[str] | None
    columns: dict[str, list[str]]
    origin: Files | Arrays | Phantoms
    numbers: Rows = field(repr=False)
    findings: tuple[Finding, ...] = ()

    def __len__(self) -> int:
        return len(self.paths)

    def locate(self, row: int) -> Location:
        """Where the pixels of an image are: a file, a row of an npz, or a number to draw."""
        if isinstance(self.origin, Files):
            return self.origin.root / self.paths[row]
        number = int(self.numbers[row])
        if isinstance(self.origin, Phantoms):
            return PhantomNumber(self.origin.kind, self.origin.config, number)
        for array, count in self.origin.counts.items():
            if number < count:
                return ArrayRow(self.origin.file, array, number)
            number -= count
        raise IndexError(row)

    def subset(self, rows: Sequence[int] | Rows) -> "ImageIndex":
        """The images of these rows, in the order of the index."""
        kept = np.unique(np.asarray(rows, dtype=np.int64))
        return replace(
            self,
            paths=_pick(self.paths, kept),
            labels=self.labels[kept],
            groups=None if self.groups is None else _pick(self.groups, kept),
            splits=None if self.splits is None else _pick(self.splits, kept),
            columns={name: _pick(cells, kept) for name, cells in self.columns.items()},
            numbers=self.numbers[kept],
        )

    def save(self, file: Path) -> None:
        """Write a CSV: path, label, class_number (the place of the label in `classes`), group, split, other columns."""
        table: dict[str, Sequence[object]] = {"path": self.paths}
        table["label"] = [self.classes[label] for label in self.labels]
        table["class_number"] = self.labels.tolist()
        if self.groups is not None:
            table["group"] = self.groups
        if self.splits is not None:
            table["split"] = self.splits
        for name, cells in self.columns.items():  # a column of the source that is called like one of ours keeps apart
            table[f"source_{name}" if name in table else name] = cells
        text = csv_text([[*table], *zip(*table.values(), strict=True)])
        file.write_text(text, encoding="utf-8", newline="")


def open_index(config: "DataConfig") -> ImageIndex:
    """The index of `config.source`. Raises DataError, which names the place and the remedy."""
    single = config.source.startswith("phantom:") or config.source.lower().endswith(".npz")
    if config.frame is not None and single:
        raise DataError("data.frame is for files of several frames", where=config.source, remedy="leave it out")
    if config.source.startswith("phantom:"):
        return _phantom_index(config)
    path = Path(os.path.abspath(Path(config.source).expanduser()))  # a link to a manifest stands where the link is
    if os.path.isdir(path):
        return _assemble(config, _grouped(config, read_folder(path), path, "a folder"), str(path), Files(path))
    if not os.path.isfile(path):
        if os.path.lexists(path):
            raise DataError("neither a regular file nor a folder", where=config.source, remedy=_SOURCES)
        raise DataError("no such file or folder", where=config.source, remedy=_near_path(path))
    if path.suffix.lower() == ".npz":
        _refuse_group(config, "an npz")
        table, counts = read_npz(path)
        return _assemble(config, _name_classes(config, table), str(path), Arrays(path, counts))
    if path.suffix.lower() in {".csv", ".tsv", ".txt"}:
        column = None if config.group in DICOM_GROUPS else config.group
        table = read_manifest(path, config.label, column)
        if column is None:
            table = _grouped(config, table, path.parent, "a manifest")
        return _assemble(config, table, str(path), Files(path.parent))
    raise DataError("not a folder, CSV manifest or npz", where=str(path), remedy=_SOURCES)


def _grouped(config: "DataConfig", table: SourceTable, root: Path, what: str) -> SourceTable:
    """The table with the groups that DICOM files themselves tell, where data.group asks for them."""
    if config.group not in DICOM_GROUPS:
        _refuse_group(config, what)
        return table
    from diascope.data.dicom_groups import dicom_groups  # whoever has no DICOM does not wait for pydicom

    return replace(table, groups=dicom_groups(root, table.paths, config.group))


def _phantom_index(config: "DataConfig") -> ImageIndex:
    from diascope.data import phantoms

    kind = next((known for known in phantoms.CLASSES if config.source == f"phantom:{known}"), None)
    if kind is None:
        nearest = did_you_mean(config.source, [f"phantom:{known}" for known in phantoms.CLASSES])
        raise DataError("unknown kind of phantom", where=config.source, remedy=nearest)
    if config.group not in (None, "group"):
        raise DataError(
            f"no column {config.group!r}", where=config.source, remedy="the groups of phantoms are called 'group'"
        )
    rows = phantoms.phantom_table(kind, config.phantom)
    cells = {name: [row[name] for row in rows] for name in rows[0]}
    table = SourceTable(paths=cells.pop("path"), labels=cells.pop("label"), groups=cells.pop("group"), columns=cells)
    return _assemble(config, table, config.source, Phantoms(kind, config.phantom), phantoms.CLASSES[kind])


def _assemble(
    config: "DataConfig",
    table: SourceTable,
    source: str,
    origin: Files | Arrays | Phantoms,
    usual: tuple[str, ...] | None = None,
) -> ImageIndex:
    _refuse_unwritable(table.paths, source)
    rows = _chosen(config, table, source)
    table = table.subset(rows)
    classes = _class_order(config, table.labels, source, usual)
    number = {name: place for place, name in enumerate(classes)}
    return ImageIndex(
        source=source,
        paths=table.paths,
        labels=np.array([number[label] for label in table.labels], dtype=np.int64),
        classes=classes,
        positive=_positive(config, classes, source),
        groups=table.groups,
        splits=table.splits,
        columns=table.columns,
        origin=origin,
        numbers=rows,
        findings=table.findings,
    )


def _chosen(config: "DataConfig", table: SourceTable, source: str) -> Rows:
    """The rows of the images that data.where asks for; all of them where it asks for nothing."""
    columns = dict(table.columns)
    if config.source.lower().endswith((".csv", ".tsv", ".txt")):
        columns[config.label] = table.labels
        if config.group is not None and table.groups is not None:
            columns[config.group] = table.groups
    chosen = np.ones(len(table.paths), dtype=bool)
    for name, wanted in config.where.items():
        if name not in columns:
            remedy = did_you_mean(name, columns) if columns else "only a CSV manifest with further columns has any"
            raise DataError(f"data.where: there is no column {name!r}", where=source, remedy=remedy)
        any_of = np.zeros(len(table.paths), dtype=bool)
        for value in wanted if isinstance(wanted, list) else [wanted]:
            found = np.array([_is(cell, value) for cell in columns[name]])
            if not found.any():
                what = f"data.where: no image has {value!r} in column {name!r}"
                raise DataError(what, where=source, remedy=f"it holds {shorten(sorted(set(columns[name])))}")
            any_of |= found
        chosen &= any_of
    if not chosen.any():
        raise DataError("data.where leaves no image", where=source, remedy="ask for less at once")
    return np.flatnonzero(chosen)


def _is(cell: str, value: str | float) -> bool:
    """Whether a cell of a table holds the value; numbers are compared as numbers, 45 with 45.0."""
    if isinstance(value, str):
        return cell == value
    try:
        return float(cell) == value
    except ValueError:
        return False


def _class_order(
    config: "DataConfig", labels: list[str], source: str, usual: tuple[str, ...] | None
) -> tuple[str, ...]:
    """data.classes, else the usual order of a phantom, else sorted: by value if all are whole numbers, else by name."""
    found = set(labels)
    if len(found) < 2:
        what = f"only one class, {labels[0]!r}; a classifier needs two"
        raise DataError(
            what, where=source, remedy="add images of another class, or name the right column as data.label"
        )
    if config.classes is None:
        numeric = all(name.isascii() and name.isdigit() for name in found)
        return usual or tuple(sorted(found, key=(lambda name: (int(name), name)) if numeric else str))
    for name in sorted(found - set(config.classes)):
        nearest = did_you_mean(name, config.classes)
        what = f"{labels.count(name):,} images are labelled {name!r}, which is not in data.classes; {nearest}"
        raise DataError(what, where=source, remedy="add it to data.classes, or remove these images")
    for name in sorted(set(config.classes) - found):
        what = f"no image of class {name!r}, which data.classes names; {did_you_mean(name, found)}"
        raise DataError(what, where=source, remedy="correct data.classes")
    return config.classes


def _name_classes(config: "DataConfig", table: SourceTable) -> SourceTable:
    """An npz knows its classes by number only: data.classes gives them names, in the order of the numbers."""
    numbers = sorted(set(table.labels), key=int)
    if config.classes is None or all(name.isdigit() for name in config.classes):
        return table
    if numbers != [str(number) for number in range(len(config.classes))]:
        what = f"data.classes names {len(config.classes)} classes, but its labels are {shorten(numbers)}"
        raise DataError(what, where=config.source, remedy="name every class, in the order of the numbers")
    return replace(table, labels=[config.classes[int(label)] for label in table.labels])


def _positive(config: "DataConfig", classes: tuple[str, ...], source: str) -> str:
    if config.positive is None:
        return classes[-1]
    if config.positive not in classes:
        remedy = did_you_mean(config.positive, classes)
        raise DataError(f"data.positive is {config.positive!r}, which is not a class", where=source, remedy=remedy)
    return config.positive


def _refuse_group(config: "DataConfig", what: str) -> None:
    if config.group is not None:
        message = f"data.group is {config.group!r}, but {what} has no columns"
        raise DataError(
            message,
            where=config.source,
            remedy="write a CSV manifest with this column, name dicom:PatientID if these are DICOM files, or leave "
            "data.group out",
        )


def _refuse_unwritable(paths: list[str], source: str) -> None:
    """Names that are no Unicode cannot be written to a CSV or JSON file, and would fail after the training."""
    bad = [ascii(path) for path in paths if any("\ud800" <= letter <= "\udfff" for letter in path)]
    if bad:
        what = f"{len(bad):,} file names are not valid UTF-8: {shorten(bad)}"
        raise DataError(what, where=source, remedy="rename these files")


def _near_path(path: Path) -> str:
    """Goes up to the first folder that exists, and looks there for a name like the missing one."""
    missing, folder = path.name, path.parent
    while not os.path.isdir(folder) and folder != folder.parent:
        missing, folder = folder.name, folder.parent
    try:
        names = [entry.name for entry in folder.iterdir() if not entry.name.startswith(".")]
    except OSError as error:
        return f"{folder} cannot be listed ({error.strerror})"
    return f"looking for {missing!r} in {folder}: {did_you_mean(missing, names)}"


def _pick(items: list[T], rows: Rows) -> list[T]:
    return [items[row] for row in rows.tolist()]
