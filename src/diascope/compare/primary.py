"""Which metric a study is judged by, and why."""

from collections.abc import Mapping
from dataclasses import dataclass

from diascope.config import CompareConfig

UNEQUAL = 1.5  # classes count as unequal when the largest has at least this many times the images of the smallest


@dataclass(frozen=True)
class Primary:
    """The metric that leads the report, and the reason in words where the study file does not name it."""

    metric: str
    reason: str


def primary_metric(config: CompareConfig, per_class: Mapping[str, int]) -> Primary:
    """The study's own choice, else accuracy, else (unequal classes) balanced accuracy; `per_class` counts images."""
    if config.metric is not None:
        return Primary(config.metric, "")
    smallest, largest = min(per_class, key=per_class.__getitem__), max(per_class, key=per_class.__getitem__)
    few, many = per_class[smallest], per_class[largest]
    if few == 0 or many / few >= UNEQUAL:
        share = many / max(1, sum(per_class.values()))
        reason = (
            f"the classes are unequal ({many:,} {largest}, {few:,} {smallest}): always answering {largest} would have "
            f"an accuracy of {share:.3f}, and a balanced accuracy of {1 / len(per_class):.3f}"
        )
        return Primary("balanced_accuracy", reason)
    return Primary("accuracy", "")
