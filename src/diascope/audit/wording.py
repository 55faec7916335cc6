"""How the checks of the audit put what they found: a finding of a check, with at most so many names."""

from collections.abc import Iterable
from typing import Any

from diascope.core.findings import Finding, Severity

NAMED = 200  # paths or groups that a finding names; it counts the others


def issue(code: str, severity: Severity, sentence: str, **evidence: Any) -> list[Finding]:
    """One finding that something is wrong."""
    return [Finding(code=code, severity=severity, outcome="issue", sentence=sentence, evidence=evidence)]


def passed(code: str, sentence: str, **evidence: Any) -> list[Finding]:
    """One finding that the check found nothing."""
    return [Finding(code=code, severity="info", outcome="passed", sentence=sentence, evidence=evidence)]


def not_applicable(code: str, sentence: str) -> list[Finding]:
    """One finding that the check has nothing to look at."""
    return [Finding(code=code, severity="info", outcome="not applicable", sentence=sentence)]


def file_actions(rows: Iterable[tuple[str, str, str]]) -> list[dict[str, str]]:
    """(path, action, why) as evidence["files"], which goes to files.csv."""
    return [{"path": path, "action": action, "why": why} for path, action, why in rows]
