"""The audit of a data set by itself, and the one that every study begins with, which a leak stops."""

import shutil
from collections.abc import Mapping
from functools import partial
from pathlib import Path
from typing import Protocol

from diascope.audit.burned_in import reading_cost
from diascope.audit.checks import Watch, audit
from diascope.audit.facts import Audited
from diascope.audit.measure import measure
from diascope.audit.output import write_findings, write_manifest
from diascope.config import canonical_json
from diascope.core.errors import DataError
from diascope.core.files import write_atomic
from diascope.core.findings import Finding
from diascope.data.gray_depth import gray_depth
from diascope.data.index import ImageIndex, Phantoms, open_index
from diascope.data.split import Folds, make_folds
from diascope.study.channels import following_images
from diascope.study.images import Images
from diascope.study.output import AUDIT, refuse_foreign, refuse_images
from diascope.studyfile import Arm, Study

FOLDER = "audit"
"""Of a study folder: where the pictures lie that findings name."""


class Display(Protocol):
    """Is told what happens, to show it."""

    def audited(self, what: str, done: int, total: int) -> None: ...
    def reading_text(self, images: int, seconds: float) -> None: ...


def audit_source(study: Study, out: Path, *, all_text: bool, display: Display) -> list[Finding]:
    """Audit the images and the split of a study that is not run; findings.json, files.csv and more go to `out`.

    Nothing is written before the audit has ended. Raises ConfigError for an `out` that is not free for it.
    """
    refuse_foreign(out, AUDIT)
    study = following_images(study)
    config = study.arms[0].data
    index = open_index(config)
    refuse_images(out, index.source, index.paths)
    told = partial(display.audited, "measuring images")
    measured = measure(index, frame=config.frame, bits=gray_depth(index, config).bits, progress=told)
    folds, problems = _planned_folds(study, measured.index)
    cost = reading_cost(Audited(measured.index, measured.facts, config, all_text=all_text))
    if cost.images:
        display.reading_text(cost.images, cost.seconds)
    pictures: dict[str, bytes] = {}
    found = audit(index, config, folds, all_text=all_text, pictures=pictures, progress=display.audited)
    findings = [*index.findings, *problems, *found]
    write_findings(findings, out)
    write_manifest(Audited(measured.index, measured.facts, config), out)
    keep_pictures(pictures, out, instead=out / "pictures")
    return findings


def _planned_folds(study: Study, index: ImageIndex) -> tuple[Folds | None, list[Finding]]:
    """The split that a study would make; none, and a finding, where it cannot be made."""
    try:
        return make_folds(index, study.config.split), []
    except DataError as error:
        sentence = f"The split that is planned cannot be made: {error}."
        return None, [Finding(code="split", severity="error", outcome="issue", sentence=sentence)]


def audit_study(study: Study, images: Images, pictures: dict[str, bytes] | None, progress: Watch) -> list[Finding]:
    """The findings of all checks; their pictures go to `pictures`. Raises DataError for a leak that is not allowed.

    Arms see the same files, but each may draw phantoms of its own: of further drawings what is wrong with them is told.
    """
    first, *others = _drawn_differently(study, images)
    found = _audit_arm(first, images.index, images, pictures, progress)
    for arm in others:
        drawn: dict[str, bytes] | None = None if pictures is None else {}
        of_arm = _audit_arm(arm, open_index(arm.data), images, drawn, progress)
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
    arm: Arm, index: ImageIndex, images: Images, pictures: dict[str, bytes] | None, progress: Watch
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
        pictures=pictures,
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


def keep_pictures(pictures: Mapping[str, bytes], folder: Path, *, instead: Path) -> None:
    """Write the pictures of an audit into `folder`, and remove `instead`, those of the audit before."""
    shutil.rmtree(instead, ignore_errors=True)
    for file, png in pictures.items():
        write_atomic(folder / file, png)
