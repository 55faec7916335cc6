"""Unequal classes: what leads the page and why, what always answering scores, and the weights against scikit-learn."""

import csv
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn.utils.class_weight import compute_class_weight

from diascope import metrics
from diascope.report.class_balance import always_frequent, loss_weights
from diascope.report.page import render
from diascope.report.summary import summarize
from diascope.report.tables import chart_tables
from diascope.runs.record import StudyRecord
from diascope.training.class_weights import class_weights

MakeStudy = Callable[..., Path]
COUNTS = {"nevus": 950, "melanoma": 40, "rare": 10}


def _text(page: str) -> str:
    return " ".join(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def _labels(counts: dict[str, int]) -> list[str]:
    return [name for name, count in counts.items() for _ in range(count)]


def test_balanced_weights_are_those_of_scikit_learn() -> None:
    expected = compute_class_weight("balanced", classes=np.array(list(COUNTS)), y=np.array(_labels(COUNTS)))
    assert list(loss_weights("balanced", COUNTS).values()) == pytest.approx(list(expected))


def test_effective_weights_follow_the_effective_number() -> None:
    found = loss_weights("effective", COUNTS)
    effective = {name: sum(0.999**i for i in range(count)) for name, count in COUNTS.items()}  # Cui et al., in full
    assert found["rare"] / found["nevus"] == pytest.approx(effective["nevus"] / effective["rare"])
    assert np.mean([found[name] for name in _labels(COUNTS)]) == pytest.approx(1)


@pytest.mark.parametrize("setting", ["balanced", "effective", {"nevus": 1, "melanoma": 5, "rare": 9, "none": 2}])
@pytest.mark.parametrize("counts", [COUNTS | {"none": 0}, COUNTS | {"none": 30}])
def test_the_weights_shown_are_those_of_training(setting: Any, counts: dict[str, int]) -> None:
    labels = np.repeat(np.arange(4), list(counts.values()))
    used = class_weights(setting, labels, list(counts))
    assert used is not None
    assert list(loss_weights(setting, counts).values()) == pytest.approx(used.tolist())


def test_no_weights_are_all_1() -> None:
    assert set(loss_weights("none", COUNTS).values()) == {1.0}


def test_always_answering_scores_what_the_metrics_say_of_it() -> None:
    folds = [{"validation": {"per_class": {"a": 90, "b": 10}}}, {"validation": {"per_class": {"a": 80, "b": 20}}}]
    found = always_frequent({"folds": folds, "per_class": {"a": 170, "b": 30}, "classes": ["a", "b"]})
    labels = np.repeat([0, 1], [170, 30])
    scores = metrics.scores(labels, np.tile([1.0, 0.0], (200, 1)), 1)
    assert found == {"class": "a", **{name: scores[name] for name in ("accuracy", "balanced_accuracy")}}
    assert scores["auroc"] == 0.5  # as the answer says


def _unequal(make_study: MakeStudy, **options: Any) -> dict[str, Any]:
    arms = {"plain": {}, "weighted": {"training.class_weights": "balanced"}, "as-plain": {"model.dropout": 0.2}}
    return summarize(StudyRecord(make_study(per_class=[200, 10], epochs=3, arms=arms, **options)))


def test_balanced_accuracy_and_auroc_lead_the_page(make_study: MakeStudy) -> None:
    summary = _unequal(make_study)
    text = _text(render(summary))
    always = summary["balance"]["always"]
    assert summary["primary"]["leading"] == ["balanced_accuracy", "auroc", "loss", "accuracy"]
    assert f"always answering nevus would have an accuracy of {always['accuracy']:.3f}" in summary["beside"]
    assert summary["beside"].startswith("AUROC: plain 0.")
    assert text.index(summary["beside"]) < text.index("Comparisons Figure")
    head = text[text.index("Arm Runs") :][:120]
    assert head.startswith(f"Arm Runs balanced accuracy SD AUROC loss accuracy always nevus: {always['accuracy']:.3f}")
    assert "leads with balanced accuracy and AUROC, because the classes are unequal" in text
    assert {"balanced_accuracy", "auroc"} <= set(chart_tables(summary)["scores"][0])
    assert summary["warnings"] == []


def test_a_study_that_asks_for_accuracy_gets_it_and_a_warning(make_study: MakeStudy) -> None:
    summary = _unequal(make_study, more={"compare": {"metric": "accuracy"}})
    assert summary["primary"]["leading"] == ["accuracy", "balanced_accuracy", "auroc", "loss"]
    assert summary["comparisons"][0]["metric"] == "accuracy"
    (warning,) = summary["warnings"]
    assert "because the study file says so (compare.metric)" in warning
    assert "always answering nevus would have an accuracy of 0.9" in warning
    assert summary["beside"].startswith("Balanced accuracy: plain 0.")


def test_equal_classes_say_nothing_of_it(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(make_study(epochs=2, seeds=1)))
    assert summary["beside"] == ""
    assert not summary["balance"]["unequal"]
    text = _text(render(summary))
    assert "The classes are unequal" not in text
    assert "always nevus" not in text


def test_what_the_arms_did_about_it_is_in_a_table(make_study: MakeStudy) -> None:
    summary = _unequal(make_study)
    plain, weighted = summary["balance"]["treatments"]
    assert (plain["arms"], weighted["arms"]) == (["plain", "as-plain"], ["weighted"])
    counts = summary["data"]["folds"][0]["training"]["per_class"]
    expected = compute_class_weight("balanced", classes=np.array(list(counts)), y=np.array(_labels(counts)))
    assert list(weighted["weights"].values()) == pytest.approx(list(expected))
    text = _text(render(summary))
    assert "plain, as-plain class_weights none, sampler shuffle" in text
    assert f"{weighted['weights']['melanoma']:.3f}" in text[text.index("share of training") :]


def test_a_sampler_shows_how_many_images_it_draws(make_study: MakeStudy) -> None:
    arms = {"sampled": {"training.sampler": "balanced"}}
    folder = make_study(per_class=[200, 10], epochs=2, seeds=1, arms=arms)
    (found,) = summarize(StudyRecord(folder))["balance"]["treatments"]
    training = summarize(StudyRecord(folder))["data"]["folds"][0]["training"]
    assert found["drawn"] == dict.fromkeys(training["per_class"], training["images"] / 2)
    assert set(found["weights"].values()) == {1.0}


def test_each_class_has_its_sensitivity_beside_the_balanced_accuracy(make_study: MakeStudy) -> None:
    folder = make_study(classes=["akiec", "mel", "nv"], per_class=[20, 40, 200], epochs=2, seeds=1)
    summary = summarize(StudyRecord(folder))
    arm = summary["arms"]["dropout"]
    rates = [arm["per_class"][name]["sensitivity"]["mean"] for name in summary["data"]["classes"]]
    assert np.mean(rates) == pytest.approx(arm["metrics"]["balanced_accuracy"]["mean"])
    text = _text(render(summary))
    assert "Sensitivity of every class" in text
    assert "AUROC: mean over the 3 classes, each against the rest" in text


def test_arms_that_give_one_answer_only_are_named(make_study: MakeStudy) -> None:
    folder = make_study(epochs=2, seeds=2)
    for path in folder.glob("runs/dropout/*/predictions.csv"):
        with path.open() as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            row |= {"p_nevus": "0.9", "p_melanoma": "0.1"}
        with path.open("w", newline="") as file:
            writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(rows)
    (warning,) = summarize(StudyRecord(folder))["warnings"]
    assert warning.startswith("One answer only: every run of dropout called every validation image nevus.")


def test_of_many_arms_the_answer_names_the_ends(make_study: MakeStudy) -> None:
    arms = {f"arm{number}": {"model.dropout": number / 10} for number in range(6)}
    summary = summarize(StudyRecord(make_study(per_class=[200, 80], epochs=2, seeds=1, arms=arms)))
    means = {name: arm["metrics"]["auroc"]["mean"] for name, arm in summary["arms"].items()}
    least, most = min(means, key=lambda name: means[name]), max(means, key=lambda name: means[name])
    assert summary["beside"].startswith(f"AUROC: from {least} {means[least]:.3f} to {most} {means[most]:.3f}.")
