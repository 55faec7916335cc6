"""From the readings of runs to arms and pairs of arms, as plain values for summary.json and for the sentences.

A milestone that did not come within a run is censored: it came later, nobody knows when. A mean over the others alone
would be too early, so with one censored run there is no mean, only the median where more than half of the runs tell it.
"""

from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np

from diascope.compare.aggregate import DDOF, aggregate
from diascope.compare.curves.reading import Reading, read_curves
from diascope.compare.estimate import Estimate
from diascope.compare.pairs import validation_share
from diascope.compare.resampled import corrected_resampled, pooled_variance
from diascope.config import TrainingConfig
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
        "pairs": [pair_readings(record, arm, against) for arm, against in record.study.pairs],
    }


def arm_readings(record: StudyRecord, arm: str) -> dict[str, Any]:
    """The finished runs of an arm.

    {"arm", "start_from": with whose trained weights its runs begin, or None, "readings": as of summarize_readings,
    "runs": [{"fold", "seed", "epochs", and every reading}, ...]}
    """
    read = [(run, read_curves(run.history)) for run in _finished(record, arm)]
    runs = [{"fold": run.fold, "seed": run.seed, **_values(reading)} for run, reading in read]
    readings = summarize_readings([reading for _, reading in read])
    return {"arm": arm, "start_from": _training(record, arm).start_from, "readings": readings, "runs": runs}


def pair_readings(record: StudyRecord, arm: str, against: str) -> dict[str, Any]:
    """Two arms, paired by fold and seed; the target is the mean final training accuracy of `against`.

    {"arm", "against", "target": None without runs of against, "chance": what the training accuracy of against would be
    with one answer for all images, "epochs_to_target": {"arm": summary, "against": summary}, "differences": {reading:
    {"mean", "sd", "n", "low", "high", "lower", "higher", "equal", "undecided"}}}. A difference is arm minus against. n
    counts the pairs whose runs both tell the reading; lower, higher, equal and undecided count them by outcome, where a
    milestone that came is lower (earlier) than one that had not come by then. Mean and SD need every pair observed. The
    95% t interval needs three pairs and a spread. With several folds, it is that of the corrected resampled t over
    folds, seeds averaged within a fold (see resampled.corrected_resampled).
    """
    runs = {name: {(run.fold, run.seed): run for run in _finished(record, name)} for name in (arm, against)}
    target = aggregate([float(run.history["training_accuracy"].iloc[-1]) for run in runs[against].values()]).mean
    read = {name: {key: read_curves(run.history, target) for key, run in runs[name].items()} for name in runs}
    pairs = {key: (read[arm][key], read[against][key]) for key in read[arm] if key in read[against]}
    share = validation_share(record, sorted({fold for fold, _ in pairs})) if pairs else 0.0
    reached = {
        role: _summary(list(read[name].values()), "epochs_to_target")
        for role, name in (("arm", arm), ("against", against))
    }
    differences = {name: _difference(pairs, name, share) for name in PAIRED}
    return {
        "arm": arm,
        "against": against,
        "target": target,
        "chance": _chance(record, against),
        "epochs_to_target": reached,
        "differences": differences,
    }


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


def _training(record: StudyRecord, name: str) -> TrainingConfig:
    return next(arm.training for arm in record.arm_configs if arm.name == name)


def _chance(record: StudyRecord, arm: str) -> float:
    """The training accuracy of always answering the class that an epoch shows most often, the mean over folds."""
    if _training(record, arm).sampler == "balanced":
        return 1 / len(record.classes)
    labels = record.index.set_index("path")["label"]
    sides = [labels.loc[fold["training"]] for fold in record.folds["folds"]]
    return float(np.mean([side.value_counts(normalize=True).max() for side in sides]))


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


def _difference(pairs: Mapping[tuple[int, int], tuple[Reading, Reading]], name: str, share: float) -> Summary:
    telling = {key: pair for key, pair in pairs.items() if all(reading.tells(name) for reading in pair)}
    signs = [_sign(*pair, name) for pair in telling.values()]
    values = {key: (getattr(a, name), getattr(b, name)) for key, (a, b) in telling.items()}
    observed = {key: a - b for key, (a, b) in values.items() if a is not None and b is not None}
    complete = len(observed) == len(telling)
    whole = aggregate(list(observed.values()) if complete else ())
    low, high = _interval(observed, share) if complete else (None, None)
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


def _interval(differences: Mapping[tuple[int, int], float], share: float) -> tuple[float | None, float | None]:
    """95% interval of the mean by (fold, seed); none with fewer than three, or where they show no spread.

    `share` is n_validation / n_training. Runs of one fold: a t interval over seeds. Of several: over folds.
    """
    values = list(differences.values())
    if len(values) < FEWEST_PAIRS or np.ptp(values) == 0:
        return None, None
    folds = [[value for (of, _), value in differences.items() if of == fold] for fold in {of for of, _ in differences}]
    mean, count = float(np.mean(values)), len(values)
    if len(folds) == 1:
        estimate = Estimate(mean, float(np.var(values, ddof=DDOF)) / count, ((1.0, count - 1),))
    else:
        means = [float(np.mean(runs)) for runs in folds]
        seed_variance, seed_df = pooled_variance(folds)
        estimate = corrected_resampled(means, share, seed_variance, count / len(folds), seed_df)
    reach = estimate.quantile() * estimate.error
    return (mean - reach, mean + reach) if reach > 0 else (None, None)
