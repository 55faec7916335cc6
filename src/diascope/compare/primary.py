"""Which metrics lead a report, and why: with unequal classes accuracy rewards answering the frequent one."""

from collections.abc import Mapping
from dataclasses import dataclass

from diascope.config import CompareConfig
from diascope.runs.record import StudyRecord

UNEQUAL = 1.5  # classes count as unequal when the largest has at least this many times the images of the smallest


@dataclass(frozen=True)
class Primary:
    """The metric that the arms are judged by; the reason in words where the study file does not name it.

    `unequal`: whether the classes are. `warning`: what the study's own choice hides; empty where there is nothing.
    """

    metric: str
    reason: str = ""
    unequal: bool = False
    warning: str = ""


def primary_metric(config: CompareConfig, per_class: Mapping[str, int]) -> Primary:
    """The study's own choice, else accuracy, else (unequal classes) balanced accuracy; `per_class` counts images."""
    smallest, largest = min(per_class, key=per_class.__getitem__), max(per_class, key=per_class.__getitem__)
    few, many = per_class[smallest], per_class[largest]
    if few > 0 and many / few < UNEQUAL:
        return Primary(config.metric or "accuracy")
    share = many / max(1, sum(per_class.values()))
    reason = (
        f"the classes are unequal ({many:,} {largest}, {few:,} {smallest}): always answering {largest} would have "
        f"an accuracy of {share:.3f}, and a balanced accuracy of {1 / len(per_class):.3f}"
    )
    if config.metric is None:
        return Primary("balanced_accuracy", reason, unequal=True)
    return Primary(config.metric, unequal=True, warning=_warning(reason) if config.metric == "accuracy" else "")


def primary_of(record: StudyRecord) -> Primary:
    """The same of a study folder: its images are those that the first fold learns from or is watched on."""
    fold = record.folds["folds"][0]
    labels = record.index.set_index("path")["label"].loc[[*fold["training"], *fold["validation"]]]
    counts = labels.value_counts()
    return primary_metric(record.study.compare, {name: int(counts.get(name, 0)) for name in record.classes})


def _warning(reason: str) -> str:
    return (
        f"The arms are judged by accuracy, because the study file says so (compare.metric), but {reason}. An arm may "
        "be called better for answering the frequent class more often; look at balanced accuracy and AUROC, too."
    )


def leading_metrics(primary: Primary) -> tuple[str, ...]:
    """What tables show first, in this order. Accuracy comes last where the classes are unequal."""
    unequal = ("balanced_accuracy", "auroc", "loss", "accuracy")
    return tuple(dict.fromkeys((primary.metric, *(unequal if primary.unequal else ("accuracy", "auroc", "loss")))))
