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
    compared |= {"sentence", "runs", "cases", "unit", "generalizes", "paired"}
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
