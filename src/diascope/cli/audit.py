"""diascope audit: what is wrong with a data set, before any training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diascope.cli.run import Setting

if TYPE_CHECKING:
    from diascope.studyfile import Study

WARNINGS, ERRORS = 1, 3  # exit codes


def audit(
    source: Annotated[
        str,
        typer.Argument(
            metavar="SOURCE", help="A folder with a folder per class, a CSV, an npz, phantom:skin, or a study file."
        ),
    ],
    out: Annotated[
        Path, typer.Option("--out", "-o", help="Where the results are written: a new folder, or that of an audit.")
    ] = Path("audit"),
    study: Annotated[str | None, typer.Option(help="A study file or recipe, whose data and split to take.")] = None,
    settings: Setting = None,
    label: Annotated[str | None, typer.Option(help="Column of the CSV that holds the class.")] = None,
    group: Annotated[
        str | None, typer.Option(help="Column of the CSV that must not be split: patient, lesion.")
    ] = None,
    full: Annotated[
        bool, typer.Option("--full", help="Read every image for burned-in text, which takes long.")
    ] = False,
) -> None:
    """Check a data set before any training: unreadable and duplicate images, wrong labels, leaks between sides, ...

    Writes audit.html, findings.json, files.csv (what to do about which file) and manifest.csv (the source with a column
    duplicate_group, to be named as data.group). Exit code: 0 nothing found, 1 warnings, 3 errors, which stop a study.

    Example: diascope audit moles.csv --group patient --out audit
    """
    found = _study(source, study, settings or [], label, group)

    from diascope.app.audit import audit_source
    from diascope.cli.display import Display, say_findings
    from diascope.report.audit_page import write_audit_page

    try:
        with Display() as display:
            findings = audit_source(found, out, all_text=full, show=display)
    except KeyboardInterrupt:
        raise typer.Exit(130) from None
    page = write_audit_page(out, found.config.data.source)
    say_findings(findings, page)
    severities = {finding.severity for finding in findings if finding.outcome == "issue"}
    if severities & {"warning", "error"}:
        raise typer.Exit(ERRORS if "error" in severities else WARNINGS)


def _study(source: str, study: str | None, settings: list[str], label: str | None, group: str | None) -> "Study":
    import json

    from diascope.recipes import find_study
    from diascope.studyfile import parse_study

    given = {"data.label": label, "data.group": group}
    settings = [f"{key}={json.dumps(value)}" for key, value in given.items() if value is not None] + settings
    if source.endswith((".yaml", ".yml")) and study is None:
        return find_study(source, settings)
    settings = [f"data.source={json.dumps(source)}", *settings]
    if study is not None:
        return find_study(study, settings)
    return parse_study("name: audit\n", settings, where="diascope audit", folder=Path.cwd())
