"""Readings of arms and pairs: censoring, medians, pairing by fold and seed, intervals over seeds and over folds."""

import json

import numpy as np
import pytest
from planted_curves import Curve, falling, history, plant, turning
from scipy import stats
from study_folders import MakeStudy

from diascope.compare.curves import Reading, read_curves, study_readings, summarize_readings
from diascope.compare.pairs import validation_share
from diascope.runs.record import StudyRecord

EPOCHS = 50
LEVEL = falling(EPOCHS, 4)
LINE = np.linspace(0.9, 0.2, EPOCHS)


def reached(epoch: int | None, epochs: int = EPOCHS) -> Reading:
    """A run whose training accuracy is at least 0.9 from `epoch` on."""
    accuracy = np.full(epochs, 0.5)
    if epoch is not None:
        accuracy[epoch - 1 :] = 0.9
    return read_curves(history(falling(epochs, 4), falling(epochs, 4), training_accuracy=accuracy), 0.9)


def rising(epoch: int) -> Curve:
    """Training accuracy that ends at 0.9 and is there from `epoch` on."""
    return np.where(np.arange(1, EPOCHS + 1) >= epoch, 0.9, 0.5)


def test_a_milestone_that_all_runs_reached_has_mean_sd_and_range() -> None:
    found = summarize_readings([reached(epoch) for epoch in (4, 8, 9)])["epochs_to_target"]
    assert (found["mean"], found["sd"]) == (7, pytest.approx(np.std([4, 8, 9], ddof=1)))
    assert [found[name] for name in ("n", "censored", "median", "min", "max")] == [3, 0, 8, 4, 9]


@pytest.mark.parametrize(
    ("epochs", "median"),
    [
        ((4, None, 9), 9),  # 4, 9, later
        ((4, 6, None), 6),
        ((4, 6, None, 10), 8),  # 4, 6, 10, later
        ((4, None), None),  # half
        ((4, None, None), None),
        ((None, None), None),
    ],
)
def test_censored_runs_take_away_the_mean_and_come_last_in_the_median(
    epochs: tuple[int | None, ...], median: float | None
) -> None:
    found = summarize_readings([reached(epoch) for epoch in epochs])["epochs_to_target"]
    assert (found["mean"], found["sd"], found["median"]) == (None, None, median)
    assert (found["n"], found["censored"]) == (len(epochs), epochs.count(None))


def test_a_run_that_ended_before_the_median_takes_it_away() -> None:
    found = summarize_readings([reached(30), reached(40), reached(None, epochs=25)])["epochs_to_target"]
    assert found["median"] is None


def test_arms_are_paired_by_seed_and_their_interval_is_that_of_a_paired_t(make_study: MakeStudy) -> None:
    folder, ours, theirs = make_study(seeds=4), (4, 7, 9, 30), (10, 11, 20, 33)
    plant(folder, "baseline", *(history(LEVEL, LEVEL, training_accuracy=rising(epoch)) for epoch in theirs))
    plant(folder, "dropout", *(history(LEVEL, LEVEL, training_accuracy=rising(epoch)) for epoch in ours))
    readings = study_readings(StudyRecord(folder))
    assert json.loads(json.dumps(readings)) == readings
    (pair,) = readings["pairs"]
    found, oracle = pair["differences"]["epochs_to_target"], stats.ttest_rel(ours, theirs)
    interval = oracle.confidence_interval()
    assert (pair["arm"], pair["against"], pair["target"]) == ("dropout", "baseline", pytest.approx(0.9))
    assert found["mean"] == pytest.approx(np.mean(np.subtract(ours, theirs)))
    assert (found["low"], found["high"]) == (pytest.approx(interval.low), pytest.approx(interval.high))
    assert [found[name] for name in ("n", "lower", "higher", "equal", "undecided")] == [4, 4, 0, 0, 0]


def test_a_run_without_its_partner_is_left_out_of_the_pairs(make_study: MakeStudy) -> None:
    folder = make_study(seeds=3)
    (folder / "runs" / "dropout" / "fold0-seed1" / "done.json").unlink()
    readings = study_readings(StudyRecord(folder))
    assert [len(arm["runs"]) for arm in readings["arms"]] == [3, 2]
    gap = readings["pairs"][0]["differences"]["gap_loss"]
    by_seed = [{run["seed"]: run["gap_loss"] for run in arm["runs"]} for arm in readings["arms"]]
    assert gap["mean"] == pytest.approx(np.mean([by_seed[1][seed] - by_seed[0][seed] for seed in (0, 2)]))
    assert (gap["n"], gap["low"]) == (2, None)  # too few for an interval


def test_one_censored_pair_leaves_counts_and_no_mean(make_study: MakeStudy) -> None:
    folder = make_study(seeds=3)
    plant(folder, "baseline", *(history(LEVEL, LEVEL) for _ in range(3)))
    plant(folder, "dropout", history(LEVEL, LEVEL), history(LINE, LEVEL), history(LINE, LEVEL))
    pair = study_readings(StudyRecord(folder))["pairs"][0]
    found = pair["differences"]["convergence_validation"]
    assert (found["mean"], found["low"], found["n"]) == (None, None, 3)
    assert [found[name] for name in ("lower", "higher", "equal", "undecided")] == [0, 2, 1, 0]


def test_two_censored_runs_leave_open_which_came_first(make_study: MakeStudy) -> None:
    folder = make_study(seeds=1)
    for arm in ("baseline", "dropout"):
        plant(folder, arm, history(LINE, LEVEL))
    found = study_readings(StudyRecord(folder))["pairs"][0]["differences"]["convergence_validation"]
    assert (found["n"], found["undecided"]) == (1, 1)


@pytest.mark.parametrize("seeds", [1, 2])
def test_over_folds_the_interval_is_the_corrected_resampled_t(make_study: MakeStudy, seeds: int) -> None:
    folder, folds = make_study(seeds=seeds, folds=4), 4
    record = StudyRecord(folder)
    onsets = np.array([[20, 22], [25, 21], [30, 28], [24, 27]])[:, :seeds]
    plant(folder, "baseline", *(history(turning(EPOCHS, 18), LINE) for _ in range(folds * seeds)))
    plant(folder, "dropout", *(history(turning(EPOCHS, int(onset)), LINE) for onset in onsets.ravel()))
    readings = study_readings(record)
    found = readings["pairs"][0]["differences"]["overfitting"]
    runs = [{(run["fold"], run["seed"]): run["overfitting"] for run in arm["runs"]} for arm in readings["arms"]]
    means = [np.mean([runs[1][fold, seed] - runs[0][fold, seed] for seed in range(seeds)]) for fold in range(folds)]
    share = validation_share(record, list(range(folds)))
    reach = stats.t.ppf(0.975, folds - 1) * np.sqrt((1 / folds + share) * np.var(means, ddof=1))
    assert found["n"] == folds * seeds
    assert found["low"] == pytest.approx(np.mean(means) - reach)
    assert found["high"] == pytest.approx(np.mean(means) + reach)


def test_slopes_count_the_runs_that_still_improve() -> None:
    found = summarize_readings([read_curves(history(loss, LEVEL)) for loss in (LINE, LINE, LEVEL)])
    assert (found["slope_validation_loss"]["improving"], found["slope_validation_loss"]["n"]) == (2, 3)
    assert found["convergence_validation"]["censored"] == 2


def test_a_study_without_finished_runs_has_empty_readings(make_study: MakeStudy) -> None:
    folder = make_study(seeds=1)
    for done in folder.glob("runs/*/*/done.json"):
        done.unlink()
    readings = study_readings(StudyRecord(folder))
    assert [arm["runs"] for arm in readings["arms"]] == [[], []]
    assert readings["pairs"][0]["target"] is None
