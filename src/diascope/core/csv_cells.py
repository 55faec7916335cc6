"""Cells of CSV files that a spreadsheet takes for text, whatever they hold, and Diascope reads back to the same value.

A spreadsheet runs a cell that begins with = + - @, a tab or a line end as a formula: a file name or a label could start
programs and send data away. Such a text gets an apostrophe before it, as OWASP advises ("CSV Injection"); numbers stay
numbers. A text that looks as if it had got one gets another: reading takes exactly one away.
"""

import csv
import re
from collections.abc import Iterable, Sequence
from io import StringIO
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from pandas import DataFrame

_FORMULA = re.compile(r"'*[=+\-@\t\r\n＝＋－＠].", re.DOTALL)  # a sign alone, as of a class, is no formula
_NUMBER = re.compile(r"[+-](\d+\.?\d*|\.\d+)([eE][+-]?\d+)?")


def csv_text(rows: Iterable[Sequence[object]]) -> str:
    """The rows as CSV; texts that a spreadsheet would run are guarded."""
    text = StringIO()
    usual, quoting = (csv.writer(text, lineterminator="\n", quoting=q) for q in (csv.QUOTE_MINIMAL, csv.QUOTE_ALL))
    for row in rows:
        cells = [guard(cell) if isinstance(cell, str) else cell for cell in row]
        broken = any(isinstance(cell, str) and "\r" in cell for cell in cells)  # a line end to whoever reads it
        (quoting if broken else usual).writerow(cells)
    return text.getvalue()


def guard(cell: str) -> str:
    return f"'{cell}" if _is_formula(cell) else cell


def unguard(cell: str) -> str:
    """What `guard` was given."""
    return cell[1:] if cell.startswith("'") and _is_formula(cell) else cell


def unguard_frame(frame: "DataFrame", columns: Sequence[str]) -> "DataFrame":
    """A table that was read as text, with its names of columns and the cells of these columns as they were given."""
    for name in columns:
        guarded = frame[name].str.startswith("'")
        if guarded.any():
            frame.loc[guarded, name] = frame.loc[guarded, name].map(unguard)
    return frame.rename(columns=unguard)


def _is_formula(cell: str) -> bool:
    return _FORMULA.match(cell) is not None and _NUMBER.fullmatch(cell) is None
