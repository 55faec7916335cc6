"""The arms judged on parts of the validation images: those of one sex, say, or of one hospital."""

from collections.abc import Sequence
from copy import copy
from dataclasses import dataclass, replace
from typing import Any

from diascope.compare.arms import ArmInterval, arm_intervals
from diascope.runs.record import RunRecord, StudyRecord

NOT_STATED = ""  # the value of an empty cell
OF_OURS = ("path", "label", "class_number", "group", "split")  # index.csv names the source's own so: source_label


@dataclass(frozen=True)
class Subgroup:
    """One value of a column: its validation images over all folds, and each arm's metrics on them."""

    value: str
    images: int
    groups: int | None
    classes: tuple[str, ...]  # those that occur among its images
    arms: dict[str, dict[str, ArmInterval]]


def subgroups(record: StudyRecord, column: str, metrics: Sequence[str], most: int) -> list[Subgroup] | None:
    """The values of a column, at most the `most` frequent ones, in order; None if index.csv has no such column.

    Last epoch, validation side. Intervals are those of compare/arms.py, from the images of the value alone. A metric
    is None where the value's images are of one class only and that leaves it undefined.
    """
    index: Any = record.index
    name = f"source_{column}" if column in OF_OURS else column
    if name not in index:
        return None
    validated = {path for fold in record.folds["folds"] for path in fold["validation"]}
    index = index[index["path"].isin(validated)]
    values = sorted(index[name].value_counts().index[:most], key=_order)
    return [_subgroup(record, value, index[index[name] == value], metrics) for value in values]


def _subgroup(record: StudyRecord, value: str, rows: Any, metrics: Sequence[str]) -> Subgroup:
    part = _part(record, set(rows["path"]))
    grouped = "group" in rows and (rows["group"] != "").any()
    return Subgroup(
        value=value,
        images=len(rows),
        groups=int(rows["group"].nunique()) if grouped else None,
        classes=tuple(name for name in record.classes if (rows["label"] == name).any()),
        arms={arm: arm_intervals(part, arm, metrics) for arm in record.arms},
    )


def _part(record: StudyRecord, paths: set[str]) -> StudyRecord:
    """The study as if only these images existed: a view in memory, so that every analysis works on it as it is."""
    folds = [{side: [path for path in fold[side] if path in paths] for side in fold} for fold in record.folds["folds"]]
    # A fold that validates none of them has no say; one that trains on none of them still counts as training.
    folds = [fold | {"training": fold["training"] or whole["training"]}
             for fold, whole in zip(folds, record.folds["folds"], strict=True)]  # fmt: skip
    runs = [_cut(run, paths) for run in record.runs if folds[run.fold]["validation"] and run.state == "done"]
    view = copy(record)
    kept = {"folds": {**record.folds, "folds": folds}, "runs": tuple(runs), "classes": record.classes}
    view.__dict__.update(kept)  # all three are cached properties
    return view


def _cut(run: RunRecord, paths: set[str]) -> RunRecord:
    predictions = run.predictions
    part = replace(run)
    part.__dict__["predictions"] = predictions[predictions["path"].isin(paths)]
    return part


def _order(value: str) -> tuple[bool, float, str]:
    """Numbers by size, then names, what is not stated last."""
    try:
        return False, float(value), value
    except ValueError:
        return value == NOT_STATED, float("inf"), value
