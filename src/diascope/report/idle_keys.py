"""What an arm's network has no use for: the keys of other networks, and those of epochs where it is fitted at once."""

import json
from collections.abc import Mapping
from typing import Any

from diascope.config import ModelConfig, own_model
from diascope.config.model import KEYS, OF_DENSE, OF_FEATURES, OF_FINETUNING, OF_LOGISTIC

Config = Mapping[str, Any]  # of an arm, as its `config` in a summary

OF_EPOCHS = (
    *("epochs", "batch_size", "optimizer", "learning_rate", "momentum", "nesterov"),
    *("weight_decay", "schedule", "gradient_clipping"),
)


def fitted_at_once(config: Config) -> bool:
    """Whether the head is a logistic regression, which is fitted to its end at once and knows no epochs."""
    model = config["model"]
    return bool(model["name"] == "pretrained" and model["head"] == "logistic")


def is_idle(config: Config, key: str) -> bool:
    """Whether a dotted key of the configuration means nothing for its network, whatever its value is."""
    section, _, rest = key.partition(".")
    name = rest.split(".")[0]
    if section == "training":
        if name == "evaluation_statistics":
            return not ModelConfig.model_validate_json(json.dumps(config["model"])).normalizes_by_batch
        return name in OF_EPOCHS and fitted_at_once(config)
    return section == "model" and name != "name" and name not in _used(config["model"])


def _used(model: Mapping[str, Any]) -> set[str]:
    """The keys that the network has a use for; all keys for a network that is not known."""
    kind = "own" if own_model(model["name"]) else model["name"]
    used = set(KEYS.get(kind, model))
    if kind != "pretrained":
        return used
    idle = {*OF_FEATURES} if model["mode"] == "finetune" else {*OF_FINETUNING}
    return used - idle - set(OF_DENSE if model["head"] == "logistic" else OF_LOGISTIC)
