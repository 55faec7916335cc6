"""Every metric by its name, of all classes together or of each."""

from diascope.metrics.arrays import Labels, Probabilities, Scores, checked
from diascope.metrics.registry import REGISTRY


def scores(labels: Labels, probabilities: Probabilities, positive: int, threshold: float = 0.5) -> Scores:
    """Every metric of REGISTRY, by name; ValueError for arrays that do not fit one another."""
    judged = checked(labels, probabilities, positive, threshold)
    return {name: metric.value(judged) for name, metric in REGISTRY.items()}


def score(
    metric: str, labels: Labels, probabilities: Probabilities, positive: int, threshold: float = 0.5
) -> float | None:
    """One metric of REGISTRY by name, and no other computed; KeyError for a name that is not there."""
    return REGISTRY[metric].value(checked(labels, probabilities, positive, threshold))


def per_class(
    labels: Labels, probabilities: Probabilities, threshold: float = 0.5, *, positive: int = 1
) -> list[dict[str, float | int | None]]:
    """For each class, against the rest: every metric of one class (sensitivity, AUROC, ...), and n, its images.

    The predictions are those of `scores`: of two classes, `positive` is the one that the threshold is about.
    """
    judged = checked(labels, probabilities, positive, threshold)
    of_class = {name: metric.of_class for name, metric in REGISTRY.items() if metric.of_class is not None}
    return [
        {name: value(judged, k) for name, value in of_class.items()} | {"n": int((judged.labels == k).sum())}
        for k in range(judged.classes)
    ]
