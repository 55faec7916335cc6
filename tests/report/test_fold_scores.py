"""Scores of folds against NumPy, spread of folds and of seeds apart, and the page's section on cross-validation."""

import re
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diascope.metrics import METRICS
from diascope.report.fold_scores import fold_scores, over_folds
from diascope.report.page import render
from diascope.report.summary import summarize
from diascope.report.tables import chart_tables, dot_levels
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]


def _runs(scores: dict[int, list[float | None]]) -> list[dict[str, Any]]:
    """Runs by fold, a seed each; None is a run that is not finished."""
    return [
        {
            "fold": fold,
            "seed": seed,
            "last": None if score is None else {"images": 10 + fold, **dict.fromkeys(METRICS, score)},
        }
        for fold, values in scores.items()
        for seed, score in enumerate(values)
    ]


def _text(page: str) -> str:
    return " ".join(re.sub(r"<(script|style).*?</\1>|<[^>]+>", " ", page, flags=re.DOTALL).split())


def test_folds_are_means_of_their_seeds_and_both_deviations_are_those_of_numpy() -> None:
    values = {0: [0.7, 0.8], 1: [0.6, 0.9], 2: [0.5, 0.55]}
    runs = _runs(values)
    folds = fold_scores(runs)
    assert [(fold["fold"], fold["runs"], fold["planned"], fold["images"]) for fold in folds] == [
        (0, 2, 2, 10), (1, 2, 2, 11), (2, 2, 2, 12)
    ]  # fmt: skip
    means = np.mean(list(values.values()), axis=1)
    assert [fold["auroc"] for fold in folds] == pytest.approx(means)
    found = over_folds(runs, folds)["auroc"]
    assert found["mean"] == pytest.approx(means.mean())
    assert (found["sd"], found["ddof"], found["n"]) == (pytest.approx(np.std(means, ddof=1)), 1, 3)
    assert found["sd_population"] == pytest.approx(np.std(means))
    assert (found["min"], found["max"]) == (pytest.approx(means.min()), pytest.approx(means.max()))
    within = np.mean([np.var(seeds, ddof=1) for seeds in values.values()])
    assert found["sd_seeds"] == pytest.approx(np.sqrt(within))


def test_seeds_are_pooled_by_their_degrees_of_freedom() -> None:
    runs = _runs({0: [0.1, 0.2, 0.6], 1: [0.5, None, None], 2: [0.3, 0.7, None]})
    found = over_folds(runs, fold_scores(runs))["accuracy"]
    squares = 2 * np.var([0.1, 0.2, 0.6], ddof=1) + np.var([0.3, 0.7], ddof=1)
    assert found["sd_seeds"] == pytest.approx(np.sqrt(squares / 3))


def test_what_is_not_there_is_none() -> None:
    runs = _runs({0: [0.7], 1: [None]})
    first, second = fold_scores(runs)
    assert (first["accuracy"], second["accuracy"], second["runs"], second["images"]) == (0.7, None, 0, None)
    found = over_folds(runs, [first, second])["accuracy"]
    assert (found["mean"], found["sd"], found["sd_population"], found["sd_seeds"], found["n"]) == (
        0.7, None, None, None, 1
    )  # fmt: skip


def test_a_study_of_folds_has_them_in_summary_and_page(make_study: MakeStudy) -> None:
    folder = make_study(folds=4, seeds=1, epochs=3)
    summary = summarize(StudyRecord(folder))
    arm = summary["arms"]["dropout"]
    by_run = [run["last"]["accuracy"] for run in arm["runs"]]
    assert [fold["accuracy"] for fold in arm["folds"]] == by_run
    assert arm["over_folds"]["accuracy"]["mean"] == pytest.approx(arm["metrics"]["accuracy"]["mean"])
    page = render(summary)
    text = _text(page)
    section = text[text.index("4 folds.") : text.index("Learning curves Arms")]
    assert f"{np.std(by_run, ddof=1):.3f} {np.std(by_run):.3f}" in section
    assert " ".join(f"{score:.3f}" for score in by_run) in section
    assert "initialized anew in each fold, and nothing is fitted on a validation side" in section
    assert "SD&nbsp;(n&nbsp;−&nbsp;1)" in section
    assert "validation side: images" in section
    assert 'data-spec="folds"' in page
    joined = chart_tables(summary)["folds"]
    assert [(row["arm"], row["place"], row["fold"]) for row in joined] == [
        (name, place, fold) for place, name in enumerate(summary["arms"]) for fold in range(4)
    ]


def test_one_split_has_no_section_on_folds(make_study: MakeStudy) -> None:
    page = render(summarize(StudyRecord(make_study(seeds=1, epochs=2))))
    assert "Cross-validation</h2>" not in page
    assert 'data-spec="folds"' not in page


def test_a_training_that_watches_the_validation_side_is_named(make_study: MakeStudy) -> None:
    arms = {"plain": {}, "stopped": {"training.early_stopping": {"patience": 3}}}
    folder = make_study(folds=2, seeds=1, epochs=3, arms=arms)
    text = _text(render(summarize(StudyRecord(folder))))
    assert "looked at the validation side to stop or to lower the learning rate in stopped." in text


def test_unfinished_folds_leave_a_dash(make_study: MakeStudy) -> None:
    folder = make_study(folds=3, seeds=1, epochs=3)
    shutil.rmtree(folder / "runs/dropout/fold1-seed0")
    summary = summarize(StudyRecord(folder))
    first, second, third = summary["arms"]["dropout"]["folds"]
    assert second["accuracy"] is None
    assert summary["arms"]["dropout"]["over_folds"]["accuracy"]["n"] == 2
    assert f"{first['accuracy']:.3f} – {third['accuracy']:.3f}" in _text(render(summary))


def test_dots_that_would_hide_one_another_are_lifted() -> None:
    assert dot_levels([0.5, 0.5, 0.6, 0.51, 0.5], 0.02) == [0, 1, 0, 2, 3]
    assert dot_levels([], 0.02) == []
