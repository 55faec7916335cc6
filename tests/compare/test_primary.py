"""The metric that leads: accuracy, unless the classes are unequal or the study says otherwise."""

from typing import Any

import pytest

from diascope.compare.primary import leading_metrics, primary_metric
from diascope.config import CompareConfig


@pytest.mark.parametrize(
    ("per_class", "metric"),
    [
        ({"a": 100, "b": 149}, "accuracy"),
        ({"a": 100, "b": 150}, "balanced_accuracy"),
        ({"a": 5, "b": 0}, "balanced_accuracy"),
    ],
)
def test_unequal_classes_lead_with_balanced_accuracy(per_class: dict[str, int], metric: str) -> None:
    assert primary_metric(CompareConfig(), per_class).metric == metric


def test_the_reason_names_what_always_answering_the_larger_class_would_score() -> None:
    reason = primary_metric(CompareConfig(), {"a": 1000, "b": 3000}).reason
    assert "3,000 b, 1,000 a" in reason
    assert "0.750" in reason
    assert "0.500" in reason


def test_the_study_s_own_choice_counts() -> None:
    assert primary_metric(CompareConfig(metric="auroc"), {"a": 1, "b": 100}).metric == "auroc"


def test_a_choice_of_accuracy_on_unequal_classes_is_obeyed_with_a_warning() -> None:
    found = primary_metric(CompareConfig(metric="accuracy"), {"a": 50, "b": 950})
    assert (found.metric, found.unequal) == ("accuracy", True)
    assert "an accuracy of 0.950" in found.warning
    assert primary_metric(CompareConfig(metric="accuracy"), {"a": 50, "b": 50}).warning == ""
    assert primary_metric(CompareConfig(metric="auroc"), {"a": 50, "b": 950}).warning == ""


@pytest.mark.parametrize(
    ("metric", "per_class", "leading"),
    [
        (None, {"a": 5, "b": 5}, ("accuracy", "auroc", "loss")),
        (None, {"a": 5, "b": 9}, ("balanced_accuracy", "auroc", "loss", "accuracy")),
        ("accuracy", {"a": 5, "b": 9}, ("accuracy", "balanced_accuracy", "auroc", "loss")),
        ("mcc", {"a": 5, "b": 9}, ("mcc", "balanced_accuracy", "auroc", "loss", "accuracy")),
    ],
)
def test_the_order_of_the_columns(metric: Any, per_class: dict[str, int], leading: tuple[str, ...]) -> None:
    assert leading_metrics(primary_metric(CompareConfig(metric=metric), per_class)) == leading
