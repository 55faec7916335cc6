"""Unequal classes: what always answering the frequent one would score, and what the arms did about them.

The weights are those that the training of fold 0 computed from its training side; the formulas are those of training.
"""

from collections.abc import Mapping
from typing import Any

BETA = 0.999  # of the effective number of images (Cui et al. 2019)


def class_balance(data: Mapping[str, Any], arms: Mapping[str, Any], *, unequal: bool) -> dict[str, Any]:
    """{"unequal", "always": see always_frequent, "treatments": see below}, from a summary's `data` and `arms`.

    A treatment is {"arms", "class_weights", "sampler", "weights": {class: weight}, "drawn": {class: images an epoch}};
    arms that do the same share one. Drawn is what the sampler gives on average.
    """
    counts = data["folds"][0]["training"]["per_class"]
    found: dict[str, dict[str, Any]] = {}
    for name, arm in arms.items():
        training = arm["config"]["training"]
        setting = {key: training[key] for key in ("class_weights", "sampler")}
        same = found.setdefault(str(setting), {"arms": [], **setting})
        same["arms"].append(name)
        same["weights"] = loss_weights(training["class_weights"], counts)
        same["drawn"] = _drawn(training["sampler"], counts)
    return {"unequal": unequal, "always": always_frequent(data), "treatments": list(found.values())}


def always_frequent(data: Mapping[str, Any]) -> dict[str, Any]:
    """{"class", "accuracy", "balanced_accuracy"} of answering the most frequent class to every validation image."""
    sides = [fold["validation"]["per_class"] for fold in data["folds"]]
    frequent = max(data["per_class"], key=data["per_class"].__getitem__)
    right, images = sum(side[frequent] for side in sides), sum(sum(side.values()) for side in sides)
    return {
        "class": frequent,
        "accuracy": right / images if images else None,
        "balanced_accuracy": 1 / len(data["classes"]),
    }


def loss_weights(setting: str | Mapping[str, float], counts: Mapping[str, int]) -> dict[str, float]:
    """Weight of each class in the loss, by the class' images on the training side.

    Their mean over these images is 1, so that of explicit ones only the ratios matter; a class without images has 0.
    """
    if setting == "none":
        return dict.fromkeys(counts, 1.0)
    raw = {name: _raw(setting, name, count) if count else 0.0 for name, count in counts.items()}
    total = sum(raw[name] * count for name, count in counts.items())
    scale = sum(counts.values()) / total if total > 0 else 0.0
    return {name: weight * scale for name, weight in raw.items()}


def _raw(setting: str | Mapping[str, float], name: str, count: int) -> float:
    if not isinstance(setting, str):
        return float(setting.get(name, 0.0))
    return 1 / count if setting == "balanced" else (1 - BETA) / (1 - BETA**count)


def _drawn(sampler: str, counts: Mapping[str, int]) -> dict[str, float]:
    if sampler == "balanced":
        return dict.fromkeys(counts, sum(counts.values()) / len(counts))
    return {name: float(count) for name, count in counts.items()}
