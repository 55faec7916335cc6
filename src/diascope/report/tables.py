"""The tables that the charts draw, out of a summary. A table is a list of rows, a row a dict of plain values."""

from collections.abc import Sequence
from typing import Any

from diascope.metrics import METRICS
from diascope.report.arm_summary import ADDED_CURVES, CURVES
from diascope.report.interval_panels import pair_label, value_label
from diascope.report.search import search_tables

Row = dict[str, Any]
Tables = dict[str, list[Row]]
DOT = 0.026  # of the axis that the dot of a fold covers, about
_NAMES = ("runs", "means", "scores", "rocs", "class_rocs", "run_rocs", "confusion", "fold_means")


def chart_tables(summary: dict[str, Any]) -> Tables:
    """All tables, by the name under which panels.py draws them; every row names its arm."""
    tables: Tables = {name: [] for name in _NAMES}
    tables["comparisons"], tables["paired"] = _comparison_rows(summary), _paired_rows(summary)
    tables["folds"] = _fold_rows(summary)
    tables["margin"], tables["subgroups"] = _margin_rows(summary), _subgroup_rows(summary)
    for name, arm in summary["arms"].items():
        tables["means"] += _mean_rows(name, arm)
        tables["fold_means"] += _fold_mean_rows(name, arm["over_folds"][summary["primary"]["metric"]])
        tables["rocs"] += _roc_rows(name, arm["roc"]["mean"], name=name)
        for class_name, curve in arm["roc"]["classes"].items():
            tables["class_rocs"] += _roc_rows(name, curve, name=class_name)
        tables["confusion"] += _confusion_rows(name, arm["confusion"]["last"], summary["data"]["classes"])
        for run in arm["runs"]:
            tables["runs"] += _history_rows(name, run)
            tables["scores"] += _score_rows(name, run)
            tables["run_rocs"] += _run_roc_rows(name, run)
    return tables | search_tables(summary["search"])


def of_arm(tables: Tables, arm: str) -> Tables:
    """The rows of one arm."""
    return {name: [row for row in rows if row["arm"] == arm] for name, rows in tables.items()}


def run_label(run: dict[str, Any]) -> str:
    """What a run is called in charts and tables."""
    return f"fold {run['fold']}, seed {run['seed']}"


def _history_rows(arm: str, run: dict[str, Any]) -> list[Row]:
    """A row an epoch. Runs of another configuration than the study's are no part of its curves.

    `mark`: "end" where a run stopped early, "kept" at the epoch whose weights it ended with instead, "only" where
    there is but one epoch, which no line would show.
    """
    if run["state"] == "stale":
        return []
    names = (*CURVES, *ADDED_CURVES)
    columns = zip(*(run["history"][column] for column in names), strict=True)
    marks = {1: "only"} if run["epochs"] == 1 else {}
    marks |= {run["best_epoch"]: "kept"} if run["restored_best"] else {}
    marks |= {run["epochs"]: "end"} if run["stopped_early"] else {}
    head = {"arm": arm, "run": run_label(run), "state": run["state"]}
    return [
        {**head, "epoch": epoch, "mark": marks.get(epoch), **dict(zip(names, values, strict=True))}
        for epoch, values in enumerate(columns, 1)
    ]


def _mean_rows(arm: str, of_arm: dict[str, Any]) -> list[Row]:
    """A row an epoch; `part` is "all" as far as every finished run reached, then "left": the mean over those left.

    The part "left" begins with the last epoch of "all", so that its line joins on, and ends with the last two runs.
    """
    counts = of_arm["curves"][CURVES[0]]["n"]
    runs = max(counts, default=0)
    whole = sum(n == runs for n in counts)
    beyond = range(whole, sum(n > 1 for n in counts)) if whole < len(counts) and runs > 1 else range(0)
    places = [(place, "all") for place in range(whole)]
    places += [(place, "left") for place in ([whole - 1, *beyond] if beyond else [])]
    return [_mean_row(arm, of_arm["curves"], place, part) for place, part in places]


def _mean_row(arm: str, curves: dict[str, Any], place: int, part: str) -> Row:
    names = (*CURVES, *ADDED_CURVES)
    values = {column: curves[column]["mean"][place] for column in names}
    spreads = {f"sd_{column}": curves[column]["sd"][place] for column in names}
    counts = curves[CURVES[0]]["n"]
    head = {"arm": arm, "epoch": place + 1, "n": counts[place], "part": part, "only": len(counts) == 1}
    return {**head, **values, **spreads}


def _score_rows(arm: str, run: dict[str, Any]) -> list[Row]:
    if run["last"] is None:
        return []
    scores = {name: run["last"][name] for name in METRICS}
    return [{"arm": arm, "run": run_label(run), "fold": run["fold"], **scores}]


def _fold_rows(summary: dict[str, Any]) -> list[Row]:
    """The primary metric of every fold that has one; `place` is the arm's, `level` lifts dots off one another."""
    metric = summary["primary"]["metric"]
    arms = [[fold for fold in arm["folds"] if fold[metric] is not None] for arm in summary["arms"].values()]
    scores = [fold[metric] for folds in arms for fold in folds]
    room = DOT * (max(scores) - min(scores)) if scores else 0.0
    return [
        {"arm": name, "place": place, "level": level, "score": fold[metric],
         **{key: fold[key] for key in ("fold", "runs", "images")}}
        for place, (name, folds) in enumerate(zip(summary["arms"], arms, strict=True))
        for fold, level in zip(folds, dot_levels([fold[metric] for fold in folds], room), strict=True)
    ]  # fmt: skip


def dot_levels(scores: Sequence[float], room: float) -> list[int]:
    """For each score the lowest level, from 0, on which no earlier one lies within `room` of it."""
    levels: list[int] = []
    for score in scores:
        taken = {level for other, level in zip(scores, levels, strict=False) if abs(other - score) <= room}
        levels.append(next(level for level in range(len(scores)) if level not in taken))
    return levels


def _fold_mean_rows(arm: str, found: dict[str, Any]) -> list[Row]:
    """Mean and reach of one SD over the folds."""
    if found["mean"] is None:
        return []
    reach = found["sd"] or 0.0
    return [{"arm": arm, "mean": found["mean"], "low": found["mean"] - reach, "high": found["mean"] + reach}]


def _roc_rows(arm: str, curve: dict[str, list[float]] | None, **head: str) -> list[Row]:
    if curve is None:
        return []
    points = zip(curve["false_positive_rate"], curve["true_positive_rate"], strict=True)
    return [{"arm": arm, **head, "rank": rank, "x": x, "y": y} for rank, (x, y) in enumerate(points)]


def _run_roc_rows(arm: str, run: dict[str, Any]) -> list[Row]:
    """Of two classes only: with more, every run would add a line a class."""
    curves = run["last"]["roc"] if run["last"] else {}
    if len(curves) != 1:
        return []
    ((class_name, curve),) = curves.items()
    return _roc_rows(arm, curve, run=run_label(run), name=class_name)


def _confusion_rows(arm: str, counts: list[list[int]] | None, classes: list[str]) -> list[Row]:
    rows = []
    for true, of_true in zip(classes, counts or [], strict=bool(counts)):
        for predicted, images in zip(classes, of_true, strict=True):
            share = images / sum(of_true) if sum(of_true) else None
            rows.append({"arm": arm, "true": true, "predicted": predicted, "images": images, "share": share})
    return rows


def _comparison_rows(summary: dict[str, Any]) -> list[Row]:
    keys = ("difference", "low", "high", "verdict")
    return [
        {"arm": found["arm"], "pair": pair_label(summary, found), **{key: found[key] for key in keys}}
        for found in summary["comparisons"]
        if found["difference"] is not None
    ]


def _paired_rows(summary: dict[str, Any]) -> list[Row]:
    return [
        {
            "arm": found["arm"],
            "pair": pair_label(summary, found),
            "run": run_label(run),
            "difference": run["difference"],
        }
        for found in summary["comparisons"]
        for run in found["paired"]
    ]


def _margin_rows(summary: dict[str, Any]) -> list[Row]:
    margin = summary["primary"]["margin"]
    return [] if margin is None else [{"arm": "", "low": -margin, "high": margin}]


def _subgroup_rows(summary: dict[str, Any]) -> list[Row]:
    """The primary metric of every arm, value by value; `place` is the column's place in summary.json."""
    metric = summary["primary"]["metric"]
    return [
        {"arm": name, "place": place, "value": value_label(value), "images": value["images"],
         **{key: arm[metric][key] for key in ("mean", "low", "high")}}
        for place, found in enumerate(summary["subgroups"])
        for value in found["values"]
        for name, arm in value["arms"].items()
    ]  # fmt: skip
