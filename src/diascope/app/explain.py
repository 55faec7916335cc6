"""Explain a run: named images, where its maps lie, what they need; and the first run of each arm for the report."""

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from diascope.config import DataConfig, canonical_json
from diascope.core.errors import ConfigError, DiascopeError
from diascope.core.events import Notice, Show, silent
from diascope.core.files import write_json
from diascope.data.cache import ImageCache
from diascope.data.index import ImageIndex
from diascope.explain.cases import explain_cases, explained_already
from diascope.explain.method_checks import check_regions, check_sanity, require_regions
from diascope.explain.methods import check_method
from diascope.explain.named import Named, explain_named, find_images
from diascope.explain.study_images import StudyImages
from diascope.explain.subject import Subject
from diascope.explain.validation import Checkpoint, read_validation
from diascope.predict.device import pick_device
from diascope.predict.network import load_model
from diascope.predict.trust import networks_of_runs, refuse_code
from diascope.runs.record import RunRecord, StudyRecord, predicted_classes
from diascope.study.images import Images
from diascope.study.named_run import find_run
from diascope.study.output import refuse_file, refuse_images
from diascope.training.process import prepare_process


def explain_study(
    folder: Path,
    show: Show = silent,
    device: str = "auto",
    *,
    trust_code: bool = False,
    images: Images | None = None,
) -> None:
    """Write explain/ for fold 0 and the first seed of each arm, where it is not there already.

    `images` are those that the study was just trained on; without them they are read anew. Explanations are an extra:
    what goes wrong with one is a warning, and the study stands without it.
    """
    record, seen = StudyRecord(folder), dict[str, StudyImages]()
    count = record.study.report.explain
    for run in [record.runs_of(arm)[0] for arm in record.arms] if count else []:
        if run.state != "done" or explained_already(run, count):
            continue
        try:
            known = None if images is None else (images.indices[run.arm], images.caches[run.arm])
            shown = study_images(record, run, whole=True, opened=known)
            shown = seen.setdefault(canonical_json(shown.config), shown)
            explain_cases(open_subject(record, run, "last", device, shown, trust_code=trust_code), count)
        except Exception as error:  # a network of the user's own may raise anything; no study is lost for its pictures
            what = str(error) if isinstance(error, DiascopeError) else f"{type(error).__name__}: {error}"
            show(Notice(f"{run.arm}/{run.name} could not be explained: {what}", warning=True))


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
    model = load_model(run.folder, checkpoint)
    prepare_process(int(run.config["training"]["threads"]))
    classes = predicted_classes(run.predictions)
    return Subject(
        model=model.to(pick_device(device)),
        run=run,
        checkpoint=checkpoint,
        classes=classes,
        judged=read_validation(run, checkpoint, classes, record.positive),
        images=images,
    )


def study_images(
    record: StudyRecord, run: RunRecord, *, whole: bool, opened: tuple[ImageIndex, ImageCache] | None = None
) -> StudyImages:
    """The images as the run's network sees them; `whole`: all of them, decoded, `opened` or from the cache."""
    config = DataConfig.model_validate_json(json.dumps(run.config["data"]), strict=True)
    paths = frozenset(record.index["path"])
    return StudyImages(config, whole=whole, paths=paths, bits=run.bits, opened=opened)


@dataclass(frozen=True)
class Explained:
    """An event: what one method gave: the pictures that were written, and the two checks where they were asked for."""

    method: str
    written: tuple[Path, ...]
    regions: dict[str, Any] | None
    sanity: dict[str, Any] | None


@dataclass(frozen=True)
class Asked:
    """How to explain: `class_name` None: the predicted class; `scale`: the value of full colour."""

    methods: tuple[str, ...] = ("grad-cam",)
    class_name: str | None = None
    layer: str | None = None
    checkpoint: Checkpoint = "last"
    scale: float | None = None
    regions: bool = False
    sanity: bool = False
    most: int = 500


def explain(
    run: Path,
    images: Sequence[str],
    asked: Asked = Asked(),
    out: Path | None = None,
    show: Show = silent,
    *,
    device: str = "auto",
    trust_code: bool = False,
) -> list[Explained]:
    """Explain images, by their paths in the study's index or as files, to a network of a finished run.

    Pictures, raw maps and checks go to `out` (default: the run's folder explain/). Each method is an event as soon as
    it is done. Raises ConfigError, DataError or RunError where something is not there.
    """
    record, found = find_run(run)
    if not (images or asked.regions or asked.sanity):
        remedy = "name a path of the study's index.csv or a file, or give --regions or --sanity"
        raise ConfigError("no IMAGE is named", where="diascope explain", remedy=remedy)
    folder = out or run / "explain"
    methods = tuple(dict.fromkeys(asked.methods))
    for method in methods:
        check_method(method, asked.layer)
    source, paths = found.config["data"]["source"], record.index["path"]
    refuse_file(folder)
    if out is not None:
        refuse_images(out, source, paths)
    named = find_images(images, dict(zip(paths, record.index["label"], strict=True)), source)
    seen = study_images(record, found, whole=asked.regions)
    subject = open_subject(record, found, asked.checkpoint, device, seen, trust_code=trust_code)
    if asked.regions:
        require_regions(subject)
    explained = []
    for method in methods:
        explained.append(_explain_by(method, subject, named, asked, folder))
        show(explained[-1])
    return explained


def _explain_by(method: str, subject: Subject, named: Sequence[Named], asked: Asked, folder: Path) -> Explained:
    written: list[Path] = []
    if named:
        how = {"class_name": asked.class_name, "layer": asked.layer}
        written = explain_named(subject, named, method, folder, scale=asked.scale, **how)
    regions = check_regions(subject, method, asked.layer, asked.most) if asked.regions else None
    sanity = check_sanity(subject, method, asked.layer) if asked.sanity else None
    for check, found in (("regions", regions), ("sanity", sanity)):
        if found is not None:
            write_json(folder / f"{check}-{method}.json", found)
    return Explained(method, tuple(written), regions, sanity)
