"""One arm in summary.json: scores over its runs with intervals, mean curves, and every run of its own."""

from typing import Any

import numpy as np

from diascope.compare.aggregate import DDOF, Aggregate, aggregate, aggregate_scores, mean_curve, mean_roc
from diascope.compare.arms import ArmInterval, arm_intervals
from diascope.compare.certainty import Certainty, judge_certainty
from diascope.compare.curves import arm_readings
from diascope.compare.scoring import Checkpoint, Evaluation, evaluate
from diascope.metrics import WITH_INTERVAL, CrossFitted, Interval, RocCurve
from diascope.report.explanations import summarize_explanations
from diascope.report.fold_scores import fold_scores, over_folds
from diascope.report.idle_keys import is_idle
from diascope.report.stopping import stopping
from diascope.runs.record import RunRecord, StudyRecord
from diascope.studyfile import Arm

CHECKPOINTS: tuple[Checkpoint, ...] = ("last", "best")
CURVES = (
    "training_accuracy",
    "training_loss",
    "training_eval_accuracy",
    "training_eval_loss",
    "validation_accuracy",
    "validation_loss",
)
ADDED_CURVES = ("validation_balanced_accuracy", "validation_auroc", "learning_rate")  # None where a run lacks them
_ARM_SECTIONS = ("data", "model", "augmentation", "training")
_DECIMALS = 6  # of curves; scores are kept in full
_POINT = ("sensitivity", "specificity", "ppv", "npv")


def summarize_arm(record: StudyRecord, arm: Arm) -> dict[str, Any]:
    """Everything of one arm as plain values; scores, curves and tables are over its finished runs alone."""
    runs = record.runs_of(arm.name)
    done = [run for run in runs if run.state == "done"]
    judged = {
        checkpoint: [evaluate(run, checkpoint, record.classes, record.positive) for run in done]
        for checkpoint in CHECKPOINTS
    }
    certain = [judge_certainty(record, run) for run in done]
    config = {name: getattr(arm, name).model_dump(mode="json") for name in _ARM_SECTIONS}
    listed = [_run(record, run) for run in runs]
    for place, run in enumerate(done):
        row = listed[runs.index(run)]
        row |= {checkpoint: _scores(judged[checkpoint][place]) for checkpoint in CHECKPOINTS}
        row |= _certainty(certain[place])
    folds = fold_scores(listed)
    return {
        "config": config,
        "changes": _changes_in_use(record, config),
        "curves": _curves(done),
        "metrics": _with_intervals(_aggregates(judged["last"]), arm_intervals(record, arm.name, WITH_INTERVAL)),
        "best_metrics": _aggregates(judged["best"]),
        "test_metrics": None,
        "confusion": {checkpoint: _confusion(judged[checkpoint]) for checkpoint in CHECKPOINTS},
        "roc": _mean_rocs(judged["last"]),
        "calibration_error": _calibration(certain),
        "operating_point": _operating_point([found.operating for found in certain if found.operating]),
        "per_class": _per_class(certain),
        "readings": arm_readings(record, arm.name),
        "explain": summarize_explanations(record, runs),
        "stopping": stopping(config["training"], listed),
        "folds": folds,
        "over_folds": over_folds(listed, folds),
        "runs": listed,
    }


def _run(record: StudyRecord, run: RunRecord) -> dict[str, Any]:
    """A run without its scores; those of a run that is not done stay None."""
    state = run.state
    history = run.history
    return {
        "fold": run.fold,
        "seed": run.seed,
        "run_id": run.run_id if state in ("done", "stale") else None,
        "folder": run.folder.relative_to(record.folder).as_posix(),
        "state": state,
        "failure": run.failure,
        "epochs": len(history),
        "best_epoch": run.done.get("best_epoch"),
        "seconds": run.done.get("seconds"),
        "last": None,
        "best": None,
        "intervals": None,
        "calibration_error": None,
        "stopped_early": run.done.get("stopped_early", False),
        "restored_best": run.done.get("restored_best", False),
        "training_images": run.done.get("training_images") if state == "done" else None,
        "history": {column: _curve(column, history[column]) for column in (*CURVES, *ADDED_CURVES)},
    }


def _scores(evaluation: Evaluation) -> dict[str, Any]:
    return {
        "images": evaluation.images,
        **evaluation.scores,
        "confusion": evaluation.confusion.tolist(),
        "roc": {name: _points(curve) for name, curve in evaluation.roc.items()},
    }


def _aggregates(evaluations: list[Evaluation]) -> dict[str, Any]:
    return {name: _spread(found) for name, found in aggregate_scores([e.scores for e in evaluations]).items()}


def _spread(found: Aggregate) -> dict[str, Any]:
    """SD is over runs; the interval, which counts the images too, is added where there is one."""
    return {"mean": found.mean, "sd": found.sd, "ddof": DDOF, "n": found.n, "low": None, "high": None}


def _with_intervals(scores: dict[str, Any], found: dict[str, ArmInterval]) -> dict[str, Any]:
    """The scores with low, high and method of their intervals, and how many cases (`unit`) these count."""
    for name, interval in found.items():
        scores[name] |= {key: getattr(interval, key) for key in ("low", "high", "method", "cases", "unit")}
    return scores


def _certainty(found: Certainty) -> dict[str, Any]:
    """Of one run, last epoch: intervals, and the calibration error beside its value under perfect calibration."""
    return {
        "intervals": {name: _interval(interval) for name, interval in found.intervals.items()},
        "calibration_error": None if found.calibration is None else dict(vars(found.calibration)),
    }


def _interval(found: Interval) -> dict[str, Any]:
    return {key: getattr(found, key) for key in ("low", "high", "method", "n", "unit")}


def _calibration(certain: list[Certainty]) -> dict[str, Any] | None:
    """Means over the runs: the calibration error, and what perfect calibration would give (mean, 95th percentile)."""
    found = [of_run.calibration for of_run in certain if of_run.calibration is not None]
    if not found:
        return None
    means = {name: float(np.mean([getattr(error, name) for error in found])) for name in ("value", "mean", "high")}
    above = sum(error.value > error.high for error in found)
    return {**means, "above": above, "n": len(found), "bins": found[0].bins}


def _operating_point(found: list[CrossFitted]) -> dict[str, Any] | None:
    """Means over the runs of what Youden's threshold gives on images that had no say in it; two classes only."""
    if not found:
        return None
    rates = {name: _spread(aggregate([getattr(point, name).value for point in found])) for name in _POINT}
    thresholds = np.concatenate([point.thresholds for point in found])
    return {
        "rule": "Youden",
        "parts": len(found[0].thresholds),
        "threshold": {"mean": float(thresholds.mean()), "min": float(thresholds.min()), "max": float(thresholds.max())},
        **{name: {key: rate[key] for key in ("mean", "sd", "n")} for name, rate in rates.items()},
        "runs": len(found),
    }


def _per_class(certain: list[Certainty]) -> dict[str, Any] | None:
    """Each class against the rest: mean, SD and number of runs of every rate; more than two classes only."""
    if not certain or not certain[0].per_class:
        return None
    found = {}
    for name, first in certain[0].per_class.items():
        over_runs = {key: aggregate([of_run.per_class[name][key] for of_run in certain]) for key in first if key != "n"}
        scores = {key: {"mean": score.mean, "sd": score.sd, "n": score.n} for key, score in over_runs.items()}
        found[name] = {"images": sum(int(of_run.per_class[name]["n"] or 0) for of_run in certain), **scores}
    return found


def _curves(done: list[RunRecord]) -> dict[str, Any]:
    histories = [run.history for run in done]
    found = {column: mean_curve(histories, column) for column in (*CURVES, *ADDED_CURVES)}
    return {
        column: {"mean": _curve(column, curve.mean), "sd": _curve(column, curve.sd), "n": curve.n.tolist()}
        for column, curve in found.items()
    }


def _curve(column: str, values: Any) -> list[float | None]:
    """Learning rates are small: of them, digits count, not decimals."""
    if column != "learning_rate":
        return _rounded(values)
    return [float(f"{value:.6g}") if np.isfinite(value) else None for value in np.asarray(values, dtype=np.float64)]


def _confusion(evaluations: list[Evaluation]) -> list[list[int]] | None:
    """Counts summed over the runs; row = true class."""
    return sum(np.asarray(e.confusion) for e in evaluations).tolist() if evaluations else None  # type: ignore[union-attr]


def _mean_rocs(evaluations: list[Evaluation]) -> dict[str, Any]:
    """By class the vertical average over the runs, and the average over the classes."""
    names = evaluations[0].roc if evaluations else ()
    averages = {name: mean_roc([e.roc[name] for e in evaluations if name in e.roc]) for name in names}
    by_class = {name: curve for name, curve in averages.items() if curve is not None}
    overall = mean_roc(list(by_class.values()))
    return {
        "mean": _points(overall) if overall else None,
        "classes": {name: _points(curve) for name, curve in by_class.items()},
    }


def _points(curve: RocCurve) -> dict[str, list[float | None]]:
    return {
        "false_positive_rate": _rounded(curve.false_positive_rate),
        "true_positive_rate": _rounded(curve.true_positive_rate),
    }


def _changes_in_use(record: StudyRecord, config: dict[str, Any]) -> dict[str, Any]:
    """What the arm changes of the base, without keys that its network has no use for."""
    base = {name: getattr(record.study, name).model_dump(mode="json") for name in config}
    return {key: value for key, value in _changes(base, config).items() if not is_idle(config, key)}


def _changes(base: Any, config: Any, key: str = "") -> dict[str, Any]:
    """The keys, dotted, in which an arm's configuration differs from the base, and their values."""
    if not isinstance(config, dict) or not isinstance(base, dict):
        return {} if base == config else {key: config}
    found: dict[str, Any] = {}
    for name, value in config.items():
        found |= _changes(base.get(name), value, f"{key}.{name}" if key else name)
    return found


def _rounded(values: Any) -> list[float | None]:
    array = np.asarray(values, dtype=np.float64)
    return [round(float(value), _DECIMALS) if np.isfinite(value) else None for value in array]
