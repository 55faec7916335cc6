"""Finding: one result of a check, kept as data so that a report, a script and a person read the same thing."""

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
