"""audit.html: what an audit found, for people; and how findings look on the page of a study.

It lies here, not beside the checks, because it shares the style and the templates of the report and, like it, only
reads what is on disk: findings.json and the pictures that findings name.
"""

import json
from collections.abc import Iterable
from pathlib import Path
from typing import Any

from diascope.core.errors import RunError
from diascope.core.findings import Finding, by_severity, outcomes
from diascope.report.environment import TEMPLATES, environment
from diascope.report.sample_strips import data_uri


def write_audit_page(folder: Path, source: str) -> Path:
    """Write audit.html into the folder of an audit of `source`; returns it. Raises RunError for damaged findings."""
    file = folder / "findings.json"
    try:
        findings = [Finding.model_validate(item) for item in json.loads(file.read_text(encoding="utf-8"))]
    except (OSError, ValueError, TypeError) as error:
        remedy = "run the audit again"
        raise RunError(f"it holds no list of findings ({error})", where=str(file), remedy=remedy) from error
    page = (
        environment()
        .get_template("audit.html.j2")
        .render(
            name=Path(source).name or source,
            source=source,
            told=f"{len(findings)} checks: {outcomes(findings)}",
            findings=shown_findings(findings, folder),
            style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
        )
    )
    (folder / "audit.html").write_text(page, encoding="utf-8")
    return folder / "audit.html"


def shown_findings(findings: Iterable[Finding], folder: Path | None) -> list[dict[str, Any]]:
    """The most severe first, each with its pictures in the folder as data URIs; those that are gone are left out."""
    return [
        {**finding.model_dump(include={"code", "severity", "outcome", "sentence"}), "pictures": _sets(finding, folder)}
        for finding in by_severity(findings)
    ]


def _sets(finding: Finding, folder: Path | None) -> list[dict[str, Any]]:
    found: list[dict[str, Any]] = []
    if folder is None:
        return found
    for pictures in finding.evidence.get("pictures", ()):
        images = [image for image in pictures["images"] if (folder / image["file"]).is_file()]
        if images:
            shown = [{**image, "uri": data_uri(folder / image["file"])} for image in images]
            found.append({"caption": pictures["caption"], "images": shown})
    return found
