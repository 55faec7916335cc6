"""A CSV manifest (path, label, perhaps split and group, any other columns) -> SourceTable."""

import csv
import os
from collections.abc import Sequence
from io import StringIO
from pathlib import Path

from diascope.core.csv_cells import unguard
from diascope.core.errors import DataError
from diascope.core.text import did_you_mean, shorten
from diascope.data.table import SIDES, SourceTable, side_of

_DELIMITERS = ",;\t|"
Rows = list[tuple[int, list[str]]]  # number of the line in the file, cells


def read_manifest(file: Path, label: str, group: str | None) -> SourceTable:
    """The images that a manifest lists, with paths relative to the manifest's folder (absolute ones stay so).

    Raises DataError for unknown or repeated columns, empty labels or groups, unknown sides, repeated paths, and
    files that do not exist, each with the line.
    """
    header, rows = _parse(file)
    for column in ("path", label, *([] if group is None else [group])):
        _require(file, column, header)
    paths = [_posix(file.parent, _named(file.parent, cell)) for cell in _filled(file, rows, header, "path")]
    _refuse_repeated(file, paths, rows)
    _refuse_missing(file, paths, rows)
    known = {"path", label, "split", group}
    return SourceTable(
        paths=paths,
        labels=_filled(file, rows, header, label),
        groups=None if group is None else _filled(file, rows, header, group),
        splits=_sides(file, rows, header) if "split" in header else None,
        columns={name: _column(rows, header, name) for name in header if name not in known},
    )


def _parse(file: Path) -> tuple[list[str], Rows]:
    text = _text(file)
    first = text.split("\n", 1)[0]
    delimiter = max(_DELIMITERS, key=first.count)
    reader = csv.reader(StringIO(text, newline=""), delimiter=delimiter, skipinitialspace=True)
    try:
        lines: Rows = [(reader.line_num, [cell.strip() for cell in cells]) for cells in reader if any(cells)]
    except csv.Error as error:
        raise DataError(str(error), where=f"{file}:{reader.line_num}", remedy="save it as plain CSV") from error
    if len(lines) < 2:
        raise DataError("no images listed", where=str(file), remedy="expected a header and one line an image")
    header, rows = [unguard(name) for name in lines[0][1]], lines[1:]
    repeated = sorted({name for name in header if header.count(name) > 1})
    if repeated:
        raise DataError(f"columns named twice: {shorten(repeated)}", where=str(file), remedy="rename one of each")
    _refuse_ragged(file, header, rows)
    return header, rows


def _text(file: Path) -> str:
    try:
        data = file.read_bytes()
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(file), remedy="check its permissions") from error
    encoding = "utf-16" if data[:2] in (b"\xff\xfe", b"\xfe\xff") else "utf-8-sig"
    try:
        return data.decode(encoding)
    except UnicodeDecodeError as error:
        line = data[: error.start].count(b"\n") + 1
        raise DataError("not UTF-8 text", where=f"{file}:{line}", remedy="save the manifest as 'CSV UTF-8'") from error


def _refuse_ragged(file: Path, header: list[str], rows: Rows) -> None:
    for line, cells in rows:
        if len(cells) != len(header):
            what = f"{len(cells)} cells, but the header has {len(header)} columns"
            raise DataError(what, where=f"{file}:{line}", remedy='put cells that hold the delimiter in "quotes"')


def _require(file: Path, column: str, header: list[str]) -> None:
    if column not in header:
        role = (
            "a manifest lists its images in a column 'path'"
            if column == "path"
            else "data.label and data.group name columns"
        )
        what = f"no column {column!r}; {did_you_mean(column, header)}"
        raise DataError(what, where=str(file), remedy=role)


def _named(folder: Path, cell: str) -> str:
    """The path that a cell says, which may really begin with an apostrophe."""
    plain = unguard(cell)
    return cell if cell != plain and os.path.isfile(folder / cell) else plain


def _column(rows: Rows, header: list[str], name: str) -> list[str]:
    position = header.index(name)
    return [cells[position] if name == "path" else unguard(cells[position]) for _, cells in rows]


def _filled(file: Path, rows: Rows, header: list[str], name: str) -> list[str]:
    cells = _column(rows, header, name)
    empty = [line for (line, _), cell in zip(rows, cells, strict=True) if not cell]
    if empty:
        what = f"column {name!r} is empty in {_lines(empty)}"
        raise DataError(what, where=str(file), remedy="fill the cells or remove the lines")
    return cells


def _sides(file: Path, rows: Rows, header: list[str]) -> list[str]:
    sides = []
    for (line, _), cell in zip(rows, _filled(file, rows, header, "split"), strict=True):
        side = side_of(cell)
        if side is None:
            raise DataError(
                f"unknown split {cell!r}", where=f"{file}:{line}", remedy=f"write one of {', '.join(SIDES)}"
            )
        sides.append(side)
    return sides


def _posix(folder: Path, cell: str) -> str:
    """One spelling for one file: forward slashes, no `./`; backslashes of Windows are understood everywhere."""
    if "\\" in cell and not os.path.exists(folder / cell):
        cell = cell.replace("\\", "/")
    return Path(os.path.normpath(cell)).as_posix()


def _refuse_repeated(file: Path, paths: Sequence[str], rows: Rows) -> None:
    lines: dict[str, list[int]] = {}
    for path, (line, _) in zip(paths, rows, strict=True):
        lines.setdefault(path, []).append(line)
    repeated = [f"{path} ({_lines(found)})" for path, found in lines.items() if len(found) > 1]
    if repeated:
        what = f"{len(repeated):,} paths are listed more than once: {shorten(repeated)}"
        raise DataError(what, where=str(file), remedy="keep one line for each image")


def _refuse_missing(file: Path, paths: Sequence[str], rows: Rows) -> None:
    missing = [
        f"{path} (line {line})"
        for path, (line, _) in zip(paths, rows, strict=True)
        if not os.path.isfile(os.path.join(file.parent, path))
    ]
    if missing:
        what = f"{len(missing):,} of {len(paths):,} files do not exist or are not regular files: {shorten(missing)}"
        raise DataError(
            what, where=str(file), remedy=f"paths are relative to {file.parent}; correct or remove these lines"
        )


def _lines(numbers: list[int]) -> str:
    return ("line " if len(numbers) == 1 else "lines ") + shorten(map(str, numbers))
