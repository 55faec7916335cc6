"""The audit that every study begins with, which a leak stops."""

import shutil
from collections.abc import Mapping
from pathlib import Path

from diascope.audit.checks import audit
from diascope.config import canonical_json
from diascope.core.errors import DataError
from diascope.core.events import Progress, Show, silent
from diascope.core.files import write_atomic
from diascope.core.findings import Finding
from diascope.data.index import ImageIndex, Phantoms, open_index
from diascope.study.images import Images
from diascope.studyfile import Arm, Study

FOLDER = "audit"
"""Of a study folder: where the pictures lie that findings name."""


def audit_study(study: Study, images: Images, pictures: dict[str, bytes] | None, show: Show = silent) -> list[Finding]:
    """The findings of all checks; their pictures go to `pictures`. Raises DataError for a leak that is not allowed.

    Arms see the same files, but each may draw phantoms of its own: of further drawings what is wrong with them is told.
    """
    first, *others = _drawn_differently(study, images)
    found = _audit_arm(first, images.index, images, pictures, show)
    for arm in others:
        drawn: dict[str, bytes] | None = None if pictures is None else {}
        of_arm = _audit_arm(arm, open_index(arm.data), images, drawn, show)
        if pictures is not None:
            pictures |= {f"{arm.name}/{file}": png for file, png in (drawn or {}).items()}
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
    arm: Arm, index: ImageIndex, images: Images, pictures: dict[str, bytes] | None, show: Show
) -> list[Finding]:
    drawn = isinstance(index.origin, Phantoms)  # what was drawn for the network is not drawn again

    def watch(what: str, done: int, total: int) -> None:
        show(Progress(what, done, total))

    left_out = [finding.evidence for finding in images.findings if finding.code == "unreadable-image"]
    return audit(
        index,
        arm.data,
        images.folds,
        pixels=images.caches[arm.name].pixels if drawn else None,
        unreadable={evidence["path"]: evidence["reason"] for evidence in left_out},
        read_text=False,
        pictures=pictures,
        progress=watch,
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


def keep_pictures(pictures: Mapping[str, bytes], folder: Path, *, instead: Path) -> None:
    """Write the pictures of an audit into `folder`, and remove `instead`, those of the audit before."""
    shutil.rmtree(instead, ignore_errors=True)
    for file, png in pictures.items():
        write_atomic(folder / file, png)
