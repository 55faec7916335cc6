"""Runs of different lengths: their words, their mean curve, their marks, and what is said of weights that were kept."""

import json
import re
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diascope.config import TrainingConfig
from diascope.report.charts import curve_domains, measures, overlays
from diascope.report.page import render
from diascope.report.stopping import chosen_by, restored_warning, stopping
from diascope.report.summary import summarize
from diascope.report.tables import chart_tables
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
EARLY = {"training.early_stopping": {"patience": 4}}
KEPT = {"training.early_stopping": {"patience": 4, "metric": "auroc", "restore_best": True}}


def _training(**options: Any) -> dict[str, Any]:
    return TrainingConfig(epochs=25, **options).model_dump(mode="json")


def _run(epochs: int, planned: int = 25, **more: Any) -> dict[str, Any]:
    return {"state": "done", "epochs": epochs, "stopped_early": epochs < planned, "restored_best": False, **more}


def _shorten(folder: Path, epochs: int, *, best: int, restored: bool = False) -> None:
    """As if a run had stopped early."""
    lines = (folder / "history.csv").read_text().splitlines()
    (folder / "history.csv").write_text("\n".join(lines[: epochs + 1]) + "\n")
    done = json.loads((folder / "done.json").read_text())
    done |= {"epochs": epochs, "best_epoch": best, "stopped_early": True, "restored_best": restored}
    (folder / "done.json").write_text(json.dumps(done))


def _stopped_study(make_study: MakeStudy, **options: Any) -> dict[str, Any]:
    """Three arms of three seeds: 12 epochs throughout, stopped at 4, 6 and 9, and with the best weights kept."""
    folder = make_study(arms={"plain": {}, "early": EARLY, "kept": KEPT}, **options)
    for seed, epochs in enumerate((4, 6, 9)):
        _shorten(folder / f"runs/early/fold0-seed{seed}", epochs, best=epochs - 2)
        _shorten(folder / f"runs/kept/fold0-seed{seed}", epochs, best=epochs - 3, restored=True)
    return summarize(StudyRecord(folder))


def _text(page: str) -> str:
    return " ".join(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def test_an_arm_without_early_stopping_has_nothing_to_tell() -> None:
    assert stopping(_training(), [_run(25)]) is None


@pytest.mark.parametrize(
    ("ends", "sentence"),
    [
        ([20, 14, 17], "stopped early at epochs 14, 17 and 20 of 25, on validation loss (patience 5)"),
        ([25, 14, 25], "1 of 3 runs stopped early at epoch 14 of 25, on validation loss (patience 5)"),
        ([25, 25], "no run stopped early within 25 epochs, watching validation loss (patience 5)"),
        (list(range(10, 20)), "stopped early at epochs 10 to 19 of 25, on validation loss (patience 5)"),
        ([], ""),
    ],
)
def test_the_sentence_names_the_epochs(ends: list[int], sentence: str) -> None:
    found = stopping(_training(early_stopping=5), [_run(epochs) for epochs in ends])
    assert found is not None
    assert found["sentence"] == sentence


def test_runs_that_are_not_finished_have_not_stopped() -> None:
    found = stopping(_training(early_stopping=5), [_run(3, state="unfinished", stopped_early=False), _run(9)])
    assert found is not None
    assert (found["ended"], found["runs"]) == ([9], 1)


def test_what_chooses_the_best_epoch() -> None:
    assert chosen_by(_training()) == "lowest validation loss"
    watched = {"metric": "balanced_accuracy"}
    assert chosen_by(_training(early_stopping=watched)) == "highest validation balanced accuracy"


def test_weights_that_were_kept_are_called_optimistic() -> None:
    kept = {"stopping": stopping(_training(early_stopping=5), [_run(9, restored_best=True)])}
    assert restored_warning({"plain": {"stopping": None}}) == ""
    alone, mixed = restored_warning({"a": kept}), restored_warning({"a": kept, "b": {"stopping": None}})
    assert "the remedy is the test side" in alone.lower()
    assert "favours" not in alone
    assert "This favours them over the arms that are judged at their last epoch." in mixed


def test_the_page_reads_well_with_runs_of_different_lengths(make_study: MakeStudy) -> None:
    summary = _stopped_study(make_study)
    text = _text(render(summary))
    assert "early : stopped early at epochs 4, 6 and 9 of 12, on validation loss (patience 4)." in text
    assert "on validation AUROC (patience 4); each ended with the weights of its best epoch." in text
    assert "Optimistic: the runs of kept ended with the weights" in summary["warnings"][0]
    assert "lowest validation loss, or its highest validation AUROC (as training.early_stopping" in text
    assert "4 of 12 0." in text
    assert "best kept" in text
    assert "a paler line goes on with the mean over the runs that are left" in text


def test_the_mean_goes_on_over_the_runs_that_are_left(make_study: MakeStudy) -> None:
    summary = _stopped_study(make_study)
    rows = [row for row in chart_tables(summary)["means"] if row["arm"] == "early"]
    assert [(row["epoch"], row["part"], row["n"]) for row in rows] == [
        *((epoch, "all", 3) for epoch in (1, 2, 3, 4)), (4, "left", 3), (5, "left", 2), (6, "left", 2)
    ]  # fmt: skip
    histories = [run["history"]["validation_loss"] for run in summary["arms"]["early"]["runs"]]
    assert rows[-1]["validation_loss"] == pytest.approx(np.mean([found[5] for found in histories[1:]]), abs=1e-5)
    plain = [row for row in chart_tables(summary)["means"] if row["arm"] == "plain"]
    assert {row["part"] for row in plain} == {"all"}
    assert len(plain) == 12


def test_ends_and_kept_epochs_are_marked(make_study: MakeStudy) -> None:
    rows = chart_tables(_stopped_study(make_study))["runs"]
    marked = [(row["arm"], row["epoch"], row["mark"]) for row in rows if row["mark"]]
    assert marked == [
        *(("early", epoch, "end") for epoch in (4, 6, 9)),
        *(("kept", epoch, mark) for last in (4, 6, 9) for epoch, mark in ((last - 3, "kept"), (last, "end"))),
    ]


def test_curves_of_balanced_accuracy_are_drawn_where_it_leads_and_runs_noted_it(make_study: MakeStudy) -> None:
    old = summarize(StudyRecord(make_study(per_class=[200, 20], epochs=3, seeds=1)))
    assert "validation_balanced_accuracy" not in overlays(old, chart_tables(old))
    folder = make_study(folder="new", per_class=[200, 20], epochs=3, seeds=1)
    for path in folder.glob("runs/*/*/history.csv"):
        head, *rows = path.read_text().splitlines()
        cells = [row.rsplit(",", 1) for row in rows]
        noted = [
            f"{left},0.{41 + place},{'nan' if place else '0.7'},{right}" for place, (left, right) in enumerate(cells)
        ]
        head = head.replace(",seconds", ",validation_balanced_accuracy,validation_auroc,seconds")
        path.write_text("\n".join([head, *noted]) + "\n")
    new = summarize(StudyRecord(folder))
    tables = chart_tables(new)
    assert list(overlays(new, tables))[:3] == ["validation_balanced_accuracy", "validation_auroc", "validation_loss"]
    assert measures(new, tables)[0] == "balanced_accuracy"
    curve = new["arms"]["baseline"]["curves"]
    assert curve["validation_balanced_accuracy"]["mean"] == [0.41, 0.42, 0.43]
    assert curve["validation_auroc"]["mean"] == [0.7, None, None]
    axes = {
        name: curve_domains(tables).of(name).values for name in ("validation_balanced_accuracy", "validation_auroc")
    }
    assert axes == {"validation_balanced_accuracy": (0.4, 1.0), "validation_auroc": (0.7, 1.0)}


def test_a_learning_rate_is_drawn_where_it_changes(make_study: MakeStudy) -> None:
    steady = summarize(StudyRecord(make_study(epochs=2, seeds=1)))
    assert "learning_rate" not in overlays(steady, chart_tables(steady))
    arms = {"steady": {}, "falling": {"training.schedule": {"kind": "cosine"}}}
    falling = summarize(StudyRecord(make_study(folder="falling", epochs=2, seeds=1, arms=arms)))
    assert "learning_rate" in overlays(falling, chart_tables(falling))
    assert falling["arms"]["falling"]["curves"]["learning_rate"]["mean"] == [0.0001, 0.0001]


def test_runs_too_short_for_a_reading_are_counted(make_study: MakeStudy) -> None:
    folder = make_study(arms={"early": EARLY}, epochs=40)
    _shorten(folder / "runs/early/fold0-seed0", 12, best=8)
    sentences = summarize(StudyRecord(folder))["curves"]["sentences"]
    assert any(
        sentence.startswith("Of early, 1 of 3 runs ended early: it is too short to show") for sentence in sentences
    )
