"""A run opened to be explained, and the explanations at the end of a study: of the first run of each arm."""

import json
from collections.abc import Callable
from pathlib import Path

from diascope.config import DataConfig, canonical_json
from diascope.data.nearest import shorten
from diascope.engine import load_model, pick_device
from diascope.errors import DiascopeError, RunError
from diascope.explain.cases import explain_cases, explained_already
from diascope.explain.images import StudyImages
from diascope.explain.judged import Checkpoint, read_judged
from diascope.explain.subject import Subject
from diascope.runs.record import RunRecord, StudyRecord, predicted_classes
from diascope.training.process import prepare_process

_NAMED = 4


def explain_study(folder: Path, warn: Callable[[str], None], device: str = "auto") -> None:
    """Write explain/ for fold 0 and the first seed of each arm, where it is not there already.

    Explanations are an extra: what goes wrong with one is told to `warn`, and the study stands without it.
    """
    record, seen = StudyRecord(folder), dict[str, StudyImages]()
    count = record.study.report.explain
    for run in [record.runs_of(arm)[0] for arm in record.arms] if count else []:
        if run.state != "done" or explained_already(run, count):
            continue
        try:
            images = study_images(run, whole=True)
            images = seen.setdefault(canonical_json(images.config), images)
            explain_cases(open_subject(record, run, "last", device, images), count)
        except Exception as error:  # a network of the user's own may raise anything; no study is lost for its pictures
            what = str(error) if isinstance(error, DiascopeError) else f"{type(error).__name__}: {error}"
            warn(f"{run.arm}/{run.name} could not be explained: {what}")


def open_subject(
    record: StudyRecord, run: RunRecord, checkpoint: Checkpoint, device: str, images: StudyImages
) -> Subject:
    """A finished run with its network on the device. Raises RunError where it is not finished."""
    model = load_model(run.folder, checkpoint)
    prepare_process(int(run.config["training"]["threads"]))
    classes = predicted_classes(run.predictions)
    return Subject(
        model=model.to(pick_device(device)),
        run=run,
        checkpoint=checkpoint,
        classes=classes,
        judged=read_judged(run, checkpoint, classes, record.positive),
        images=images,
    )


def find_run(folder: Path) -> tuple[StudyRecord, RunRecord]:
    """The run in runs/<arm>/<run> of a study folder, and its study. Raises RunError, with the runs that there are."""
    if (folder / "study.yaml").is_file():
        runs = [str(run.folder) for run in StudyRecord(folder).runs if run.state == "done"]
        named = f"name one of its runs: {shorten(runs, _NAMED)}" if runs else "run the study first: `diascope run`"
        raise RunError("is a study, not a run", where=str(folder), remedy=named)
    path = folder.resolve()
    if not path.is_dir() or len(path.parents) < 3 or not (path.parents[2] / "study.yaml").is_file():
        raise RunError(
            "is no run folder", where=str(folder), remedy="name DIR/runs/<arm>/fold0-seed0 of a study folder"
        )
    record = StudyRecord(path.parents[2])
    found = next((run for run in record.runs if run.folder == path), None)
    if found is None:
        what, runs = (
            "is no run that its study asks for",
            [run.folder.relative_to(path.parents[2]).as_posix() for run in record.runs],
        )
        raise RunError(what, where=str(folder), remedy=f"there is {shorten(runs, _NAMED)}")
    return record, found


def study_images(run: RunRecord, *, whole: bool) -> StudyImages:
    """The images as the run's network sees them; `whole`: decode all at once, or take them from the cache."""
    return StudyImages(DataConfig.model_validate_json(json.dumps(run.config["data"]), strict=True), whole=whole)
