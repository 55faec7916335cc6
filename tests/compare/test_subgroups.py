"""Subgroups: the images, the scores and the intervals are those of the value's own images."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diascope import metrics
from diascope.compare.subgroups import subgroups
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
SEX = {"sex": lambda number: ("male", "female", "")[number % 3]}


def _scores(run: Path, paths: set[str]) -> metrics.Scores:
    with (run / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["checkpoint"] == "last" and row["path"] in paths]
    labels = np.array([int(row["label"] == "melanoma") for row in rows])
    return metrics.scores(labels, np.array([[float(row["p_nevus"]), float(row["p_melanoma"])] for row in rows]), 1)


@pytest.mark.parametrize("folds", [1, 3])
def test_scores_are_those_of_the_images_of_a_value(make_study: MakeStudy, folds: int) -> None:
    record = StudyRecord(make_study(columns=SEX, folds=folds, epochs=3, per_class=[70, 80]))
    found = subgroups(record, "sex", ["accuracy", "auroc"], most=9)
    assert found is not None
    assert [group.value for group in found] == ["female", "male", ""]
    validated = {path for fold in record.folds["folds"] for path in fold["validation"]}
    assert sum(group.images for group in found) == len(validated)
    female = set(record.index.loc[record.index["sex"] == "female", "path"]) & validated
    assert found[0].images == len(female)
    assert found[0].groups == record.index.set_index("path").loc[sorted(female), "group"].nunique()
    for metric, interval in found[0].arms["dropout"].items():
        by_fold = [
            np.mean([_scores(run.folder, female & set(fold["validation"]))[metric] for run in record.runs_of("dropout")
                     if run.fold == number])
            for number, fold in enumerate(record.folds["folds"])
        ]  # fmt: skip
        assert interval.mean == pytest.approx(np.mean(by_fold), abs=1e-12)
        assert interval.low is not None
        assert interval.high is not None
        assert interval.low < interval.mean < interval.high
    assert record.runs[0].predictions["path"].nunique() > found[0].images / folds  # the study itself is left as it was


def test_where_one_class_only_occurs_the_metric_is_undefined_and_not_zero(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(columns={"site": lambda number: "eye" if number < 20 else "back"}, epochs=3))
    back, eye = subgroups(record, "site", ["accuracy", "sensitivity", "specificity", "auroc"], most=9) or []
    assert back.classes == ("nevus", "melanoma")
    assert (eye.value, eye.classes) == ("eye", ("nevus",))
    scores = eye.arms["baseline"]
    assert scores["auroc"].mean is scores["auroc"].low is scores["sensitivity"].mean is None
    assert scores["accuracy"].mean == pytest.approx(scores["specificity"].mean)


def test_numbers_are_in_order_of_size_and_rare_values_are_left_out(make_study: MakeStudy) -> None:
    ages = {"age": lambda number: ("5.0", "10.0", "100.0")[number % 3] if number else "7.0"}
    record = StudyRecord(make_study(columns=ages, epochs=3))
    assert [group.value for group in subgroups(record, "age", ["accuracy"], most=3) or []] == ["5.0", "10.0", "100.0"]


def test_a_column_that_the_folder_lacks_is_none(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(epochs=3))
    assert subgroups(record, "sex", ["accuracy"], most=9) is None
    assert subgroups(record, "label", ["accuracy"], most=9) is None  # ours, not a column of the source
