"""What makes a run what it is: the keys that decide what it computes, asked by the plan and by the report alike."""

import json
from collections.abc import Mapping
from hashlib import sha256
from typing import Any, Protocol

from pydantic import BaseModel

from diascope.config.augmentation import AugmentationConfig
from diascope.config.data import DataConfig
from diascope.config.model import ModelConfig
from diascope.config.study import RunConfig
from diascope.config.training import TrainingConfig

SEEN_IN_CONTENT = {
    "data": {"source", "label", "group", "where", "classes", "bits", "phantom"},
    "training": {"start_from"},
}
"""Keys whose effect the digest of a run's content holds: the pixels, labels, sides and weights that they lead to."""

BEFORE = {"training": {"evaluation_statistics": "moving"}}
"""What was done before a key existed, where that is not its default: older folders and identities do not name it."""

WITHOUT_EFFECT = {"data": {"positive", "allow"}}
"""Keys that change nothing of what a run computes: what the report counts as positive, leaks that are accepted."""


class Configured(Protocol):
    """The sections of one training: those of an arm, or of a run."""

    @property
    def data(self) -> DataConfig: ...
    @property
    def model(self) -> ModelConfig: ...
    @property
    def augmentation(self) -> AugmentationConfig: ...
    @property
    def training(self) -> TrainingConfig: ...


def canonical_json(value: BaseModel | Mapping[str, Any]) -> str:
    """The one spelling of a configuration: sorted keys, no blanks."""
    tree = value.model_dump(mode="json") if isinstance(value, BaseModel) else value
    return json.dumps(tree, sort_keys=True, separators=(",", ":"), ensure_ascii=False)


def decisive(arm: Configured) -> dict[str, Any]:
    """What of the sections decides what a run on a given content computes.

    Values at their default are left out, so that a key which a later version adds leaves the old runs valid (a default
    that changes its meaning needs a new name).
    """
    found: dict[str, Any] = {"model": arm.model.identity(), "augmentation": arm.augmentation.identity()}
    for name, section in (("data", arm.data), ("training", arm.training)):
        left_out = SEEN_IN_CONTENT.get(name, set()) | WITHOUT_EFFECT.get(name, set())
        found[name] = section.model_dump(mode="json", exclude_defaults=True, exclude=left_out)
    statistics = found["training"].pop("evaluation_statistics", arm.training.evaluation_statistics)
    if arm.model.normalizes_by_batch and statistics != BEFORE["training"]["evaluation_statistics"]:
        found["training"]["evaluation_statistics"] = statistics
    return found


def as_recorded(tree: dict[str, Any]) -> dict[str, Any]:
    """Sections of a study folder's own study.yaml or config.json, with what BEFORE says of keys that it lacks."""
    return tree | {name: {**keys, **tree[name]} for name, keys in BEFORE.items() if isinstance(tree.get(name), dict)}


def run_id(config: RunConfig, content: str) -> str:
    """16 hexadecimal digits that name what a run would compute.

    `content` is a digest of the images, labels and sides themselves; where they lie, and what a column or the
    positive class is called, does not change a run; nor where the code of a network of the user's own lies, or the run
    to start from: `content` holds what is in them.
    """
    identity = {
        "content": content,
        **config.model_dump(mode="json", include={"fold", "seed"}),
        **decisive(config),
    }
    return sha256(canonical_json(identity).encode()).hexdigest()[:16]


def same_as_planned(trained: Configured, planned: Configured) -> bool:
    """Whether a run of the one configuration is a run of the other, as far as that is known without its content.

    Of images that are drawn the configuration is the content, and is compared with it.
    """
    drawn = [arm.data.source.startswith("phantom:") for arm in (trained, planned)]
    if all(drawn) and (trained.data.source, trained.data.phantom) != (planned.data.source, planned.data.phantom):
        return False
    return decisive(trained) == decisive(planned)
