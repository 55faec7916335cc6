"""From a study and its images to its runs: which are done, which are to do, and which no longer fit the study."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from diascope.config import RunConfig
from diascope.core.errors import RunError
from diascope.core.findings import Finding
from diascope.core.text import shorten
from diascope.engine import RunData, RunTask
from diascope.engine.task import start_folder
from diascope.models import model_digest
from diascope.runs.folder import RunFolder, run_path
from diascope.runs.identity import Identity, State, content_digest
from diascope.runs.look_log import asked_seeds, read_look_log
from diascope.study.extraction import with_features
from diascope.study.images import Images
from diascope.study.starting import StartingWeights, first_arm, in_order_of_start
from diascope.studyfile import Study


@dataclass(frozen=True)
class Cell:
    """One run of the plan, and how far it is; of a stale one, what is different now."""

    task: RunTask
    state: State
    why: str = ""


@dataclass(frozen=True)
class Planned:
    """An event: training begins; of a study whose seeds are added in looks, that of the next look."""

    cells: tuple[Cell, ...]
    findings: tuple[Finding, ...]


def plan(study: Study, images: Images, folder: Path) -> list[Cell]:
    """Every run of the study in the order in which they are trained: seed by seed, so that arms fill evenly."""
    weights = StartingWeights(images.index, images.folds)
    cells: list[Cell] = []
    for seed in asked_seeds(study.config, read_look_log(folder)):
        for number in range(len(images.folds.folds)):
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
                path = run_path(folder, arm.name, number, seed)
                task = RunTask(arm.name, config, "", path, _data(images, arm.name, number))
                first = of_arm.get(first_arm(arm.training) or "")
                of_arm[arm.name] = _cell(task, images, weights, first.task if first is not None else None)
            cells += [of_arm[arm.name] for arm in study.arms]
    return cells


def _data(images: Images, arm: str, fold: int) -> RunData:
    index, cache, sides = images.index, images.caches[arm], images.folds.folds[fold]
    return RunData(
        pixels=cache.folder / "pixels.npy",
        bits=cache.bits,
        paths=index.paths,
        labels=index.labels,
        groups=index.groups,
        classes=index.classes,
        training=sides.training,
        validation=sides.validation,
    )


def _cell(task: RunTask, images: Images, weights: StartingWeights, first: RunTask | None) -> Cell:
    """The task with its identity; `first` is the run of the same study that it begins with, if it does."""
    data, config, pixels = task.data, task.config, images.caches[task.arm].content
    task = replace(task, start=start_folder(config, task.folder), after=first.run_id if first else None)
    network = model_digest(config.model)
    seen = content_digest(pixels, data.classes, data.labels, data.training, data.validation)
    identity = Identity(config, seen + network + weights.digest(task, first), network)
    standing = identity.standing(RunFolder(task.folder))
    task = replace(task, run_id=identity.run_id, continues=standing.continues, data=with_features(task, pixels))
    return Cell(task, standing.state, standing.why)


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


def same_arms(identities: Mapping[str, str]) -> list[Finding]:
    """A warning for arms, by name, whose runs have the same identity: they would be trained twice, and compared."""
    alike: dict[str, list[str]] = {}
    for name, identity in identities.items():
        alike.setdefault(identity, []).append(name)
    return [
        Finding(
            code="same-arms",
            severity="warning",
            outcome="issue",
            sentence=f"The arms {' and '.join(names)} are the same configuration: is an override missing?",
            evidence={"arms": names},
        )
        for names in alike.values()
        if len(names) > 1
    ]
