"""What the probes of a run say together: each judged after Holm, and one judgement over all.

"found" and "possible" need both: an effect beyond chance (p after Holm at most .05), and one that is large enough. A
network whose own balanced accuracy is not above chance has learned nothing that could be a shortcut.
"""

from collections.abc import Sequence
from dataclasses import asdict
from typing import Any, Literal

from diascope.compare.estimate import LEVEL
from diascope.core.findings import Finding, Severity
from diascope.core.statistics import holm
from diascope.probes.subject import Measured, Subject

Verdict = Literal["found", "possible", "not found", "not applicable", "skipped"]
Overall = Literal["shortcut found", "shortcut possible", "none found by these probes", "cannot tell"]

FEWEST_IMAGES = 10  # of each class on the validation side
_SEVERITY: dict[Verdict, Severity] = {"found": "error", "possible": "warning"}
_LEADS: dict[Verdict, str] = {
    "found": "Shortcut found",
    "possible": "Shortcut possible",
    "not found": "Nothing found",
    "not applicable": "Not applicable",
    "skipped": "Skipped",
}


def judged(measured: Sequence[Measured]) -> list[Finding]:
    """One finding a measurement, in the same order. Its evidence holds effect, low, high, null, p, p_holm, verdict."""
    adjusted = holm([found.effect.p if found.effect else None for found in measured])
    verdicts = [_verdict(found, p) for found, p in zip(measured, adjusted, strict=True)]
    shown = {found.code for found, verdict in zip(measured, verdicts, strict=True) if verdict in _SEVERITY}
    return [
        _finding(found, p, "possible" if verdict == "found" and not {found.needs} <= {"", *shown} else verdict)
        for found, p, verdict in zip(measured, adjusted, verdicts, strict=True)
    ]


def _finding(found: Measured, p_holm: float | None, verdict: Verdict) -> Finding:
    evidence: dict[str, Any] = {"verdict": verdict, "title": found.title, "claim": found.claim, **found.evidence}
    if found.effect is not None:
        numbers = asdict(found.effect)
        evidence |= {"effect": numbers.pop("value"), **numbers, "p_holm": p_holm}
        evidence |= {"quantity": found.quantity, "null": found.null, "null_words": found.null_words}
    outcome = "passed" if verdict == "not found" else "issue" if verdict in _SEVERITY else found.outcome
    return Finding.model_validate(
        {
            "code": found.code,
            "severity": _SEVERITY.get(verdict, "info"),
            "outcome": outcome,
            "sentence": f"{_LEADS[verdict]}: {found.facts}.",
            "evidence": evidence,
        }
    )


def _verdict(found: Measured, p_holm: float | None) -> Verdict:
    if found.outcome != "measured":
        return found.outcome
    if p_holm is None or p_holm > LEVEL or not (found.much or found.some):
        return "not found"
    return "found" if found.much else "possible"


def overall(probed: Subject, findings: Sequence[Finding]) -> tuple[Overall, str]:
    """The judgement over all probes of a run, and a sentence that gives its reason."""
    by_verdict = {
        verdict: [finding.evidence["claim"] for finding in findings if finding.evidence["verdict"] == verdict]
        for verdict in _LEADS
    }
    unskilled = _without_skill(probed)
    if by_verdict["found"] and not unskilled:
        return "shortcut found", _because("The network has a shortcut", by_verdict["found"])
    if reason := _too_few(probed) or unskilled or _without_tests(findings):
        return "cannot tell", f"Whether the network has a shortcut cannot be told: {reason}."
    if by_verdict["possible"]:
        return "shortcut possible", _because("The network may have a shortcut", by_verdict["possible"])
    tests = len(by_verdict["not found"])
    return (
        "none found by these probes",
        f"{tests} test{'s' * (tests != 1)} found no shortcut. Others may be there: of a kind that no probe looks for, "
        "or too weak to be shown with so many images.",
    )


def _because(what: str, claims: Sequence[str]) -> str:
    return f"{what}: {'; '.join(claims)}."


def _without_skill(probed: Subject) -> str:
    """Why the network has nothing that a shortcut could explain; empty where it has."""
    found = probed.accuracy
    if found.low is not None and found.value is not None and found.low > probed.chance:
        return ""
    interval = "" if found.low is None or found.high is None else f" (95% CI {found.low:.3f} to {found.high:.3f})"
    return (
        f"its balanced accuracy, {found.value or 0:.3f}{interval}, is not surely above chance, "
        f"{probed.chance:.3f}, so it has learned nothing that could be a shortcut"
    )


def _too_few(probed: Subject) -> str:
    """Why nothing can be said of what was not found; empty where it can."""
    counts = [int((probed.labels == number).sum()) for number in range(len(probed.task.data.classes))]
    if min(counts) >= FEWEST_IMAGES:
        return ""
    name = probed.task.data.classes[counts.index(min(counts))]
    return f"the validation side has {min(counts)} images of {name}, and fewer than {FEWEST_IMAGES} are too few"


def _without_tests(findings: Sequence[Finding]) -> str:
    tested = any(finding.outcome not in ("skipped", "not applicable") for finding in findings)
    return "" if tested else "no probe could be run"
