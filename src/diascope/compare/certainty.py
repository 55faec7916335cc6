"""How sure one run's scores are: intervals, the calibration error beside chance, an operating point, single classes."""

from dataclasses import dataclass

import diascope.metrics as metrics
from diascope.compare.jackknife import blocks
from diascope.compare.pairs import Predictions, load_predictions
from diascope.metrics import WITH_INTERVAL, CalibrationError, CrossFitted, Interval
from diascope.runs.record import RunRecord, StudyRecord

DRAWS = 1000  # of a bootstrap, and of labels for the calibration error by chance


@dataclass(frozen=True)
class Certainty:
    """One run, last epoch, validation side; `operating` and `calibration` are None where the images allow none."""

    intervals: dict[str, Interval]
    calibration: CalibrationError | None
    operating: CrossFitted | None
    per_class: dict[str, dict[str, float | int | None]]  # more than two classes only


def judge_certainty(record: StudyRecord, run: RunRecord) -> Certainty:
    """Judge a finished run; RunError if its predictions are missing or do not fit the study."""
    found, positive = load_predictions(record, run), record.classes.index(record.positive)
    return Certainty(
        intervals=metrics.intervals(
            found.labels,
            found.probabilities,
            positive,
            groups=found.cases if found.unit == "groups" else None,
            names=WITH_INTERVAL,
            draws=DRAWS,
        ),
        calibration=metrics.calibration_error(found.labels, found.probabilities, positive, draws=DRAWS),
        operating=_operating(found, positive),
        per_class=_per_class(found, record.classes, positive),
    )


def _operating(found: Predictions, positive: int) -> CrossFitted | None:
    if found.probabilities.shape[1] != 2:
        return None
    # Many groups are drawn together into blocks: no group is split, and parts of thousands of them would take seconds.
    groups = blocks(found.cases) if found.unit == "groups" else None
    try:
        return metrics.cross_fitted(found.labels, found.probabilities, positive, groups=groups)
    except ValueError:  # fewer images, or groups, of a class than parts
        return None


def _per_class(found: Predictions, classes: tuple[str, ...], positive: int) -> dict[str, dict[str, float | int | None]]:
    if len(classes) == 2:
        return {}
    scores = metrics.per_class(found.labels, found.probabilities, positive=positive)
    return dict(zip(classes, scores, strict=True))
