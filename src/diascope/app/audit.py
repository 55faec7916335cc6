"""Audit a data set before any training: what is wrong with its images, labels and split."""

from pathlib import Path

from diascope.audit.audit_files import write_findings, write_manifest
from diascope.audit.burned_in import reading_cost
from diascope.audit.checks import audit
from diascope.audit.facts import Audited
from diascope.audit.measure import measure
from diascope.core.errors import DataError
from diascope.core.events import Notice, Progress, Show, counter, silent
from diascope.core.findings import Finding
from diascope.core.text import duration
from diascope.data.gray_depth import gray_depth
from diascope.data.index import ImageIndex, open_index
from diascope.data.split import Folds, make_folds
from diascope.study.auditing import keep_pictures
from diascope.study.channels import following_images
from diascope.study.output import AUDIT, refuse_foreign, refuse_images
from diascope.studyfile import Study


def audit_source(study: Study, out: Path, *, all_text: bool = False, show: Show = silent) -> list[Finding]:
    """Audit the images and the split of a study that is not run; findings.json, files.csv and more go to `out`.

    Nothing is written before the audit has ended. Raises ConfigError for an `out` that is not free for it.
    """
    refuse_foreign(out, AUDIT)
    study = following_images(study)
    config = study.arms[0].data
    index = open_index(config)
    refuse_images(out, index.source, index.paths)
    measuring = counter(show, "measuring images")
    measured = measure(index, frame=config.frame, bits=gray_depth(index, config).bits, progress=measuring)
    folds, problems = _planned_folds(study, measured.index)
    cost = reading_cost(Audited(measured.index, measured.facts, config, all_text=all_text))
    if cost.images:
        long = duration(cost.seconds)
        show(Notice(f"reading {cost.images:,} images for burned-in text: about {long} on one free core, once"))
    pictures: dict[str, bytes] = {}

    def watch(what: str, done: int, total: int) -> None:
        show(Progress(what, done, total))

    found = audit(index, config, folds, all_text=all_text, pictures=pictures, progress=watch)
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
