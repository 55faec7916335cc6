"""From the readings of runs to arms and pairs of arms, as plain values for summary.json and for the sentences.

A milestone that did not come within a run is censored: it came later, nobody knows when. A mean over the others alone
would be too early, so with one censored run there is no mean, only the median where more than half of the runs tell it.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from diascope.compare.aggregate import DDOF, aggregate
from diascope.compare.curves.reading import Reading, read_curves
from diascope.compare.curves.trend import CONFIDENCE
from diascope.compare.pairing import pairs_of
from diascope.runs.record import RunRecord, StudyRecord

MILESTONES = ("epochs_to_target", "convergence_validation", "convergence_training", "overfitting")
NUMBERS = (
    "best_epoch",
    "final_training_accuracy",
    "final_validation_loss",
    "final_validation_accuracy",
    "gap_loss",
    "gap_accuracy",
    "roughness_loss",
    "roughness_accuracy",
)
SLOPES = ("validation_loss", "validation_accuracy", "training_loss")
PAIRED = (*MILESTONES, "final_validation_accuracy", "gap_loss", "gap_accuracy", "roughness_loss", "roughness_accuracy")
FEWEST_PAIRS = 3  # for an interval

Summary = dict[str, float | int | None]


def study_readings(record: StudyRecord) -> dict[str, Any]:
    """{"arms": [arm_readings, ...], "pairs": [pair_readings, ...]} in the study's order."""
    return {
        "arms": [arm_readings(record, arm) for arm in record.arms],
        "pairs": [pair_readings(record, arm, against) for arm, against in pairs_of(record.study)],
    }


def arm_readings(record: StudyRecord, arm: str) -> dict[str, Any]:
    """The finished runs of an arm.

    {"arm", "readings": as of summarize_readings, "runs": [{"fold", "seed", "epochs", and every reading}, ...]}
    """
    read = [(run, read_curves(run.history)) for run in _finished(record, arm)]
    runs = [{"fold": run.fold, "seed": run.seed, **_values(reading)} for run, reading in read]
    return {"arm": arm, "readings": summarize_readings([reading for _, reading in read]), "runs": runs}


def pair_readings(record: StudyRecord, arm: str, against: str) -> dict[str, Any]:
    """Two arms, paired by fold and seed; the target is the mean final training accuracy of `against`.

    {"arm", "against", "target": None without runs of against, "epochs_to_target": {"arm": summary, "against": summary},
    "differences": {reading: {"mean", "sd", "n", "low", "high", "lower", "higher", "equal", "undecided"}}}. A difference
    is arm minus against. n counts the pairs whose runs both tell the reading; lower, higher, equal and undecided count
    them by outcome, where a milestone that came is lower (earlier) than one that had not come by then. Mean and SD need
    every pair observed. The 95% t interval (n >= 3, SD > 0) takes SD sqrt(1/n) for its standard error, and with K folds
    SD sqrt(1/n + 1/(K - 1)), because folds share training images (Nadeau and Bengio 2003).
    """
    runs = {name: {(run.fold, run.seed): run for run in _finished(record, name)} for name in (arm, against)}
    target = aggregate([float(run.history["training_accuracy"].iloc[-1]) for run in runs[against].values()]).mean
    read = {name: {key: read_curves(run.history, target) for key, run in runs[name].items()} for name in runs}
    keys = [key for key in read[arm] if key in read[against]]
    pairs = [(read[arm][key], read[against][key]) for key in keys]
    folds = len(record.folds["folds"])
    reached = {
        role: _summary(list(read[name].values()), "epochs_to_target")
        for role, name in (("arm", arm), ("against", against))
    }
    differences = {name: _difference(pairs, name, folds) for name in PAIRED}
    return {"arm": arm, "against": against, "target": target, "epochs_to_target": reached, "differences": differences}


def summarize_readings(readings: Sequence[Reading]) -> dict[str, Summary]:
    """Per reading {"mean", "sd", "n", "censored", "median", "min", "max"} over runs; sd has n - 1 in the denominator.

    n counts the runs that tell the reading (Reading.tells), censored those of them in which a milestone did not come.
    Slopes (slope_validation_loss, ...; units per epoch) have "improving" besides: the runs whose slope surely improves.
    """
    found = {name: _summary(readings, name) for name in (*MILESTONES, *NUMBERS)}
    for curve in SLOPES:
        slopes = [trend.slope for reading in readings if (trend := getattr(reading, f"trend_{curve}")) is not None]
        improving = sum(reading.improving[curve] is True for reading in readings)
        found[f"slope_{curve}"] = {**_spread(slopes, []), "improving": improving}
    return found


def _finished(record: StudyRecord, arm: str) -> list[RunRecord]:
    return [run for run in record.runs_of(arm) if run.state == "done"]


def _values(reading: Reading) -> dict[str, Any]:
    """One run as plain values: a slope as {"slope", "low", "high"}."""
    names = ("epochs", "fell_validation", "fell_training", *MILESTONES, *NUMBERS)
    plain = {name: getattr(reading, name) for name in names if name != "epochs_to_target"}
    slopes = {f"slope_{curve}": getattr(reading, f"trend_{curve}") for curve in SLOPES}
    return {
        **plain,
        **{name: None if trend is None else dict(vars(trend)) for name, trend in slopes.items()},
        "still_improving": reading.still_improving,
    }


def _summary(readings: Sequence[Reading], name: str) -> Summary:
    telling = [reading for reading in readings if reading.tells(name)]
    observed = [value for reading in telling if (value := getattr(reading, name)) is not None]
    return _spread(observed, [reading.epochs for reading in telling if getattr(reading, name) is None])


def _spread(observed: Sequence[float], ends: Sequence[int]) -> Summary:
    """Summary of the observed values and of runs that ended, at the epochs `ends`, before theirs came."""
    whole = aggregate(() if ends else observed)
    return {
        "mean": whole.mean,
        "sd": whole.sd,
        "n": len(observed) + len(ends),
        "censored": len(ends),
        "median": _median(observed, ends),
        "min": min(observed, default=None),
        "max": max(observed, default=None),
    }


def _median(observed: Sequence[float], ends: Sequence[int]) -> float | None:
    """The median with the censored last; None unless more than half are observed, or if a run ended before it."""
    if len(observed) <= len(ends):
        return None
    count, ordered = len(observed) + len(ends), [*sorted(observed), *[np.inf] * len(ends)]
    median = float((ordered[(count - 1) // 2] + ordered[count // 2]) / 2)
    return median if all(end >= median for end in ends) else None


def _difference(pairs: Sequence[tuple[Reading, Reading]], name: str, folds: int) -> Summary:
    telling = [pair for pair in pairs if all(reading.tells(name) for reading in pair)]
    signs = [_sign(*pair, name) for pair in telling]
    observed = [
        getattr(a, name) - getattr(b, name) for a, b in telling if None not in (getattr(a, name), getattr(b, name))
    ]
    whole = aggregate(observed if len(observed) == len(telling) else ())
    low, high = _interval(observed, folds) if whole.mean is not None else (None, None)
    return {
        "mean": whole.mean,
        "sd": whole.sd,
        "n": len(telling),
        "low": low,
        "high": high,
        "lower": signs.count(-1),
        "higher": signs.count(1),
        "equal": signs.count(0),
        "undecided": signs.count(None),
    }


def _sign(arm: Reading, against: Reading, name: str) -> int | None:
    """-1: the arm's value is lower, a milestone earlier; None if the runs' ends hide which came first."""
    a, b = getattr(arm, name), getattr(against, name)
    if a is None and b is None:
        return None
    if a is None:
        return 1 if arm.epochs >= b else None
    if b is None:
        return -1 if against.epochs >= a else None
    return int(np.sign(a - b))


def _interval(differences: Sequence[float], folds: int) -> tuple[float | None, float | None]:
    """95% t interval of the mean; none with fewer than three pairs, or where all are equal and show no spread."""
    from scipy.stats import t

    count = len(differences)
    if count < FEWEST_PAIRS or np.ptp(differences) == 0:
        return None, None
    shared = 1 / (folds - 1) if folds > 1 else 0.0
    error = float(np.std(differences, ddof=DDOF)) * (1 / count + shared) ** 0.5
    reach = float(t.ppf((1 + CONFIDENCE) / 2, count - 1)) * error
    mean = float(np.mean(differences))
    return mean - reach, mean + reach
