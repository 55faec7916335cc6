"""From a study file to its runs: which are done, which are to do, and which no longer fit the file."""

import json
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass, replace
from hashlib import sha256
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock

from diascope.config import Cosine, RunConfig, canonical_json, run_id
from diascope.core.errors import ConfigError, RunError
from diascope.core.files import make_folder, save_atomic, write_atomic, write_json
from diascope.core.findings import Finding
from diascope.core.text import did_you_mean, shorten
from diascope.data.cache import ImageCache, load_images
from diascope.data.index import ImageIndex, open_index
from diascope.data.split import Fold, Folds, make_folds
from diascope.engine import RunData, RunTask
from diascope.engine.task import start_folder
from diascope.runs.claim import Claim, Taken, is_claimed
from diascope.runs.folder import RunFolder, run_path
from diascope.runs.look_log import asked_seeds, read_look_log
from diascope.runs.record import sample_stem
from diascope.study.changes import what_changed
from diascope.study.checks import (
    StartingWeights,
    check_arms,
    check_sides,
    first_arm,
    in_order_of_start,
    model_digest,
)
from diascope.study.extraction import with_features
from diascope.study.output import refuse_images
from diascope.study.samples import write_augmented_samples
from diascope.studyfile import Study, dump_study, load_study

State = Literal["todo", "in training", "unfinished", "done", "stale", "extend"]
OnUnreadable = Literal["error", "skip"]
Progress = Callable[[int, int], None]


@dataclass(frozen=True)
class Images:
    """The decoded images of a study: one index and one split for all arms, a cache for each way of showing them."""

    index: ImageIndex
    folds: Folds
    caches: dict[str, ImageCache]  # by arm
    findings: list[Finding]


@dataclass(frozen=True)
class Cell:
    """One run of the plan, and how far it is; of a stale one, what is different now."""

    task: RunTask
    state: State
    why: str = ""


def read_images(
    study: Study, out: Path | None = None, *, on_unreadable: OnUnreadable = "error", progress: Progress | None = None
) -> Images:
    """Index, decode and split the images of a study that is to be written to `out`, if it is.

    Raises DataError or ConfigError before anything is written to the study.
    """
    in_order_of_start(study.arms)  # raises for one that cannot begin
    caches: dict[str, ImageCache] = {}
    by_view: dict[str, tuple[ImageIndex, ImageCache]] = {}
    first: ImageIndex | None = None
    findings: list[Finding] = []
    for arm in study.arms:
        view = canonical_json(arm.data)
        if view not in by_view:
            opened = open_index(arm.data)
            if out is not None:
                refuse_images(out, opened.source, opened.paths)
            _refuse_unknown_columns(study, opened)
            check_arms(study, opened)
            index, cache, found = load_images(opened, arm.data, on_unreadable=on_unreadable, progress=progress)
            by_view[view] = (index, cache)
            findings += [finding for finding in found if finding not in findings]
        index, caches[arm.name] = by_view[view]
        first = first or index
    assert first is not None  # a study has at least one arm
    folds = make_folds(first, study.split)
    check_sides(study, first, folds)
    return Images(first, folds, caches, findings)


def _refuse_unknown_columns(study: Study, index: ImageIndex) -> None:
    """A subgroup that the data do not know would be missed only after all training."""
    for name in study.config.report.subgroups:
        if name not in index.columns:
            remedy = did_you_mean(name, index.columns) if index.columns else "name a column of a CSV manifest"
            what = f"report.subgroups names {name!r}, which is no further column of {index.source}"
            raise ConfigError(what, where=study.config.name, remedy=remedy)


def plan(study: Study, images: Images, folder: Path) -> list[Cell]:
    """Every run of the study in the order in which they are trained: seed by seed, so that arms fill evenly."""
    weights = StartingWeights(images.index, images.folds)
    cells: list[Cell] = []
    for seed in asked_seeds(study.config, read_look_log(folder)):
        for number, fold in enumerate(images.folds.folds):
            of_arm: dict[str, Cell] = {}
            for arm in in_order_of_start(study.arms):
                config = RunConfig(
                    data=arm.data,
                    split=study.split,
                    model=arm.model,
                    augmentation=arm.augmentation,
                    training=arm.training,
                    fold=number,
                    seed=seed,
                )
                first = of_arm.get(first_arm(arm.training) or "")
                of_arm[arm.name] = _cell(
                    folder, arm.name, config, images, fold, weights, first.task if first is not None else None
                )
            cells += [of_arm[arm.name] for arm in study.arms]
    return cells


def check_stale(cells: Sequence[Cell], folder: Path, *, retrain: bool) -> None:
    """Stale runs are kept from being overwritten, and from being compared with runs of another configuration."""
    stale = [cell.task.name for cell in cells if cell.state == "stale"]
    if stale and not retrain:
        names = shorten(stale, 5)
        what = f"{len(stale)} of {len(cells)} runs were trained with another configuration or other images: {names}"
        what += "".join(f"; {reason}" for reason in reasons_of(cells))
        remedy = "give another --out, undo the change, or pass --retrain to train them anew"
        raise RunError(what, where=str(folder), remedy=remedy)


def reasons_of(cells: Sequence[Cell]) -> list[str]:
    """Why cells are stale, each reason once."""
    return list(dict.fromkeys(cell.why for cell in cells if cell.why))


def write_study(study: Study, images: Images, folder: Path, cells: Sequence[Cell] = ()) -> None:
    """Write down what is about to be trained, and on what, before any training.

    Stale cells, which are about to be trained anew, are cleared: no report may count them among the new ones. Raises
    RunError if another command is at work in the folder on another study, or on a stale cell.
    """
    try:
        make_folder(folder)
        with FileLock(folder / ".study.lock"):
            _refuse_other_study(study, folder, cells)
            for cell in cells:
                if cell.state == "stale":
                    _clear(cell.task)
            write_atomic(folder / "study.yaml", dump_study(study))
            save_atomic(folder / "index.csv", images.index.save)
            save_atomic(folder / "folds.json", images.folds.save)
            write_json(folder / "findings.json", [finding.model_dump(mode="json") for finding in images.findings])
            _write_samples(study, images, folder / "samples")
            write_augmented_samples(study, images.index, images.folds.folds[0].training, images.caches, folder)
    except OSError as error:
        raise RunError(
            f"cannot be written ({error.strerror})", where=str(folder), remedy="give another --out"
        ) from error


def _refuse_other_study(study: Study, folder: Path, cells: Sequence[Cell]) -> None:
    """A folder is one study's; and while a command trains in it, what it says of that study stays."""
    file = folder / "study.yaml"
    if not file.exists() or file.read_text(encoding="utf-8") == dump_study(study):
        return
    with suppress(ConfigError):  # a file that cannot be read holds no name
        name = load_study(file, recorded=True).config.name
        if name != study.config.name and any(folder.glob("runs/*/*/config.json")):
            what = f"it holds the study {name!r}, not {study.config.name!r}"
            raise RunError(what, where=str(folder), remedy="give another --out, or keep the name")
    busy = [cell.task.name for cell in cells if is_claimed(cell.task.folder)]
    if busy:
        what = f"another command trains {busy[0]} in it, for a study file that says something else"
        raise RunError(what, where=str(folder), remedy="wait for it, or give another --out")


def _clear(task: RunTask) -> None:
    folder = RunFolder(task.folder)
    try:
        with Claim(task.folder):
            if folder.run_id() != task.run_id:  # else another command has begun it anew
                folder.clear()
    except Taken as taken:
        what = "another command trains it, with another configuration"
        raise RunError(what, where=str(task.folder), remedy="wait for it, then run with --retrain") from taken


def _cell(
    folder: Path,
    arm: str,
    config: RunConfig,
    images: Images,
    fold: Fold,
    weights: StartingWeights,
    first: RunTask | None,
) -> Cell:
    """`first` is the run of the same study that this one begins with, if it does."""
    index, cache = images.index, images.caches[arm]
    path = run_path(folder, arm, config.fold, config.seed)
    data = RunData(
        pixels=cache.folder / "pixels.npy",
        paths=index.paths,
        labels=index.labels,
        groups=index.groups,
        classes=index.classes,
        training=fold.training,
        validation=fold.validation,
    )
    start = start_folder(config, path)
    task = RunTask(arm, config, "", path, data, start=start, after=first.run_id if first else None)
    content = _content(index, cache, fold) + model_digest(config.model) + weights.digest(task, first)
    task = replace(task, run_id=run_id(config, content), data=with_features(task, cache.content))
    shorter = _shorter(RunFolder(path), config)
    if shorter is not None and run_id(shorter, content) == RunFolder(path).run_id():
        return _more_epochs(task, shorter)
    state = _state(RunFolder(path), task.run_id)
    return Cell(task, state, what_changed(RunFolder(path), config) if state == "stale" else "")


def _more_epochs(task: RunTask, shorter: RunConfig) -> Cell:
    """A folder that holds the same run with fewer epochs: it goes on, unless its schedule would have been another."""
    if is_claimed(task.folder):
        return Cell(task, "in training")
    if task.config.training.has_horizon:
        before, now = shorter.training.epochs, task.config.training.epochs
        kind = task.config.training.schedule.kind
        why = f"the schedule {kind} spans all epochs, so {before} epochs are not the beginning of {now}"
        return Cell(task, "stale", why)
    return Cell(replace(task, continues=RunFolder(task.folder).run_id()), "extend")


def _shorter(folder: RunFolder, config: RunConfig) -> RunConfig | None:
    """`config` with the number of epochs that the folder's run has, if that is smaller."""
    try:
        epochs = json.loads(folder.config.read_text(encoding="utf-8"))["config"]["training"]["epochs"]
    except (OSError, ValueError, KeyError, TypeError):
        return None
    if not isinstance(epochs, int) or not 1 <= epochs < config.training.epochs:
        return None
    schedule = config.training.schedule
    if isinstance(schedule, Cosine) and schedule.warmup >= epochs:
        return None
    return config.model_copy(update={"training": config.training.model_copy(update={"epochs": epochs})})


def _content(index: ImageIndex, cache: ImageCache, fold: Fold) -> str:
    """A digest of what a run learns from and is watched on: pixels, labels, classes and sides, in order."""
    digest = sha256(cache.content.encode())
    digest.update(canonical_json({"classes": index.classes}).encode())
    for array in (index.labels, fold.training, fold.validation):
        digest.update(np.ascontiguousarray(array, dtype=np.int64).tobytes() + b"|")
    return digest.hexdigest()


def _state(folder: RunFolder, identity: str) -> State:
    found = folder.run_id()
    if found not in (None, identity):
        return "stale"
    if folder.is_done(identity):
        return "done"
    if is_claimed(folder.path):
        return "in training"
    return "todo" if found is None else "unfinished"


def _write_samples(study: Study, images: Images, folder: Path, per_class: int = 6) -> None:
    """A few training images of each class, as the network of the first arm sees them, for the report."""
    from PIL import Image

    cache, training = images.caches[study.arms[0].name], images.folds.folds[0].training
    for number, name in enumerate(images.index.classes):
        rows = [row for row in training if images.index.labels[row] == number]
        for place, row in enumerate(rows[:: max(1, len(rows) // per_class)][:per_class]):
            _write_png(folder / f"{sample_stem(name)}-{place}.png", Image.fromarray(cache.pixels[row].squeeze()))


def _write_png(path: Path, image: Any) -> None:
    from io import BytesIO

    content = BytesIO()
    image.save(content, "PNG", optimize=True)
    write_atomic(path, content.getvalue())
