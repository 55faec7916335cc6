"""The audit that every study begins with: what is wrong with its images, and leaks that stop it."""

import shutil
from collections.abc import Callable, Sequence
from pathlib import Path

from diascope.config import canonical_json
from diascope.data.audit.checks import audit
from diascope.data.index import ImageIndex, Phantoms, open_index
from diascope.errors import DataError
from diascope.findings import Finding
from diascope.study.plan import Images
from diascope.studyfile import Arm, Study

FOLDER = "audit"
"""Of a study folder: where the pictures lie that findings name."""


def audit_study(
    study: Study, images: Images, folder: Path | None, progress: Callable[[str, int, int], None]
) -> list[Finding]:
    """The findings of all checks; their pictures go to `folder`. Raises DataError for a leak that is not allowed.

    Arms see the same files, but each may draw phantoms of its own: of further drawings what is wrong with them is told.
    """
    first, *others = _drawn_differently(study, images)
    found = _audit_arm(first, images.index, images, folder, progress)
    for arm in others:
        place = None if folder is None else folder / arm.name
        of_arm = _audit_arm(arm, open_index(arm.data), images, place, progress)
        found += [_told_of(arm.name, finding) for finding in of_arm if finding.outcome == "issue"]
    leaks = [finding for finding in found if finding.severity == "error" and finding.outcome == "issue"]
    if leaks:
        raise DataError("\n".join(leak.sentence for leak in leaks), where=images.index.source)
    return found


def _drawn_differently(study: Study, images: Images) -> list[Arm]:
    """The first arm, and of phantoms the first of each other way to draw them."""
    if not isinstance(images.index.origin, Phantoms):
        return [study.arms[0]]
    first: dict[str, Arm] = {}
    for arm in study.arms:
        first.setdefault(canonical_json(arm.data.phantom), arm)
    return list(first.values())


def _audit_arm(
    arm: Arm, index: ImageIndex, images: Images, folder: Path | None, progress: Callable[[str, int, int], None]
) -> list[Finding]:
    drawn = isinstance(index.origin, Phantoms)  # what was drawn for the network is not drawn again
    left_out = [finding.evidence for finding in images.findings if finding.code == "unreadable-image"]
    return audit(
        index,
        arm.data,
        images.folds,
        pixels=images.caches[arm.name].pixels if drawn else None,
        unreadable={evidence["path"]: evidence["reason"] for evidence in left_out},
        read_text=False,
        folder=folder,
        progress=progress,
    )


def _told_of(arm: str, finding: Finding) -> Finding:
    """The finding, said to be one of the images of this arm."""
    evidence = finding.evidence | {"arm": arm}
    if "pictures" in evidence:
        evidence["pictures"] = [
            {**shown, "images": [{**image, "file": f"{arm}/{image['file']}"} for image in shown["images"]]}
            for shown in evidence["pictures"]
        ]
    sentence = f"Images of arm {arm}: {finding.sentence}"
    return finding.model_copy(update={"sentence": sentence, "evidence": evidence})


def keep_pictures(written: Path, folder: Path, findings: Sequence[Finding]) -> None:
    """Move the pictures of an audit into a study folder, in place of those of the audit before."""
    shutil.rmtree(folder / FOLDER, ignore_errors=True)
    if any(finding.evidence.get("pictures") for finding in findings):
        shutil.copytree(written, folder / FOLDER)
