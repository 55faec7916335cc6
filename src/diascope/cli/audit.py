"""diascope audit: what is wrong with a data set, before any training."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from diascope.cli.run import Setting, refuse_file

if TYPE_CHECKING:
    from diascope.cli.display import RunDisplay
    from diascope.data.index import ImageIndex
    from diascope.data.split import Folds
    from diascope.findings import Finding
    from diascope.studyfile import Study

WARNINGS, ERRORS = 1, 3  # exit codes


def audit(
    source: Annotated[
        str, typer.Argument(metavar="SOURCE", help="A folder with a folder per class, a CSV, an npz, or a study file.")
    ],
    out: Annotated[Path, typer.Option("--out", "-o", help="Where the results are written.")] = Path("audit"),
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
    duplicate_group, to be named as data.group). Exit code: 0 nothing found, 1 warnings, 3 errors, which would stop a study.

    Example: diascope audit moles.csv --group patient --out audit
    """
    refuse_file(out)
    found = _study(source, study, settings or [], label, group)

    from diascope.cli.display import RunDisplay, say_findings
    from diascope.report.audit_page import write_audit_page

    try:
        with RunDisplay() as display:
            findings = _audit(found, out, full, display)
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


def _audit(study: "Study", out: Path, full: bool, display: "RunDisplay") -> "list[Finding]":
    from functools import partial
    from shutil import rmtree

    from diascope.data.audit.burned_in import reading_cost
    from diascope.data.audit.checks import audit as all_checks
    from diascope.data.audit.facts import Audited
    from diascope.data.audit.measure import measure
    from diascope.data.audit.output import write_findings, write_manifest
    from diascope.data.index import open_index

    config = study.arms[0].data
    index = open_index(config)
    measured = measure(index, progress=partial(display.audited, "measuring images"))
    folds, problems = _folds(study, measured.index)
    rmtree(out / "pictures", ignore_errors=True)  # of an audit before this one
    cost = reading_cost(Audited(measured.index, measured.facts, config, all_text=full))
    if cost.images:
        display.reading_text(cost.images, cost.seconds)
    found = all_checks(index, config, folds, all_text=full, folder=out, progress=display.audited)
    findings = [*index.findings, *problems, *found]
    write_findings(findings, out)
    write_manifest(Audited(measured.index, measured.facts, config), out)
    return findings


def _folds(study: "Study", index: "ImageIndex") -> "tuple[Folds | None, list[Finding]]":
    """The split that a study would make; none, and a finding, where it cannot be made."""
    from diascope.data.split import make_folds
    from diascope.errors import DataError
    from diascope.findings import Finding

    try:
        return make_folds(index, study.config.split), []
    except DataError as error:
        sentence = f"The split that is planned cannot be made: {error}."
        return None, [Finding(code="split", severity="error", outcome="issue", sentence=sentence)]
