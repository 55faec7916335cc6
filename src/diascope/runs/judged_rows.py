"""The rows of the test side in a run's predictions.csv: written and replaced without touching any other row."""

import csv
from collections.abc import Iterable, Iterator, Sequence
from hashlib import sha256
from io import StringIO
from pathlib import Path

from diascope.core.csv_cells import csv_text
from diascope.core.errors import RunError
from diascope.core.files import write_atomic

_START = ("checkpoint", "side", "path", "group", "label")


def write_test_rows(file: Path, checkpoint: str, classes: Sequence[str], rows: Iterable[Sequence[object]]) -> str:
    """Put a checkpoint's rows for the test side at the end of predictions.csv, in place of those of an earlier call.

    A row is (path, group, label, probability of each class in order). The file is replaced as a whole; all other rows
    keep their bytes. Returns the digest of the new rows. Raises RunError if the file is damaged.
    """
    header, *records = list(_records(_text(file)))
    if header[0] != [*_START, *(f"p_{name}" for name in classes)]:
        raise RunError("its columns are not those of the run's classes", where=str(file), remedy=_remedy(file))
    kept = [raw for fields, raw in records if not _is_of(fields, checkpoint)]
    added = csv_text([checkpoint, "test", *row] for row in rows)
    write_atomic(file, "".join([header[1], *kept, added]))
    return _digest(added)


def digest_of_test_rows(file: Path, checkpoint: str) -> str | None:
    """A SHA-256 of a checkpoint's rows for the test side, or None where there are none."""
    rows = [raw for fields, raw in _records(_text(file)) if _is_of(fields, checkpoint)]
    return _digest("".join(rows)) if rows else None


def digest_of_trained_rows(file: Path) -> str:
    """A SHA-256 of all rows but those of the test side, and of the header: what a run has written when it ends."""
    return _digest("".join(raw for fields, raw in _records(_text(file)) if fields[1:2] != ["test"]))


def _is_of(fields: list[str], checkpoint: str) -> bool:
    return fields[:2] == [checkpoint, "test"]


def _records(text: str) -> Iterator[tuple[list[str], str]]:
    """Fields and bytes of each record: one with a line end in a name spans several lines."""
    raw: list[str] = []

    def lines() -> Iterator[str]:
        for line in StringIO(text, newline=""):
            raw.append(line)
            yield line

    for fields in csv.reader(lines()):
        yield fields, "".join(raw)
        raw.clear()


def _text(file: Path) -> str:
    try:
        text = file.read_bytes().decode("utf-8")
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot be read ({error})", where=str(file), remedy=_remedy(file)) from error
    if not text.endswith("\n"):
        raise RunError("damaged: its last line is cut off", where=str(file), remedy=_remedy(file))
    return text


def _digest(text: str) -> str:
    return sha256(text.encode()).hexdigest()


def _remedy(file: Path) -> str:
    return f"delete the folder {file.parent} and run the study again: it trains what is missing"
