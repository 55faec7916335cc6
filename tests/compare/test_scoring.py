"""Runs judged from their predictions, against a computation from the file itself."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest

from diascope import metrics
from diascope.compare.scoring import evaluate
from diascope.core.errors import RunError
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]


def test_an_evaluation_is_that_of_the_rows_of_its_checkpoint(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study())
    run = record.runs[0]
    found = evaluate(run, "best", record.classes, record.positive)
    with (run.folder / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["checkpoint"] == "best"]
    labels = np.array([int(row["label"] == "melanoma") for row in rows])
    probabilities = np.array([[float(row["p_nevus"]), float(row["p_melanoma"])] for row in rows])
    assert found.images == len(rows) == found.confusion.sum()
    assert found.scores == metrics.scores(labels, probabilities, 1)
    assert list(found.roc) == ["melanoma"]


def test_the_study_s_class_order_counts_not_the_file_s(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study())
    straight = evaluate(record.runs[0], "last", ("nevus", "melanoma"), "melanoma")
    turned = evaluate(record.runs[0], "last", ("melanoma", "nevus"), "melanoma")
    assert straight.scores == turned.scores
    np.testing.assert_array_equal(straight.confusion, turned.confusion[::-1, ::-1])


def test_more_classes_have_a_roc_curve_each(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(classes=["a", "b", "c"]))
    assert list(evaluate(record.runs[0], "last", record.classes, record.positive).roc) == ["a", "b", "c"]


def test_other_classes_and_missing_rows_are_errors(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study())
    with pytest.raises(RunError, match="classes are nevus, melanoma, the study's are a, b"):
        evaluate(record.runs[0], "last", ("a", "b"), "b")
    with pytest.raises(RunError, match="no prediction of checkpoint last, test"):
        evaluate(record.runs[0], "last", record.classes, record.positive, side="test")
