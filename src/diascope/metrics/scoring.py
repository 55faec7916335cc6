"""Every metric by its name, of all classes together or of each."""

from collections.abc import Callable

import diascope.metrics.calibration as calibration
import diascope.metrics.decisions as decisions
import diascope.metrics.ranking as ranking
from diascope.metrics.arrays import Judged, Labels, Probabilities, Reals, Scores, checked
from diascope.metrics.registry import METRICS

RATES = ("sensitivity", "specificity", "ppv", "npv", "f1")


def _mean_of(values: Callable[[Judged], Reals]) -> Callable[[Judged], float | None]:
    return lambda judged: float(values(judged).mean()) if len(judged.labels) else None


def _rate(name: str) -> Callable[[Judged], float | None]:
    return lambda judged: decisions.macro_rate(judged, name)


def _auprc(judged: Judged) -> float | None:
    areas = [
        ranking.average_precision(judged.labels == k, judged.probabilities[:, k]) for k in judged.against_rest
    ]  # fmt: skip
    return decisions.macro(areas)


COMPUTED: dict[str, Callable[[Judged], float | None]] = {
    "accuracy": decisions.accuracy,
    "balanced_accuracy": decisions.balanced_accuracy,
    **{name: _rate(name) for name in RATES},
    "mcc": lambda judged: decisions.matthews(judged.confusion),
    "auroc": lambda judged: ranking.auroc(judged.labels, judged.probabilities, judged.positive),
    "auprc": _auprc,
    "brier": _mean_of(calibration.squared_distances),
    "loss": lambda judged: calibration.loss(judged.labels, judged.probabilities),
    "calibration_slope": calibration.calibration_slope,
    "calibration_intercept": calibration.calibration_intercept,
    "ece": calibration.expected_calibration_error,
}


def scores(labels: Labels, probabilities: Probabilities, positive: int, threshold: float = 0.5) -> Scores:
    """Every metric of METRICS, by name; ValueError for arrays that do not fit one another."""
    judged = checked(labels, probabilities, positive, threshold)
    return {name: COMPUTED[name](judged) for name in METRICS}


def score(
    metric: str, labels: Labels, probabilities: Probabilities, positive: int, threshold: float = 0.5
) -> float | None:
    """One metric of METRICS by name, and no other computed; KeyError for a name that is not there."""
    return COMPUTED[metric](checked(labels, probabilities, positive, threshold))


def per_class(
    labels: Labels, probabilities: Probabilities, threshold: float = 0.5, *, positive: int = 1
) -> list[dict[str, float | int | None]]:
    """For each class, against the rest: sensitivity, specificity, ppv, npv, f1, auroc, auprc, and n, its images.

    The predictions are those of `scores`: of two classes, `positive` is the one that the threshold is about.
    """
    judged = checked(labels, probabilities, positive, threshold)
    return [_one_class(judged, k) for k in range(judged.classes)]


def _one_class(judged: Judged, class_number: int) -> dict[str, float | int | None]:
    counts = decisions.cells(judged.confusion, class_number)
    is_class, probability = judged.labels == class_number, judged.probabilities[:, class_number]
    return {
        **{name: decisions.rate(name, counts) for name in RATES},
        "auroc": ranking.area(is_class, probability),
        "auprc": ranking.average_precision(is_class, probability),
        "n": int(is_class.sum()),
    }
