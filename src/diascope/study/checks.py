"""What can be found wrong with an arm before anything is trained, and what its identity needs to know of its files."""

import json
from collections.abc import Iterator, Sequence
from math import inf
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from diascope.config import DataConfig, ModelConfig, RunConfig, TrainingConfig
from diascope.config.model import OF_FINETUNING
from diascope.core.errors import ConfigError, DiascopeError, RunError
from diascope.core.files import file_digest
from diascope.core.findings import Finding
from diascope.core.text import did_you_mean
from diascope.data.index import ImageIndex
from diascope.data.split import Folds
from diascope.engine import RunTask
from diascope.engine.task import ARM, run_seed, start_folder
from diascope.models import check_model
from diascope.models.own import code_digest
from diascope.models.pretrained import expected_size, weights_identity
from diascope.runs.folder import RunFolder
from diascope.studyfile import Arm, Study
from diascope.training.stopping import check_watchable
from diascope.training.weights import class_weights

_FINISH = "name the folder of a finished run, runs/<arm>/fold{fold}-seed{seed} of a study folder"


def check_arms(study: Study, index: ImageIndex) -> None:
    """Every arm's network must take the images, and its class weights name their classes. Raises ConfigError."""
    for arm in study.arms:
        try:
            size = (arm.data.height, arm.data.width)
            check_model(arm.model, channels=arm.data.channels, classes=len(index.classes), image_size=size)
            _check_pretrained(arm)
            class_weights(arm.training.class_weights, index.labels, index.classes)
        except DiascopeError as error:
            raise _of_arm(arm, error) from error


def _check_pretrained(arm: Arm) -> None:
    """What other sections may not ask of a pretrained network, since it would be ignored."""
    model, training = arm.model, arm.training
    if model.kind != "pretrained":
        return
    if model.preprocessing == "weights" and arm.data.normalize != "none":
        what = f"is {arm.data.normalize}, but model.preprocessing weights scales the pixels as the weights expect it"
        raise ConfigError(what, where="data.normalize", remedy="set it to none, or model.preprocessing to none")
    if model.gray == "adapt" and arm.data.channels == 3:
        what = "is adapt, which is for images of one channel, but data.channels is 3"
        raise ConfigError(what, where=f"arm {arm.name}: model.gray", remedy="leave it out, or set data.channels to 1")
    if model.unfreeze_every is not None and model.unfreeze_every >= training.epochs:
        what = f"is {model.unfreeze_every}, but there are only {training.epochs} epochs: no block would learn"
        raise ConfigError(what, where=f"arm {arm.name}: model.unfreeze_every", remedy="lower it, or train longer")
    if model.head == "logistic":
        idle = {
            "training.mixup": training.mixup,
            "training.label_smoothing": training.label_smoothing,
            "training.early_stopping": training.early_stopping,
            "training.sampler": training.sampler == "balanced",
            "training.start_from": training.start_from,
            "augmentation": arm.augmentation.changes,
        }
        for key in (key for key, used in idle.items() if used):
            what = "is not for model.head logistic, which is fitted to the plain features at once"
            raise ConfigError(what, where=f"arm {arm.name}: {key}", remedy="leave it out in this arm")


def other_sizes(study: Study) -> list[Finding]:
    """A note for arms whose images are of another size than those that their weights were trained with."""
    found: dict[str, list[str]] = {}
    for arm in study.arms:
        if arm.model.backbone is None or arm.model.weights == "random":
            continue
        height, width = expected_size(arm.model)
        if (height, width) != arm.data.image_size:
            said = (
                f"The weights of {arm.model.backbone} were trained with images of {height} x {width} pixels, and these "
                f"have {arm.data.height} x {arm.data.width}"
            )
            found.setdefault(said, []).append(arm.name)
    return [
        Finding(
            code="weights-size",
            severity="info",
            outcome="issue",
            sentence=f"{said} (arms {', '.join(arms)}); features are usually best at the size of the training.",
            evidence={"arms": arms},
        )
        for said, arms in found.items()
    ]


def check_sides(study: Study, index: ImageIndex, folds: Folds) -> None:
    """What early stopping watches must be defined on every fold's validation side. Raises ConfigError."""
    for arm in study.arms:
        for fold in folds.folds:
            try:
                check_watchable(arm.training.early_stopping, index.labels[fold.validation], index.classes)
            except DiascopeError as error:
                raise _of_arm(arm, error) from error


def _of_arm(arm: Arm, error: DiascopeError) -> ConfigError:
    named = f"arm {arm.name}"
    where = error.where if (error.where or "").startswith(named) else ": ".join(filter(None, [named, error.where]))
    return ConfigError(error.what, where=where, remedy=error.remedy)


def model_digest(config: ModelConfig) -> str:
    """A digest of the code of a network of the user's own, or of pretrained weights; nothing for a built-in one."""
    if config.kind == "pretrained":
        return weights_identity(config)
    return code_digest(config.name) if config.kind == "own" else ""


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
            each = f"the arms {' and '.join(circle)} begin with one another" if circle[1:] else "it begins with itself"
            raise ConfigError(f"training.start_from: {each}", where=f"arm {circle[0]}", remedy="let one begin anew")
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
    of_backbone = {"model.weights": f"{weights}, seed {run_seed(config)}" if random else f"digest {weights[:12]}"}
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
