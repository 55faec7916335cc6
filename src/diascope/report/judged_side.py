"""What the test side said, for summary.json: scores of the arms and runs, verdicts, the log of every look, warnings.

Scores lie on the arms and runs; the rest is the key `test`.
"""

from collections.abc import Sequence
from typing import Any

import numpy as np

from diascope.compare.aggregate import DDOF, aggregate_scores
from diascope.compare.arms import arm_intervals
from diascope.compare.scoring import Checkpoint, Evaluation, Place, evaluate, judged_runs, tested
from diascope.metrics import WITH_INTERVAL
from diascope.report.look_warnings import look_warnings
from diascope.runs.judged_log import Look
from diascope.runs.record import StudyRecord

Summary = dict[str, Any]
_CHECKPOINTS: tuple[Checkpoint, ...] = ("best", "last")
_SHOWN = ("accuracy", "balanced_accuracy", "auroc")
_OF_TWO = ("sensitivity", "specificity")


def judged_place(record: StudyRecord) -> Place | None:
    """The test side with the checkpoint of the latest look whose predictions are there; None where there are none."""
    found = {checkpoint for run in record.runs if run.state == "done" for checkpoint in tested(run)}
    wanted: tuple[Checkpoint, ...] = (*(look.checkpoint for look in reversed(record.test_log)), *_CHECKPOINTS)
    for checkpoint in wanted:
        if checkpoint in found:
            return Place("test", checkpoint)
    return None


def add_test_scores(record: StudyRecord, arms: dict[str, Summary], place: Place | None) -> None:
    """Give each arm `test_metrics` and `test_confusion`, each run `test`; None where it was not judged."""
    for name, arm in arms.items():
        runs = judged_runs(record.runs_of(name), place) if place else []
        scored = {
            (run.fold, run.seed): evaluate(run, place.checkpoint, record.classes, record.positive, place.side)
            for run in runs
            if place
        }
        every = list(scored.values())
        arm["test_metrics"] = _metrics(record, name, every, place) if place and every else None
        arm["test_confusion"] = np.sum([each.confusion for each in every], axis=0).tolist() if every else None
        for run in arm["runs"]:
            found = scored.get((run["fold"], run["seed"]))
            run["test"] = None if found is None else _scores(found)


def summarize_test_side(
    record: StudyRecord, primary: str, place: Place | None, comparisons: Sequence[Summary]
) -> Summary | None:
    """The key `test`; None where the study keeps no test side."""
    paths = record.folds.get("test") or []
    if not paths:
        return None
    shown = (primary, *_SHOWN, *(_OF_TWO if len(record.classes) == 2 else ()))
    return {
        "images": len(paths),
        "groups": _groups(record, paths),
        "checkpoint": place.checkpoint if place else None,
        "metrics": list(dict.fromkeys(shown)),
        "log": [_look(look) for look in record.test_log],
        "warnings": look_warnings(record),
        "comparisons": list(comparisons),
    }


def _metrics(record: StudyRecord, arm: str, evaluations: list[Evaluation], place: Place) -> Summary:
    """As on the validation side: mean and SD over runs, and an interval that counts runs and images."""
    aggregates = aggregate_scores([each.scores for each in evaluations])
    intervals = arm_intervals(record, arm, WITH_INTERVAL, place)
    found: Summary = {}
    for name, score in aggregates.items():
        found[name] = {"mean": score.mean, "sd": score.sd, "ddof": DDOF, "n": score.n, "low": None, "high": None}
        if name in intervals:
            keys = ("low", "high", "method", "cases", "unit")
            found[name] |= {key: getattr(intervals[name], key) for key in keys}
    return found


def _scores(found: Evaluation) -> Summary:
    return {"images": found.images, **found.scores, "confusion": found.confusion.tolist()}


def _groups(record: StudyRecord, paths: list[str]) -> int | None:
    if "group" not in record.index:
        return None
    groups = record.index.set_index("path")["group"].loc[paths]
    return int(groups.nunique()) if (groups != "").any() else None


def _look(look: Look) -> Summary:
    """A look with its runs counted; which they were, and their digests, stays in test_log.json."""
    return {**look.model_dump(mode="json"), "runs": len(look.runs)}
