"""A run opened to be explained, and the explanations at the end of a study: of the first run of each arm."""

import json
from collections.abc import Callable
from pathlib import Path

from diascope.config import DataConfig, canonical_json
from diascope.core.errors import DiascopeError
from diascope.explain.cases import explain_cases, explained_already
from diascope.explain.images import StudyImages
from diascope.explain.judged import Checkpoint, read_judged
from diascope.explain.subject import Subject
from diascope.predict.device import pick_device
from diascope.predict.predictor import Network
from diascope.predict.trust import networks_of_runs, refuse_code
from diascope.runs.record import RunRecord, StudyRecord, predicted_classes


def explain_study(folder: Path, warn: Callable[[str], None], device: str = "auto", *, trust_code: bool = False) -> None:
    """Write explain/ for fold 0 and the first seed of each arm, where it is not there already.

    Explanations are an extra: what goes wrong with one is told to `warn`, and the study stands without it.
    """
    record, seen = StudyRecord(folder), dict[str, StudyImages]()
    count = record.study.report.explain
    for run in [record.runs_of(arm)[0] for arm in record.arms] if count else []:
        if run.state != "done" or explained_already(run, count):
            continue
        try:
            images = study_images(record, run, whole=True)
            images = seen.setdefault(canonical_json(images.config), images)
            explain_cases(open_subject(record, run, "last", device, images, trust_code=trust_code), count)
        except Exception as error:  # a network of the user's own may raise anything; no study is lost for its pictures
            what = str(error) if isinstance(error, DiascopeError) else f"{type(error).__name__}: {error}"
            warn(f"{run.arm}/{run.name} could not be explained: {what}")


def open_subject(
    record: StudyRecord,
    run: RunRecord,
    checkpoint: Checkpoint,
    device: str,
    images: StudyImages,
    *,
    trust_code: bool = False,
) -> Subject:
    """A finished run with its network on the device. Raises RunError where it is not finished, ConfigError for code
    that the study folder brings along and that is not trusted.
    """
    refuse_code(networks_of_runs([run]), trusted=trust_code)
    network = Network.open(run.folder, checkpoint, pick_device(device))
    classes = predicted_classes(run.predictions)
    return Subject(
        network=network,
        run=run,
        checkpoint=checkpoint,
        classes=classes,
        judged=read_judged(run, checkpoint, classes, record.positive),
        images=images,
    )


def study_images(record: StudyRecord, run: RunRecord, *, whole: bool) -> StudyImages:
    """The images as the run's network sees them; `whole`: decode all at once, or take them from the cache."""
    config = DataConfig.model_validate_json(json.dumps(run.config["data"]), strict=True)
    return StudyImages(config, whole=whole, paths=frozenset(record.index["path"]), bits=run.bits)
