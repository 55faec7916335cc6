"""What makes a run what it is, and how far a folder is from holding it: asked by the plan, by resume and by the search.

A run is the configuration of one training and its content: the pixels, labels, sides, code and weights that the
configuration leads to. Which keys of the configuration count says `config.identity`.
"""

import json
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import cached_property
from hashlib import sha256
from typing import TYPE_CHECKING, Any, Literal

from diascope.config import WITHOUT_EFFECT, Cosine, RunConfig, as_recorded, canonical_json, run_id
from diascope.runs.claim import is_claimed
from diascope.runs.folder import RunFolder

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

State = Literal["todo", "in training", "unfinished", "done", "stale", "extend"]

NAMED = 4  # changes that are named
_ELSEWHERE = {"fold", "seed", "split"}  # told by the folder's name, and by its sides
_FILES = "the images, their labels or sides, the code of a network, or the weights to begin with have changed"


@dataclass(frozen=True)
class Standing:
    """How far a folder is from holding a run; of a stale one, what is different; of one to extend, what it holds."""

    state: State
    why: str = ""
    continues: str | None = None


@dataclass(frozen=True)
class Identity:
    """One run: its resolved configuration, the digest of its content, and the digest of pretrained weights, if any."""

    config: RunConfig
    content: str
    weights: str = ""

    @cached_property
    def run_id(self) -> str:
        """16 hexadecimal digits that name what the run computes."""
        return run_id(self.config, self.content)

    def standing(self, folder: RunFolder) -> Standing:
        """How far `folder` is from holding this run."""
        found = folder.run_id()
        if found is not None and found != self.run_id:
            shorter = self._with_epochs_of(folder)
            if shorter is None or shorter.run_id != found:
                return Standing("stale", self._changes(folder))
            return self._extension(folder, shorter.config.training.epochs)
        if folder.is_done(self.run_id):
            return Standing("done")
        if is_claimed(folder.path):
            return Standing("in training")
        return Standing("todo" if found is None else "unfinished")

    def _extension(self, folder: RunFolder, epochs: int) -> Standing:
        """The folder holds the same run with fewer epochs: it goes on, unless its schedule would have been another."""
        if is_claimed(folder.path):
            return Standing("in training")
        training = self.config.training
        if training.has_horizon:
            spans = f"the schedule {training.schedule.kind} spans all epochs"
            return Standing("stale", f"{spans}, so {epochs} epochs are not the beginning of {training.epochs}")
        return Standing("extend", continues=folder.run_id())

    def _with_epochs_of(self, folder: RunFolder) -> "Identity | None":
        """This run with the number of epochs that the folder's run has, if that is smaller."""
        recorded, training = _recorded(folder).get("training"), self.config.training
        epochs = recorded.get("epochs") if isinstance(recorded, dict) else None
        if not isinstance(epochs, int) or not 1 <= epochs < training.epochs:
            return None
        if isinstance(training.schedule, Cosine) and training.schedule.warmup >= epochs:
            return None
        shorter = self.config.model_copy(update={"training": training.model_copy(update={"epochs": epochs})})
        return Identity(shorter, self.content, self.weights)

    def _changes(self, folder: RunFolder) -> str:
        """`training.epochs was 6 and is 2`; where the configuration is the same, it is the files."""
        recorded, model = _recorded(folder), self.config.model
        if not recorded:
            return ""
        before = dict(_leaves(recorded))
        now = dict(_leaves(self.config.model_dump(mode="json", exclude=_ELSEWHERE)))
        idle = {f"{section}.{key}" for section, keys in WITHOUT_EFFECT.items() for key in keys}
        if not model.normalizes_by_batch:
            idle.add("training.evaluation_statistics")
        keys = [key for key in now if key in before and before[key] != now[key] and key not in idle]
        keys += [key for key in before if key not in now and key.partition(".")[0] not in _ELSEWHERE]
        named = [f"{key} was {json.dumps(before[key])} and is {json.dumps(now.get(key))}" for key in keys[:NAMED]]
        if named:
            return ", ".join(named) + (f" and {len(keys) - NAMED} more" if len(keys) > NAMED else "")
        if model.kind == "pretrained" and _tree(folder).get("weights") != self.weights:
            if model.weights == "random":
                return "random weights are drawn in another way"
            return f"{model.weights} holds other weights than it did"
        return _FILES


def content_digest(
    pixels: str, classes: Sequence[str], labels: "NDArray[np.int64]", *sides: "NDArray[np.int64]"
) -> str:
    """A digest of what a run learns from and is watched on, in order.

    `pixels` is the digest of the images as decoded, `labels` (N,) their class numbers, `sides` the row numbers of the
    training and the validation side.
    """
    digest = sha256(pixels.encode())
    digest.update(canonical_json({"classes": classes}).encode())
    for array in (labels, *sides):
        digest.update(array.astype("int64", copy=False).tobytes() + b"|")
    return digest.hexdigest()


def _tree(folder: RunFolder) -> dict[str, Any]:
    """config.json; empty where there is none, or it is damaged."""
    try:
        tree = json.loads(folder.config.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return tree if isinstance(tree, dict) else {}


def _recorded(folder: RunFolder) -> dict[str, Any]:
    """The configuration that config.json holds; empty where there is none."""
    config = _tree(folder).get("config")
    return as_recorded(config) if isinstance(config, dict) else {}


def _leaves(tree: Mapping[str, Any], above: str = "") -> Iterator[tuple[str, Any]]:
    for name, value in tree.items():
        if isinstance(value, Mapping) and value:
            yield from _leaves(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value
