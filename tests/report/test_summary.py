"""summary.json: the agreed schema, and numbers that a computation from the files confirms."""

import csv
import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diascope import metrics
from diascope.compare.arms import arm_intervals
from diascope.compare.curve_sentences import curve_sentences
from diascope.compare.curves import study_readings
from diascope.compare.verdict import compare_arms
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]


def _scores_of(folder: Path, checkpoint: str) -> dict[str, Any]:
    with (folder / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["checkpoint"] == checkpoint]
    labels = np.array([int(row["label"] == "melanoma") for row in rows])
    probabilities = np.array([[float(row["p_nevus"]), float(row["p_melanoma"])] for row in rows])
    return metrics.scores(labels, probabilities, 1)


def test_the_keys_of_schema_1_are_there(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(make_study()))
    assert summary["schema"] == 1
    assert summary["study"]["name"] == "dropout"
    assert summary["study"]["question"] == "Does dropout raise validation accuracy?"
    assert summary["data"]["classes"] == ["nevus", "melanoma"]
    assert summary["data"]["positive"] == "melanoma"
    assert set(summary["data"]["sides"]) == {"training", "validation", "test"}
    assert set(summary["data"]["sides"]["training"]) == {"images", "groups", "per_class"}
    assert {"metric", "side", "at", "margin"} <= set(summary["primary"])
    arm = summary["arms"]["baseline"]
    assert {"config", "curves", "best_metrics", "test_metrics", "metrics", "runs"} <= set(arm)
    scored = {"mean", "sd", "ddof", "n", "low", "high", "method", "unit", "cases"}
    assert set(arm["metrics"]["accuracy"]) == scored
    assert {"fold", "seed", "run_id", "folder", "state", "last", "best"} <= set(arm["runs"][0])
    compared = {"arm", "against", "metric", "difference", "low", "high", "p", "p_holm", "method", "verdict", "needs"}
    compared |= {"sentence", "runs", "cases", "unit", "generalizes", "paired", "look", "boundary"}
    assert [set(found) for found in summary["comparisons"]] == [compared]
    assert set(summary["curves"]) == {"pairs", "sentences"}
    assert summary["findings"] == summary["probes"] == summary["subgroups"] == []
    json.dumps(summary, allow_nan=False)


def test_scores_are_those_of_the_predictions(make_study: MakeStudy) -> None:
    folder = make_study()
    arm = summarize(StudyRecord(folder))["arms"]["dropout"]
    for checkpoint, aggregates in (("last", arm["metrics"]), ("best", arm["best_metrics"])):
        expected = [_scores_of(folder / run["folder"], checkpoint) for run in arm["runs"]]
        for run, scores in zip(arm["runs"], expected, strict=True):
            assert {name: run[checkpoint][name] for name in scores} == scores
        for name, found in aggregates.items():
            values = [scores[name] for scores in expected if scores[name] is not None]
            assert found["mean"] == pytest.approx(np.mean(values), abs=1e-12)
            assert found["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
            assert (found["n"], found["ddof"]) == (len(values), 1)


def test_pooled_confusion_counts_every_image_once_a_run(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(make_study()))
    arm = summary["arms"]["baseline"]
    images = summary["data"]["sides"]["validation"]["images"]
    assert np.sum(arm["confusion"]["last"]) == 3 * images
    assert np.array_equal(arm["confusion"]["last"], sum(np.array(run["last"]["confusion"]) for run in arm["runs"]))


def test_sides_are_counted(make_study: MakeStudy) -> None:
    data = summarize(StudyRecord(make_study(per_class=[30, 50])))["data"]
    counted = [side["images"] for side in data["sides"].values()]
    assert sum(counted) == data["images"] == 80
    for side in data["sides"].values():
        assert sum(side["per_class"].values()) == side["images"]
        assert side["groups"] <= side["images"]


def test_without_a_group_column_no_groups_are_counted(make_study: MakeStudy) -> None:
    folder = make_study()
    lines = [",".join(line.split(",")[:2]) for line in (folder / "index.csv").read_text().splitlines()]
    (folder / "index.csv").write_text("\n".join(lines) + "\n")
    assert summarize(StudyRecord(folder))["data"]["sides"]["training"]["groups"] is None


def test_an_arm_shows_what_it_changes(make_study: MakeStudy) -> None:
    arms = {"base": {}, "all": {"model.dropout": 0.4, "training.learning_rate": 0.01}}
    found = summarize(StudyRecord(make_study(arms=arms)))["arms"]
    assert found["base"]["changes"] == {}
    assert found["all"]["changes"] == arms["all"]
    assert found["all"]["config"]["model"]["dropout"] == 0.4


def test_unequal_classes_lead_with_balanced_accuracy(make_study: MakeStudy) -> None:
    summary = summarize(StudyRecord(make_study(per_class=[100, 30])))
    assert summary["primary"]["metric"] == "balanced_accuracy"
    assert "unequal" in summary["primary"]["reason"]
    assert "validation balanced accuracy" in summary["answer"]


def test_what_is_incomplete_is_said(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs/baseline/fold0-seed0")
    (folder / "runs/dropout/fold0-seed1/done.json").unlink()
    failed = folder / "runs/dropout/fold0-seed2"
    (failed / "done.json").unlink()
    (failed / "error.txt").write_text("Traceback\nRuntimeError: out of memory\n")
    shutil.copytree(folder / "runs/dropout/fold0-seed0", folder / "runs/dropout/fold0-seed7")
    summary = summarize(StudyRecord(folder))
    said = "\n".join(summary["warnings"])
    assert "Incomplete: 3 of 6 runs are finished" in said
    assert "Not begun: baseline fold 0 seed 0." in said
    assert "Begun but not finished: dropout fold 0 seed 1." in said
    assert "dropout fold 0 seed 2 ended with RuntimeError: out of memory" in said
    assert "runs/dropout/fold0-seed7" in said
    assert summary["arms"]["dropout"]["metrics"]["accuracy"]["n"] == 1
    assert [run["state"] for run in summary["arms"]["dropout"]["runs"]] == ["done", "unfinished", "unfinished"]


def test_stale_runs_are_left_out(make_study: MakeStudy) -> None:
    folder = make_study()
    path = folder / "study.yaml"
    path.write_text(path.read_text().replace("model.dropout: 0.4", "model.dropout: 0.5"))
    summary = summarize(StudyRecord(folder))
    assert summary["arms"]["dropout"]["metrics"]["accuracy"]["mean"] is None
    assert any("another configuration" in sentence for sentence in summary["warnings"])


def test_a_study_without_runs_has_a_summary(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs")
    summary = summarize(StudyRecord(folder))
    assert summary["answer"].startswith("No run has finished yet")
    assert summary["arms"]["baseline"]["confusion"]["last"] is None
    assert summary["provenance"]["started"] is None


def test_provenance_keeps_every_value_that_occurs(make_study: MakeStudy) -> None:
    folder = make_study()
    path = folder / "runs/dropout/fold0-seed1/provenance.json"
    path.write_text(path.read_text().replace('"device": "cpu"', '"device": "cuda"'))
    found = summarize(StudyRecord(folder))["provenance"]
    assert found["values"]["device"] == ["cpu", "cuda"]
    assert found["started"] == "2026-01-02T03:04:00+00:00"
    assert found["seconds"] == pytest.approx(6 * 71.5)


def _arrays(folder: Path) -> tuple[Any, Any, list[str]]:
    with (folder / "predictions.csv").open() as file:
        rows = [row for row in csv.DictReader(file) if row["checkpoint"] == "last"]
    rows.sort(key=lambda row: row["path"])
    labels = np.array([int(row["label"] == "melanoma") for row in rows])
    probabilities = np.array([[float(row["p_nevus"]), float(row["p_melanoma"])] for row in rows])
    return labels, probabilities, [row["group"] for row in rows]


@pytest.mark.parametrize("groups", [True, False])
def test_a_run_has_intervals_that_count_groups_where_there_are_some(make_study: MakeStudy, groups: bool) -> None:
    folder = make_study(seeds=1, groups=groups, per_class=[90, 90])
    run = summarize(StudyRecord(folder))["arms"]["dropout"]["runs"][0]
    labels, probabilities, names = _arrays(folder / run["folder"])
    own = metrics.intervals(labels, probabilities, 1, groups=np.array(names) if groups else None, names=["accuracy"])
    found = run["intervals"]["accuracy"]
    assert found == {key: getattr(own["accuracy"], key) for key in ("low", "high", "method", "n", "unit")}
    assert found["unit"] == ("groups" if groups else "images")
    assert "ece" not in run["intervals"]
    perfect = metrics.calibration_error(labels, probabilities, 1, draws=1000)
    assert perfect is not None
    assert run["calibration_error"] == vars(perfect)


def test_an_arm_has_the_intervals_of_the_verdicts(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study())
    summary = summarize(record)
    for arm in record.arms:
        for metric, interval in arm_intervals(record, arm, ["accuracy", "auroc", "loss"]).items():
            found = summary["arms"][arm]["metrics"][metric]
            assert [found[key] for key in ("low", "high", "method", "cases", "unit")] == [
                interval.low, interval.high, interval.method, interval.cases, interval.unit
            ]  # fmt: skip
            assert found["low"] < found["mean"] < found["high"]
        assert summary["arms"][arm]["metrics"]["ece"]["low"] is None


def test_comparisons_are_those_of_the_primary_metric(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(more={"compare": {"metric": "auroc", "margin": 0.05}}))
    summary = summarize(record)
    (expected,) = compare_arms(record, "auroc")
    (found,) = summary["comparisons"]
    assert summary["primary"]["margin"] == 0.05
    assert (found["arm"], found["against"], found["metric"]) == ("dropout", "baseline", "auroc")
    assert [found[key] for key in ("difference", "low", "high", "p_holm", "verdict", "needs", "sentence")] == [
        expected.difference, expected.low, expected.high, expected.p_holm, expected.verdict, expected.needs,
        expected.sentence,
    ]  # fmt: skip
    both = summary["arms"]["dropout"]["runs"], summary["arms"]["baseline"]["runs"]
    by_hand = [arm["last"]["auroc"] - other["last"]["auroc"] for arm, other in zip(*both, strict=True)]
    assert [run["difference"] for run in found["paired"]] == pytest.approx(by_hand)


def test_an_operating_point_is_the_mean_of_the_runs(make_study: MakeStudy) -> None:
    folder = make_study(groups=False, per_class=[80, 80])
    arm = summarize(StudyRecord(folder))["arms"]["dropout"]
    points = [metrics.cross_fitted(*_arrays(folder / run["folder"])[:2], 1) for run in arm["runs"]]
    found = arm["operating_point"]
    assert (found["rule"], found["parts"], found["runs"]) == ("Youden", 5, 3)
    assert found["threshold"]["mean"] == pytest.approx(np.mean([point.thresholds for point in points]))
    assert found["sensitivity"]["mean"] == pytest.approx(np.mean([point.sensitivity.value for point in points]))
    assert found["specificity"]["sd"] == pytest.approx(np.std([point.specificity.value for point in points], ddof=1))
    assert arm["per_class"] is None


def test_more_than_two_classes_are_shown_one_by_one(make_study: MakeStudy) -> None:
    folder = make_study(classes=["akiec", "mel", "nv"], per_class=[40, 50, 60], epochs=3)
    summary = summarize(StudyRecord(folder))
    arm = summary["arms"]["dropout"]
    assert arm["operating_point"] is None
    assert list(arm["per_class"]) == ["akiec", "mel", "nv"]
    confusion = [np.array(run["last"]["confusion"]) for run in arm["runs"]]
    for number, found in enumerate(arm["per_class"].values()):
        assert found["images"] == sum(counts[number].sum() for counts in confusion)
        rates = [counts[number, number] / counts[number].sum() for counts in confusion]
        assert found["sensitivity"]["mean"] == pytest.approx(np.mean(rates))
    json.dumps(summary, allow_nan=False)


def test_subgroups_mark_few_images_and_say_what_is_undefined(make_study: MakeStudy) -> None:
    columns = {"site": lambda number: "eye" if number < 20 else "back"}
    record = StudyRecord(make_study(columns=columns, more={"report": {"subgroups": ["site", "age"]}}))
    site, age = summarize(record)["subgroups"]
    assert site["metrics"] == ["accuracy", "sensitivity", "specificity", "auroc"]
    assert [(value["value"], value["classes"]) for value in site["values"]] == [
        ("back", ["nevus", "melanoma"]),
        ("eye", ["nevus"]),
    ]
    eye = site["values"][1]
    assert eye["few"]
    assert eye["arms"]["baseline"]["auroc"]["mean"] is None
    assert eye["arms"]["baseline"]["accuracy"]["n"] <= eye["images"]
    assert age == {"column": "age", "found": False, "metrics": site["metrics"], "values": []}


def test_the_curves_say_what_their_readings_say(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study(epochs=30))
    summary = summarize(record)
    assert summary["curves"]["sentences"] == curve_sentences(study_readings(record))
    assert summary["curves"]["sentences"]
    assert [pair["arm"] for pair in summary["curves"]["pairs"]] == ["dropout"]
    assert summary["arms"]["dropout"]["readings"]["readings"]["best_epoch"]["n"] == 3
