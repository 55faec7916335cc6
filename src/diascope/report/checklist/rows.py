"""The checklist of one study, as rows; the line that counts them, and what is still to be written."""

from textwrap import wrap
from typing import Any, get_args

from diascope.config import ReportConfig
from diascope.report.checklist.fact import Fact, Status, Summary
from diascope.report.checklist.items import ITEMS, Item

Row = dict[str, Any]
STATUSES: tuple[Status, ...] = get_args(Status)
_COUNTED: dict[Status, str] = {
    "from the study": "filled from the study",
    "stated by the user": "stated",
    "to be stated": "for you to state",
    "not reported": "not reported",
    "not applicable": "not applicable",
}
_COMMENT = 80  # characters a line


def checklist(summary: Summary, statements: ReportConfig) -> list[Row]:
    """One row an item: key, title, claim, tripod, status, text, hint, statement.

    `summary` is that of report/summary.py, also of an older version. `claim` and `tripod` are item numbers as text,
    empty where a checklist does not ask; `statement` is the key of `report:` where the user may say it, else empty.
    A user's statement comes first, and what the study knows is added to it, so that it hides nothing.
    """
    return [_row(item, item.rule(summary), statements) for item in ITEMS]


def _row(item: Item, fact: Fact, statements: ReportConfig) -> Row:
    said = str(getattr(statements, item.statement)).strip() if item.statement else ""
    status: Status = "stated by the user" if said else fact.status
    return {
        "key": item.key,
        "title": item.title,
        "claim": ", ".join(item.claim),
        "tripod": ", ".join(item.tripod),
        "status": status,
        "text": _joined(said, fact),
        "hint": _hint(item, fact) if status in ("to be stated", "not reported") else "",
        "statement": item.statement,
    }


def _joined(said: str, fact: Fact) -> str:
    known = fact.text if fact.status in ("from the study", "to be stated") else ""
    if not said:
        return fact.text
    return f"{said}\nFrom the study: {known}" if known else said


def _hint(item: Item, fact: Fact) -> str:
    if fact.status == "to be stated":
        return f"report.{item.statement}: {_meaning(item.statement)}"
    return fact.hint


def _meaning(key: str) -> str:
    return ReportConfig.model_fields[key].description or ""


def count_line(rows: list[Row]) -> str:
    """18 of 41 items filled from the study, 2 stated, 15 for you to state, 6 not reported."""
    counts = {status: sum(row["status"] == status for row in rows) for status in STATUSES}
    first, *others = (f"{counts[status]} {words}" for status, words in _COUNTED.items())
    number, _, words = first.partition(" ")
    return f"{number} of {len(rows)} items {words}, {', '.join(others)}"


def unstated_yaml(rows: list[Row]) -> str:
    """The keys that are still to be stated, with what to write, as a piece of a study file; empty if there are none."""
    keys = dict.fromkeys(row["statement"] for row in rows if row["status"] == "to be stated")
    lines = ["report:"]
    for key in keys:
        lines += [f"  # {line}" for line in wrap(_meaning(key), _COMMENT - 4)]
        lines.append(f'  {key}: ""')
    return "\n".join(lines) + "\n" if keys else ""


def checklist_markdown(rows: list[Row]) -> str:
    """A table for a supplement, every item in a line, in Markdown."""
    head = [
        "# Reporting checklist",
        "",
        f"{count_line(rows)}.",
        "",
        _line(*_HEADINGS),
        _line(*["---"] * len(_HEADINGS)),
    ]
    body = [_line(*map(_cell, (row["title"], row["claim"] or "–", row["tripod"] or "–", row["status"], _told(row))))
            for row in rows]  # fmt: skip
    return "\n".join([*head, *body, "", SOURCES, ""])


_HEADINGS = ("Item", "CLAIM 2024", "TRIPOD+AI", "Status", "Report")
SOURCES = (
    "Items after CLAIM, 2024 update (Tejani et al., Radiology: Artificial Intelligence 2024, doi 10.1148/ryai.240300) "
    "and TRIPOD+AI (Collins et al., BMJ 2024;385:e078378), in the words of Diascope. A filled item says what was done, "
    "not that it was done well."
)


def _told(row: Row) -> str:
    what = {"to be stated": "To be stated: ", "not reported": "What it takes: "}.get(row["status"], "")
    return "\n".join(part for part in (row["text"], what + row["hint"] if row["hint"] else "") if part)


def _line(*cells: str) -> str:
    return f"| {' | '.join(cells)} |"


def _cell(text: str) -> str:
    for letter in "\\|<*`":
        text = text.replace(letter, f"\\{letter}")
    return "<br>".join(text.splitlines())
