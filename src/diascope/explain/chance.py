"""Whether a network knows anything: a map of one that may as well guess explains nothing."""

from typing import Any

from diascope.explain.validation import ValidationPredictions
from diascope.metrics import Interval, intervals


def chance(judged: ValidationPredictions) -> dict[str, Any]:
    """{"meaningless", "sentence", "auroc", "balanced_accuracy"} of a network on its validation side.

    Its maps are meaningless unless the 95% interval of its AUROC (for more than two classes their mean against the
    rest) lies above 0.5. Balanced accuracy, whose chance level is 1 / K, stands beside it and decides where there is no
    AUROC. The intervals count groups where there are any.
    """
    classes = judged.probabilities.shape[1]
    found = intervals(
        judged.labels,
        judged.probabilities,
        judged.positive,
        groups=judged.groups,
        names=("auroc", "balanced_accuracy"),
    )
    area, balanced = found["auroc"], found["balanced_accuracy"]
    decisive, level, name = (
        (area, 0.5, "AUROC") if area.value is not None else (balanced, 1 / classes, "Balanced accuracy")
    )
    meaningless = decisive.low is None or decisive.low <= level
    return {
        "meaningless": meaningless,
        "sentence": _sentence(name, decisive, level, meaningless),
        "auroc": _plain(area),
        "balanced_accuracy": _plain(balanced),
    }


def _sentence(name: str, found: Interval, level: float, meaningless: bool) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "Too few validation images to tell whether the network is better than chance: its maps mean nothing."
    shown = f"{name} {found.value:.3f} (95% interval {found.low:.3f} to {found.high:.3f}) on the validation side"
    if meaningless:
        return f"{shown}: not shown to be better than chance ({level:.3g}), so its maps mean nothing."
    return f"{shown}: better than chance ({level:.3g})."


def _plain(found: Interval) -> dict[str, Any]:
    return {"value": found.value, "low": found.low, "high": found.high, "n": found.n, "unit": found.unit}
