"""The test side in summary.json and on the page: scikit-learn's scores, the log, and every warning."""

import csv
import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from sklearn import metrics as oracle
from study_folders import write_study

from diascope.compare.scoring import Place
from diascope.report.judged_side import judged_place
from diascope.report.look_warnings import look_warnings
from diascope.report.page import render
from diascope.report.summary import summarize
from diascope.runs.judged_log import Look, LookedAt, begin_look, end_look
from diascope.runs.judged_rows import write_test_rows
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
Once = tuple[Path, dict[str, Any], dict[str, Any]]  # folder, summary before and after the test side was judged
LATER = "2026-02-01T00:00:00+00:00"  # the runs of these studies are of January


def look_at(folder: Path, *arms: str, checkpoint: str = "best", begun: str = LATER, ended: bool = True) -> None:
    """Judge the finished runs of these arms (default: all) as `diascope test` would, by invented probabilities."""
    record = StudyRecord(folder)
    chosen = arms or record.arms
    runs = [run for arm in chosen for run in record.runs_of(arm) if run.state == "done"]
    index = record.index.set_index("path")
    seen = []
    for number, run in enumerate(runs):
        random = np.random.default_rng([number, checkpoint == "best"])
        rows = []
        for path in record.folds["test"]:
            logits = random.normal(0, 1, len(record.classes)) + 1.2 * (np.array(record.classes) == index["label"][path])
            p = np.exp(logits) / np.exp(logits).sum()
            rows.append([path, index["group"][path], index["label"][path], *p.tolist()])
        digest = write_test_rows(run.folder / "predictions.csv", checkpoint, record.classes, rows)
        seen.append(LookedAt(arm=run.arm, fold=run.fold, seed=run.seed, run_id=run.run_id, trained="", weights="",
                             predictions=digest))  # fmt: skip
    look = Look(begun=begun, diascope="0.1.0", command="diascope test study", device="cpu", checkpoint=checkpoint,
                images=len(record.folds["test"]), study_arms=record.arms, arms=chosen, runs=tuple(seen))  # fmt: skip
    number = begin_look(folder, look)
    if ended:
        end_look(folder, number, look.model_copy(update={"finished": begun}))


def summary_of(folder: Path) -> dict[str, Any]:
    return summarize(StudyRecord(folder))


def visible(summary: dict[str, Any]) -> str:
    page = render(summary)
    start = page.index('<section id="test-side">') if '<section id="test-side">' in page else len(page)
    return re.sub(r"\s+", " ", page[start : page.find("</section>", start)], flags=re.ASCII)


@pytest.fixture(scope="module")
def once(tmp_path_factory: pytest.TempPathFactory) -> Once:
    """A study that was judged once, with its summaries before and after; for tests that only read."""
    folder = write_study(tmp_path_factory.mktemp("once") / "study", test=24)
    before = summary_of(folder)
    look_at(folder)
    return folder, before, summary_of(folder)


@pytest.fixture
def judged(make_study: MakeStudy) -> Path:
    """One that a test may change."""
    folder = make_study(test=24, seeds=3)
    look_at(folder)
    return folder


def test_a_look_that_was_removed_from_the_log_is_missed(judged: Path) -> None:
    look_at(judged)
    assert not any("changed by hand" in sentence for sentence in summary_of(judged)["test"]["warnings"])
    log = json.loads((judged / "test_log.json").read_text())
    (judged / "test_log.json").write_text(json.dumps(log[1:]))
    (found,) = [sentence for sentence in summary_of(judged)["test"]["warnings"] if "changed by hand" in sentence]
    assert found.startswith(f"test_log.json was changed by hand: what it says before the judgement of {LATER} is not")


def test_scores_are_those_of_scikit_learn(once: Once) -> None:
    judged, _, summary = once
    for arm in summary["arms"].values():
        expected = [_by_scikit_learn(judged / run["folder"]) for run in arm["runs"]]
        for run, scores in zip(arm["runs"], expected, strict=True):
            assert run["test"]["images"] == 24
            for name, value in scores.items():
                assert run["test"][name] == pytest.approx(value, abs=1e-12)
        for name in expected[0]:
            found, values = arm["test_metrics"][name], [scores[name] for scores in expected]
            assert found["mean"] == pytest.approx(np.mean(values), abs=1e-12)
            assert found["sd"] == pytest.approx(np.std(values, ddof=1), abs=1e-12)
            assert (found["n"], found["ddof"]) == (3, 1)
            assert found["low"] < found["mean"] < found["high"]
        assert np.sum(arm["test_confusion"]) == 3 * 24
    json.dumps(summary, allow_nan=False)


def _by_scikit_learn(run: Path) -> dict[str, float]:
    with (run / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if (row["checkpoint"], row["side"]) == ("best", "test")]
    truth = [row["label"] == "melanoma" for row in rows]
    p = [float(row["p_melanoma"]) for row in rows]
    called = [value > 0.5 for value in p]
    return {
        "accuracy": oracle.accuracy_score(truth, called),
        "balanced_accuracy": oracle.balanced_accuracy_score(truth, called),
        "auroc": oracle.roc_auc_score(truth, p),
        "sensitivity": oracle.recall_score(truth, called),
        "specificity": oracle.recall_score(truth, called, pos_label=False),
        "loss": oracle.log_loss(truth, p),
    }


def test_the_validation_side_says_what_it_said_before(once: Once) -> None:
    _, before, after = once
    assert before["comparisons"] == after["comparisons"]
    assert before["answer"] == after["answer"]
    for name, arm in after["arms"].items():
        for key in ("metrics", "best_metrics", "confusion", "roc"):
            assert arm[key] == before["arms"][name][key]


def test_verdicts_are_of_the_test_side(once: Once) -> None:
    summary = once[2]
    (found,) = summary["test"]["comparisons"]
    scores = {name: arm["test_metrics"]["accuracy"]["mean"] for name, arm in summary["arms"].items()}
    assert found["difference"] == pytest.approx(scores["dropout"] - scores["baseline"])
    assert "test accuracy at the best epoch" in found["sentence"]
    assert "24 images" in found["sentence"]
    assert summary["test"]["warnings"] == []
    assert "validation accuracy at the last epoch" in summary["answer"]


def test_without_a_test_side_there_is_no_section(make_study: MakeStudy) -> None:
    summary = summary_of(make_study(test=0))
    assert summary["test"] is None
    assert "test-side" not in render(summary)


def test_before_the_first_look_the_command_is_named(once: Once) -> None:
    summary = once[1]
    assert (summary["test"]["images"], summary["test"]["checkpoint"], summary["test"]["log"]) == (24, None, [])
    assert all(arm["test_metrics"] is None for arm in summary["arms"].values())
    assert "diascope test DIR" in visible(summary)
    assert "The test side has not been used for anything" in render(summary)


def test_the_page_shows_scores_and_log(once: Once) -> None:
    summary = once[2]
    text = visible(summary)
    for arm in summary["arms"].values():
        assert f"{arm['test_metrics']['auroc']['mean']:.3f}" in text
        assert f"{arm['test_metrics']['auroc']['low']:.3f} to " in text
    assert summary["test"]["comparisons"][0]["sentence"] in text
    assert "2026-02-01 00:00:00" in text
    assert "The test side has not been used" not in render(summary)


def test_an_arm_that_was_not_judged_says_so(make_study: MakeStudy) -> None:
    folder = make_study(test=24)
    look_at(folder, "dropout")
    summary = summary_of(folder)
    assert summary["arms"]["baseline"]["test_metrics"] is None
    assert summary["arms"]["baseline"]["runs"][0]["test"] is None
    (found,) = summary["test"]["comparisons"]
    assert found["difference"] is None
    assert "no fold-seed pair is judged on the test side in both" in found["sentence"]
    assert "not judged" in visible(summary)


# ---- warnings ----


def warnings_after(folder: Path) -> str:
    return " ".join(look_warnings(StudyRecord(folder)))


def test_several_looks_are_optimistic(judged: Path) -> None:
    look_at(judged)
    assert "judged 2 times" in warnings_after(judged)
    text = visible(summary_of(judged))
    assert "makes the result optimistic" in text
    assert text.count("2026-02-01 00:00:00") == 2


def test_both_checkpoints(judged: Path) -> None:
    look_at(judged, checkpoint="last")
    assert "both the best and the last epoch" in warnings_after(judged)
    assert judged_place(StudyRecord(judged)) == Place("test", "last")


def test_a_look_that_did_not_end(make_study: MakeStudy) -> None:
    folder = make_study(test=24)
    look_at(folder, ended=False)
    assert "1 of 1 judgements on the test side was begun and not finished" in warnings_after(folder)
    assert "not to its end" in visible(summary_of(folder))


def test_arms_that_came_or_went_after_a_look(judged: Path) -> None:
    log = judged / "test_log.json"
    (look,) = json.loads(log.read_text())
    log.write_text(json.dumps([{**look, "study_arms": ["baseline", "old"], "arms": ["baseline", "old"]}]))
    found = warnings_after(judged)
    assert "Added after the test side was first judged: dropout." in found
    assert "Judged on the test side and no longer in the study: old." in found


def test_runs_that_were_trained_after_a_look(make_study: MakeStudy) -> None:
    folder = make_study(test=24)
    look_at(folder, begun="2026-01-02T03:05:10+00:00")  # the second in which its runs end: not after
    assert warnings_after(folder) == ""
    done = folder / "runs" / "dropout" / "fold0-seed1" / "done.json"
    done.write_text(json.dumps({**json.loads(done.read_text()), "finished": "2026-01-02T03:05:11+00:00"}))
    assert "Trained, or trained anew, after the test side was first judged: dropout fold0-seed1." in warnings_after(
        folder
    )


def test_predictions_that_no_look_has_made(judged: Path) -> None:
    file = judged / "runs" / "baseline" / "fold0-seed2" / "predictions.csv"
    lines = file.read_text().splitlines(keepends=True)
    file.write_text("".join([*lines[:-1], lines[-1].replace("0.", "0.0", 1)]))
    assert "test_log.json knows nothing of: baseline fold0-seed2." in warnings_after(judged)
    (judged / "test_log.json").unlink()
    assert "knows nothing of: baseline fold0-seed0, baseline fold0-seed1" in warnings_after(judged)


def test_more_than_two_classes_and_folds(make_study: MakeStudy) -> None:
    folder = make_study(test=24, classes=("akiec", "bcc", "mel"), per_class=[40, 40, 60], folds=2, seeds=1, epochs=3)
    look_at(folder)
    summary = summary_of(folder)
    assert "sensitivity" not in summary["test"]["metrics"]
    assert summary["test"]["metrics"][0] == summary["primary"]["metric"]
    arm = summary["arms"]["dropout"]
    assert np.shape(arm["test_confusion"]) == (3, 3)
    assert np.sum(arm["test_confusion"]) == 2 * 24  # every fold's network judges the same images
    assert "The networks of all folds judge the same images." in visible(summary)
    assert "Positive class" not in visible(summary)
