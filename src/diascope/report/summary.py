"""summary.json: every number of the report, for programs (schema 1)."""

from typing import TYPE_CHECKING, Any

import numpy as np

from diascope.compare.aggregate import DDOF, Aggregate, aggregate_scores, mean_curve, mean_roc
from diascope.compare.primary import Primary, primary_metric
from diascope.compare.scoring import Checkpoint, Evaluation, evaluate
from diascope.metrics import RocCurve
from diascope.report.answer import answer, warnings
from diascope.runs.record import RunRecord, StudyRecord
from diascope.studyfile import Arm

if TYPE_CHECKING:
    from pandas import DataFrame

SIDE = "validation"
CHECKPOINTS: tuple[Checkpoint, ...] = ("last", "best")
CURVES = (
    "training_accuracy",
    "training_loss",
    "training_eval_accuracy",
    "training_eval_loss",
    "validation_accuracy",
    "validation_loss",
)
_ARM_SECTIONS = ("data", "model", "augmentation", "training")
_DECIMALS = 6  # of curves; scores are kept in full


def summarize(record: StudyRecord) -> dict[str, Any]:
    """Everything that the report shows, as plain JSON values; None stands for what is undefined.

    Scores, mean curves and pooled tables are over finished runs alone. Raises RunError for a damaged folder.
    """
    data = _data(record)
    primary = primary_metric(record.study.compare, data["per_class"])
    arms = {arm.name: _arm(record, arm) for arm in record.arm_configs}
    summary = {
        "schema": 1,
        "study": {"name": record.study.name, "question": record.study.question, "config": _base(record)},
        "answer": "",
        "warnings": [],
        "data": data,
        "primary": _primary(record, primary),
        "arms": arms,
        "comparisons": [],
        "findings": [finding.model_dump(mode="json") for finding in record.findings],
        "probes": [],
        "provenance": _provenance(record),
        "strays": [path.relative_to(record.folder).as_posix() for path in record.strays],
    }
    return summary | {"answer": answer(summary), "warnings": warnings(summary)}


def _primary(record: StudyRecord, primary: Primary) -> dict[str, Any]:
    at = record.study.compare.at
    return {"metric": primary.metric, "side": SIDE, "at": at, "margin": None, "reason": primary.reason}


def _base(record: StudyRecord) -> dict[str, Any]:
    """The study's configuration apart from what names it and from its arms."""
    return record.study.model_dump(mode="json", exclude={"diascope", "name", "question", "arms"})


# ---- data: what there is, and which side has how much of it ----


def _data(record: StudyRecord) -> dict[str, Any]:
    """Counts; `sides` describes the first fold, `folds` every one. Of the test side nothing but counts is known."""
    index = record.index.set_index("path")
    folds = [{side: _side(record, index, fold[side]) for side in ("training", SIDE)} for fold in record.folds["folds"]]
    test = _side(record, index, record.folds.get("test", []))
    sides = {**folds[0], "test": test}
    first = folds[0]
    both = {name: first["training"]["per_class"][name] + first[SIDE]["per_class"][name] for name in record.classes}
    return {
        "source": record.study.data.source,
        "images": len(index),
        "classes": list(record.classes),
        "positive": record.positive,
        "per_class": both,
        "split": record.folds.get("kind", record.study.split.kind),
        "sides": sides,
        "folds": folds,
    }


def _side(record: StudyRecord, index: "DataFrame", paths: list[str]) -> dict[str, Any]:
    rows = index.loc[paths]
    groups = int(rows["group"].nunique()) if "group" in rows and (rows["group"] != "").any() else None
    counts = rows["label"].value_counts()
    per_class = {name: int(counts.get(name, 0)) for name in record.classes}
    return {"images": len(rows), "groups": groups, "per_class": per_class}


# ---- arms and their runs ----


def _arm(record: StudyRecord, arm: Arm) -> dict[str, Any]:
    runs = record.runs_of(arm.name)
    done = [run for run in runs if run.state == "done"]
    judged = {
        checkpoint: [evaluate(run, checkpoint, record.classes, record.positive) for run in done]
        for checkpoint in CHECKPOINTS
    }
    config = {name: getattr(arm, name).model_dump(mode="json") for name in _ARM_SECTIONS}
    listed = [_run(record, run) for run in runs]
    for place, run in enumerate(done):
        listed[runs.index(run)] |= {checkpoint: _scores(judged[checkpoint][place]) for checkpoint in CHECKPOINTS}
    return {
        "config": config,
        "changes": _changes({name: getattr(record.study, name).model_dump(mode="json") for name in config}, config),
        "curves": _curves(done),
        "metrics": _aggregates(judged["last"]),
        "best_metrics": _aggregates(judged["best"]),
        "test_metrics": None,
        "confusion": {checkpoint: _confusion(judged[checkpoint]) for checkpoint in CHECKPOINTS},
        "roc": _mean_rocs(judged["last"]),
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
        "history": {column: _rounded(history[column]) for column in CURVES},
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
    """low and high wait for intervals that count the images too; the spread over runs alone would be too narrow."""
    return {"mean": found.mean, "sd": found.sd, "ddof": DDOF, "n": found.n, "low": None, "high": None}


def _curves(done: list[RunRecord]) -> dict[str, Any]:
    histories = [run.history for run in done]
    found = {column: mean_curve(histories, column) for column in CURVES}
    return {
        column: {"mean": _rounded(curve.mean), "sd": _rounded(curve.sd), "n": curve.n.tolist()}
        for column, curve in found.items()
    }


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


# ---- provenance ----


def _provenance(record: StudyRecord) -> dict[str, Any]:
    """What the finished runs were made with; every value that occurs, since runs may come from several machines."""
    found = [run.provenance for run in record.runs if run.state == "done"]
    keys = dict.fromkeys(key for origin in found for key in origin if key not in ("started", "finished", "seconds"))
    started = [str(origin["started"]) for origin in found if origin.get("started")]
    finished = [str(origin["finished"]) for origin in found if origin.get("finished")]
    return {
        "values": {key: sorted({str(origin[key]) for origin in found if origin.get(key) is not None}) for key in keys},
        "started": min(started, default=None),
        "finished": max(finished, default=None),
        "seconds": sum(float(origin.get("seconds") or 0) for origin in found),
    }
