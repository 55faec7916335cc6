"""Early stopping, and which epoch counts as the best (after Prechelt 1998)."""

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from math import inf
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.config.training import EarlyStopping
from diascope.core.errors import ConfigError
from diascope.metrics import LOWER_IS_BETTER
from diascope.training.scores import ValidationScores


@dataclass
class StoppingCounter:
    """How long the watched score has not improved; what a checkpoint keeps of it."""

    best: float = inf  # the lowest cost of an epoch that counted as an improvement
    waited: int = 0  # epochs since then

    def note(self, scores: ValidationScores, rule: EarlyStopping) -> None:
        """Count an epoch. NaN is no improvement."""
        found = cost(scores, rule)
        if found < self.best - rule.min_delta:
            self.best, self.waited = found, 0
        else:
            self.waited += 1

    def ended(self, rule: EarlyStopping) -> bool:
        return self.waited >= rule.patience

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)


def cost(scores: ValidationScores, rule: EarlyStopping | None) -> float:
    """What the best epoch has the least of: the validation loss, or the watched score; NaN counts as infinite."""
    metric = rule.metric if rule is not None else "loss"
    value = getattr(scores, metric)
    found = float(value if metric in LOWER_IS_BETTER else -value)
    return found if found == found else inf


def check_watchable(rule: EarlyStopping | None, labels: NDArray[np.int64], classes: Sequence[str]) -> None:
    """Refuse to watch a score that the validation side's `labels` (N,) leave undefined in every epoch: ConfigError."""
    if rule is None or rule.metric in ("loss", "accuracy"):
        return
    missing = [name for number, name in enumerate(classes) if number not in labels]
    if missing:
        what = f"{rule.metric} is undefined: the validation side has no image of class {', '.join(missing)}"
        remedy = "watch loss or accuracy, or use fewer folds"
        raise ConfigError(what, where="training.early_stopping.metric", remedy=remedy)
