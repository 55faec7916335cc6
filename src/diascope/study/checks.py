"""What can be found wrong with an arm before anything is trained, and what its identity needs to know of its files."""

import json
from collections.abc import Iterator
from hashlib import sha256
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from diascope.config import DataConfig, ModelConfig, RunConfig, own_model
from diascope.data.index import ImageIndex
from diascope.data.split import Folds
from diascope.engine import RunTask
from diascope.engine.task import start_folder
from diascope.errors import ConfigError, DiascopeError, RunError
from diascope.models import check_model
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
            class_weights(arm.training.class_weights, index.labels, index.classes)
        except DiascopeError as error:
            raise _of_arm(arm, error) from error


def check_sides(study: Study, index: ImageIndex, folds: Folds) -> None:
    """What early stopping watches must be defined on every fold's validation side. Raises ConfigError."""
    for arm in study.arms:
        for fold in folds.folds:
            try:
                check_watchable(arm.training.early_stopping, index.labels[fold.validation], index.classes)
            except DiascopeError as error:
                raise _of_arm(arm, error) from error


def _of_arm(arm: Arm, error: DiascopeError) -> ConfigError:
    return ConfigError(error.what, where=error.where or f"arm {arm.name}", remedy=error.remedy)


def model_digest(config: ModelConfig) -> str:
    """A digest of the code of a network of the user's own; nothing for a built-in one."""
    own = own_model(config.name)
    if own is None:
        return ""
    try:
        return sha256(Path(own[0]).read_bytes()).hexdigest()
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=own[0], remedy="check model.name") from error


class StartingWeights:
    """The runs that others begin with: whether they fit, what they learned from, and a digest of their weights."""

    def __init__(self, index: ImageIndex, folds: Folds) -> None:
        self._index, self._folds = index, folds
        self._digests: dict[Path, str] = {}

    def digest(self, task: RunTask) -> str:
        """Of the weights that the task begins with; nothing where it begins anew.

        Raises RunError for a run that is not finished or of another network, and for one that has learned from images
        which this run is to be judged on.
        """
        folder = _start(task)
        if folder is None:
            return ""
        if not RunFolder(folder).done.exists():
            raise RunError("training.start_from: no finished run lies here", where=str(folder), remedy=_FINISH)
        _refuse_other_network(task, folder)
        self._refuse_leak(task, folder)
        if folder not in self._digests:
            self._digests[folder] = sha256(RunFolder(folder).best.read_bytes()).hexdigest()
        return self._digests[folder]

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
        start = start_folder(config)


def _place(data: DataConfig, path: str) -> str:
    """What tells an image from all others, whatever manifest lists it: copies of a file elsewhere are not seen."""
    if data.source.startswith("phantom:"):
        drawn = data.phantom.model_dump_json(exclude={"images", "size"})
        return f"{data.source} {drawn} {path}"
    source = Path(data.source)
    if source.suffix.lower() == ".npz":
        return f"{source.resolve()} {path}"
    return str(((source if source.is_dir() else source.parent) / path).resolve())


def _start(task: RunTask) -> Path | None:
    try:
        return task.start
    except (KeyError, IndexError, ValueError) as error:
        what = f"training.start_from: {task.config.training.start_from!r} holds a placeholder that is none ({error})"
        raise ConfigError(what, where=f"arm {task.arm}", remedy="there are {fold} and {seed}") from error


def _refuse_other_network(task: RunTask, folder: Path) -> None:
    before = _read_config(folder)
    if before is None:
        raise RunError("training.start_from: its config.json cannot be read", where=str(folder), remedy=_FINISH)
    classes = len(json.loads(RunFolder(folder).config.read_text(encoding="utf-8"))["classes"])
    told, wanted = _network(before, classes), _network(task.config, len(task.data.classes))
    other = [f"{key} {told[key]}, not {wanted[key]}" for key in wanted if told[key] != wanted[key]]
    if other:
        what = f"training.start_from: a run of another network than that of arm {task.arm}: {', '.join(other)}"
        raise RunError(what, where=str(folder), remedy="start from a run with the same network and image size")


def _network(config: RunConfig, classes: int) -> dict[str, Any]:
    data = config.data
    return {
        "model": config.model.identity(),
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
