"""The audit that every study begins with: what is wrong with its images, and leaks that stop it."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from diascope.data.audit.checks import audit
from diascope.data.index import Phantoms
from diascope.errors import DataError
from diascope.findings import Finding
from diascope.study.plan import Images
from diascope.studyfile import Study

FOLDER = "audit"
"""Of a study folder: where the pictures lie that findings name."""


def audit_study(
    study: Study, images: Images, folder: Path | None, progress: Callable[[str, int, int], None]
) -> list[Finding]:
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
        read_text=False,
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
