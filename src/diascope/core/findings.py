"""Finding: one result of a check, kept as data so that a report, a script and a person read the same thing."""

from collections import Counter
from collections.abc import Iterable, Sequence
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict

Severity = Literal["info", "warning", "error"]
Outcome = Literal["issue", "passed", "not applicable", "skipped"]


class Finding(BaseModel):
    """What a check found. `code` is stable, `sentence` is for people, `evidence` holds the numbers and names."""

    model_config = ConfigDict(frozen=True, extra="forbid")

    code: str
    severity: Severity
    outcome: Outcome
    sentence: str = ""
    evidence: dict[str, Any] = {}


_SEVERITIES: tuple[Severity, ...] = ("error", "warning", "info")
_OUTCOMES: tuple[Outcome, ...] = ("issue", "skipped", "passed", "not applicable")


def by_severity(findings: Iterable[Finding]) -> list[Finding]:
    """Issues before all else, the most severe first; what was found first stays first among its like."""
    return sorted(findings, key=lambda found: (_OUTCOMES.index(found.outcome), _SEVERITIES.index(found.severity)))


def outcomes(findings: Sequence[Finding]) -> str:
    """1 error, 2 warnings, 5 passed, 1 not applicable."""
    counts: Counter[str] = Counter(found.severity if found.outcome == "issue" else found.outcome for found in findings)
    plural = {"error": "errors", "warning": "warnings", "info": "notes"}
    single = {"info": "note"}
    order = (*_SEVERITIES, *_OUTCOMES[1:])
    return ", ".join(
        f"{counts[name]} {single.get(name, name) if counts[name] == 1 else plural.get(name, name)}"
        for name in order
        if counts[name]
    )
