"""Class weights in the loss, from the labels of the training side alone."""

from collections.abc import Mapping, Sequence
from difflib import get_close_matches
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diascope.core.errors import ConfigError

BETA = 0.999  # of the effective number of images (Cui et al. 2019)
KEY = "training.class_weights"

Weights = NDArray[np.float64]
Setting = Literal["none", "balanced", "effective"] | Mapping[str, float]


def class_weights(setting: Setting, labels: NDArray[np.int64], classes: Sequence[str]) -> Weights | None:
    """A weight for each class (K,), from the training side's `labels` (N,); None for "none".

    Their mean over the images of the training side is 1, so that the learning rate means what it means without them;
    of weights that a user writes only the ratios matter, therefore. A class without images has weight 0.
    Raises ConfigError for class names that are unknown or missing, and for weights that leave nothing to learn.
    """
    if setting == "none":
        return None
    counts = np.bincount(labels, minlength=len(classes)).astype(np.float64)
    raw = _explicit(setting, classes) if isinstance(setting, Mapping) else _by_count(setting, counts)
    raw = np.where(counts > 0, raw, 0.0)
    total = float(raw @ counts)
    if not total > 0:
        what = "no class with training images has a weight above 0"
        raise ConfigError(what, where=KEY, remedy="give the classes to learn weights above 0")
    weights: Weights = raw * (counts.sum() / total)
    return weights


def _by_count(setting: str, counts: Weights) -> Weights:
    images = np.maximum(counts, 1)
    if setting == "balanced":
        return np.asarray(1 / images)
    return np.asarray((1 - BETA) / (1 - BETA**images))


def _explicit(told: Mapping[str, float], classes: Sequence[str]) -> Weights:
    for name in told:
        if name not in classes:
            close = get_close_matches(name, classes, n=1)
            meant = f"did you mean {close[0]}?" if close else f"the classes are {', '.join(classes)}"
            raise ConfigError(f"there is no class {name}", where=KEY, remedy=meant)
    missing = [name for name in classes if name not in told]
    if missing:
        remedy = f"add a weight for each, {missing[0]}: 1 say"
        raise ConfigError(f"no weight for class {', '.join(missing)}", where=KEY, remedy=remedy)
    return np.array([told[name] for name in classes], dtype=np.float64)
