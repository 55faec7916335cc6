"""Runs that begin with the weights of others (training.start_from): in which order, and whether the weights fit."""

import json
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from diascope.config import DataConfig, ModelConfig, RunConfig, TrainingConfig
from diascope.config.model import OF_FINETUNING
from diascope.core.errors import ConfigError, RunError
from diascope.core.files import file_digest
from diascope.core.text import did_you_mean
from diascope.data.index import ImageIndex
from diascope.data.split import Folds
from diascope.engine import RunTask
from diascope.engine.task import ARM, start_folder
from diascope.models import model_digest
from diascope.runs.folder import RunFolder
from diascope.studyfile import Arm

_FINISH = "name the folder of a finished run, runs/<arm>/fold{fold}-seed{seed} of a study folder"


def first_arm(config: TrainingConfig) -> str | None:
    """The arm whose runs those of this configuration begin with."""
    told = config.start_from or ""
    return told.removeprefix(ARM) if told.startswith(ARM) else None


def in_order_of_start(arms: Sequence[Arm]) -> list[Arm]:
    """The arms, each after the one that it begins with. Raises ConfigError for one that cannot begin."""
    names = {arm.name for arm in arms}
    for arm in arms:
        first = first_arm(arm.training)
        if first is not None and first not in names:
            what = f"training.start_from: the study has no arm {first!r}"
            raise ConfigError(what, where=f"arm {arm.name}", remedy=did_you_mean(first, sorted(names)))
    placed: list[Arm] = []
    waiting = list(arms)
    while waiting:
        there = {None, *(arm.name for arm in placed)}
        ready = [arm for arm in waiting if first_arm(arm.training) in there]
        if not ready:
            circle = [arm.name for arm in waiting]
            what = f"circular training.start_from: {' → '.join([*circle, circle[0]])}"
            raise ConfigError(what, where=f"arm {circle[0]}", remedy="remove start_from from one of them")
        placed += ready
        waiting = [arm for arm in waiting if arm not in ready]
    return placed


class StartingWeights:
    """The runs that others begin with: whether they fit, what they learned from, and a digest of their weights."""

    def __init__(self, index: ImageIndex, folds: Folds) -> None:
        self._index, self._folds = index, folds
        self._digests: dict[Path, str] = {}

    def digest(self, task: RunTask, first: RunTask | None) -> str:
        """Of the weights that the task begins with; nothing where it begins anew.

        `first` is the run of the same study that has them, once it is done: its identity stands for them. Raises
        RunError for a run that is not finished or of another network, and for one that has learned from images which
        this run is to be judged on.
        """
        if task.start is None:
            return ""
        if first is not None:
            network = _network(first.config, len(first.data.classes), model_digest(first.config.model))
            _refuse_other_network(task, first.config, network, f"arm {first.arm}")
            return first.run_id
        if not RunFolder(task.start).done.exists():
            raise RunError("training.start_from: no finished run lies here", where=str(task.start), remedy=_FINISH)
        before, network = _read_network(task.start)
        _refuse_other_network(task, before, network, str(task.start))
        self._refuse_leak(task, task.start)
        if task.start not in self._digests:
            self._digests[task.start] = file_digest(RunFolder(task.start).best)
        return self._digests[task.start]

    def _refuse_leak(self, task: RunTask, folder: Path) -> None:
        """An image that the earlier run learned from, or one before it, is known to the network to be judged on it."""
        paths = [self._index.paths[row] for row in (*task.data.validation, *self._folds.test)]
        judged = {_place(task.config.data, path): path for path in paths}
        for ancestor, before in _ancestors(folder):
            learned = {_place(before.data, path) for path in _training_paths(ancestor, before.fold)}
            known = [path for place, path in judged.items() if place in learned]
            if known:
                what = (
                    f"training.start_from: this run learned from {len(known):,} of the {len(judged):,} images that "
                    f"{task.name} is to be judged on, {known[0]} among them"
                )
                remedy = "start from a run of the same fold ({fold} in the path) of a study with the same split"
                raise RunError(what, where=str(ancestor), remedy=remedy)


def _ancestors(folder: Path) -> Iterator[tuple[Path, RunConfig]]:
    """The run in `folder`, the run that it began with, and so on."""
    start: Path | None = folder
    while start is not None:
        config = _read_config(start)
        if config is None:
            what = "training.start_from: what this run learned from is not known, its config.json cannot be read"
            raise RunError(what, where=str(start), remedy="leave the run in its study folder")
        yield start, config
        start = start_folder(config, start)


def _place(data: DataConfig, path: str) -> str:
    """What tells an image from all others, whatever manifest lists it: copies of a file elsewhere are not seen."""
    if data.source.startswith("phantom:"):
        drawn = data.phantom.model_dump_json(exclude={"images", "size"})
        return f"{data.source} {drawn} {path}"
    source = Path(data.source)
    if source.suffix.lower() == ".npz":
        return f"{source.resolve()} {path}"
    return str(((source if source.is_dir() else source.parent) / path).resolve())


def _refuse_other_network(task: RunTask, before: RunConfig, told: dict[str, Any], where: str) -> None:
    """`told` is what _network says of the earlier run."""
    wanted = _network(task.config, len(task.data.classes), model_digest(task.config.model))
    keys = [key for key in {**wanted, **told} if told.get(key) != wanted.get(key)]
    other = [f"{key} {json.dumps(told.get(key))}, not {json.dumps(wanted.get(key))}" for key in keys]
    arm = f"arm {task.arm}: training.start_from"
    if other:
        what = f"begins with a run of another network, {where}: {', '.join(other)}"
        raise RunError(what, where=arm, remedy="start from a run with the same network, weights and image size")
    learned, learning = _learning_blocks(before.model), _learning_blocks(task.config.model)
    if learning < learned:
        what = f"of the run that it begins with, {where}, more blocks have learned than learn here"
        remedy = f"set model.mode to finetune and model.unfreeze to {before.model.unfreeze}, or to more"
        raise RunError(what, where=arm, remedy=remedy)


def _learning_blocks(model: ModelConfig) -> float:
    """How many blocks of a backbone learn; none of any other network, all of whose weights a run folder holds."""
    if model.mode == "features":
        return 0
    return inf if model.unfreeze == "all" else model.unfreeze


def _read_network(folder: Path) -> tuple[RunConfig, dict[str, Any]]:
    """The configuration of a finished run, and what _network says of it."""
    config = _read_config(folder)
    if config is None:
        raise RunError("training.start_from: its config.json cannot be read", where=str(folder), remedy=_FINISH)
    tree = json.loads(RunFolder(folder).config.read_text(encoding="utf-8"))
    return config, _network(config, len(tree["classes"]), tree.get("weights", ""))


def _network(config: RunConfig, classes: int, weights: str) -> dict[str, Any]:
    """What must be equal of two runs for one to begin with the other's weights; `weights` are those of a backbone."""
    data, model = config.data, config.model
    own = {*OF_FINETUNING, "mode", "augmented_copies", "feature_precision", "weights"}  # a head goes on in another mode
    random = model.weights == "random"
    of_backbone = {"model.weights": f"{weights}, seed {config.run_seed}" if random else f"digest {weights[:12]}"}
    return {
        "model.name": model.identity().get("name", model.name),
        **{f"model.{key}": value for key, value in model.filled().items() if key not in own},
        **(of_backbone if model.kind == "pretrained" else {}),
        "image_size": list(data.image_size),
        "channels": data.channels,
        "normalize": data.normalize,
        "classes": classes,
    }


def _read_config(folder: Path) -> RunConfig | None:
    try:
        tree = json.loads(RunFolder(folder).config.read_text(encoding="utf-8"))
        return RunConfig.model_validate_json(json.dumps(tree["config"]), strict=True)
    except (OSError, ValueError, KeyError, TypeError, ValidationError):
        return None


def _training_paths(folder: Path, fold: int) -> list[str]:
    """The images that a run of a study folder learned from; none where the folder is no longer in its study."""
    file = folder.parents[2] / "folds.json"
    try:
        return list(json.loads(file.read_text(encoding="utf-8"))["folds"][fold]["training"])
    except (OSError, ValueError, KeyError, IndexError, TypeError) as error:
        what = "training.start_from: what this run learned from is not known, its study's folds.json cannot be read"
        remedy = "leave the run in its study folder"
        raise RunError(what, where=str(folder), remedy=remedy) from error
