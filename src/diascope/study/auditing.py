"""The audit of a data set by itself, and the one that every study begins with, which a leak stops."""

import shutil
from collections.abc import Sequence
from functools import partial
from pathlib import Path

from diascope.data.audit.checks import Watch, audit
from diascope.data.audit.facts import Audited
from diascope.data.audit.measure import measure
from diascope.data.audit.output import write_findings, write_manifest
from diascope.data.index import ImageIndex, Phantoms, open_index
from diascope.data.split import Folds, make_folds
from diascope.errors import DataError
from diascope.findings import Finding
from diascope.study.plan import Images
from diascope.studyfile import Study

FOLDER = "audit"
"""Of a study folder: where the pictures lie that findings name."""


def audit_source(study: Study, out: Path, *, all_text: bool, progress: Watch) -> list[Finding]:
    """Audit the images and the split of a study that is not run; findings.json, files.csv and more go to `out`."""
    config = study.arms[0].data
    index = open_index(config)
    measured = measure(index, progress=partial(progress, "measuring images"))
    folds, problems = _planned_folds(study, measured.index)
    shutil.rmtree(out / "pictures", ignore_errors=True)  # of an audit before this one
    found = audit(index, config, folds, all_text=all_text, folder=out, progress=progress)
    findings = [*index.findings, *problems, *found]
    write_findings(findings, out)
    write_manifest(Audited(measured.index, measured.facts, config), out)
    return findings


def _planned_folds(study: Study, index: ImageIndex) -> tuple[Folds | None, list[Finding]]:
    """The split that a study would make; none, and a finding, where it cannot be made."""
    try:
        return make_folds(index, study.config.split), []
    except DataError as error:
        sentence = f"The split that is planned cannot be made: {error}."
        return None, [Finding(code="split", severity="error", outcome="issue", sentence=sentence)]


def audit_study(study: Study, images: Images, folder: Path | None, progress: Watch) -> list[Finding]:
    """The findings of all checks; their pictures go to `folder`. Raises DataError for a leak that is not allowed."""
    arm = study.arms[0]
    drawn = isinstance(images.index.origin, Phantoms)  # what was drawn for the network is not drawn again
    left_out = [finding.evidence for finding in images.findings if finding.code == "unreadable-image"]
    found = audit(
        images.index,
        arm.data,
        images.folds,
        pixels=images.caches[arm.name].pixels if drawn else None,
        unreadable={evidence["path"]: evidence["reason"] for evidence in left_out},
        folder=folder,
        progress=progress,
    )
    leaks = [finding for finding in found if finding.severity == "error" and finding.outcome == "issue"]
    if leaks:
        raise DataError("\n".join(leak.sentence for leak in leaks), where=images.index.source)
    return found


def keep_pictures(written: Path, folder: Path, findings: Sequence[Finding]) -> None:
    """Move the pictures of an audit into a study folder, in place of those of the audit before."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    if any(finding.evidence.get("pictures") for finding in findings):
        shutil.copytree(written, folder / FOLDER)
