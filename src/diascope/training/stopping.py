"""Early stopping, and which epoch counts as the best (after Prechelt 1998)."""

from dataclasses import asdict, dataclass
from math import inf
from typing import Any

from diascope.config.training import EarlyStopping
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
    found = float(value if metric == "loss" else -value)
    return found if found == found else inf
