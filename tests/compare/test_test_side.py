"""Analyses on the test side: which cases and runs are counted, and the variance of folds that judge the same images."""

import json
from collections.abc import Callable
from itertools import product
from pathlib import Path
from types import SimpleNamespace

import numpy as np
import pytest
from scipy import stats

from diascope.compare.arms import analyse, arm_intervals
from diascope.compare.jackknife import PseudoValues
from diascope.compare.pairs import ScoredRuns
from diascope.compare.scoring import Place
from diascope.compare.two_way import two_way
from diascope.compare.verdict import compare_arms
from diascope.runs.judged_rows import write_test_rows
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
TEST = Place("test", "best")
FOLDS, SEEDS, IMAGES = 4, 2, 40


def judged(folder: Path, right: dict[str, np.ndarray]) -> StudyRecord:
    """Give every run predictions on the test side that are right where `right[arm][fold, seed, image]` says so."""
    record = StudyRecord(folder)
    index = record.index.set_index("path")
    for run in record.runs:
        labels = [index["label"][path] for path in record.folds["test"]]
        as_labelled = right[run.arm][run.fold, run.seed]
        p = [0.9 if (label == "melanoma") == good else 0.1 for label, good in zip(labels, as_labelled, strict=True)]
        rows = [[path, "", label, 1 - q, q] for path, label, q in zip(record.folds["test"], labels, p, strict=True)]
        write_test_rows(run.folder / "predictions.csv", "best", ("nevus", "melanoma"), rows)
    return StudyRecord(folder)


def drawn(seed: int, mean: float) -> np.ndarray:
    """Right or wrong (F, S, N): some images are harder than others, some folds better."""
    random = np.random.default_rng(seed)
    hard = random.normal(0, 0.15, IMAGES)
    lucky = random.normal(0, 0.05, (FOLDS, 1, 1))
    return random.random((FOLDS, SEEDS, IMAGES)) < mean + lucky + hard


@pytest.fixture
def folded(make_study: MakeStudy) -> tuple[StudyRecord, dict[str, np.ndarray]]:
    """Four folds of two seeds, all judged on the same 40 images."""
    right = {"baseline": drawn(1, 0.6), "dropout": drawn(2, 0.75)}
    folder = make_study(folds=FOLDS, seeds=SEEDS, test=IMAGES, per_class=[100, 100], epochs=3)
    return judged(folder, right), right


def test_images_of_the_test_side_count_once_whatever_the_folds(folded: tuple[StudyRecord, dict]) -> None:
    record, right = folded
    found = arm_intervals(record, "dropout", ["accuracy"], TEST)["accuracy"]
    assert found.mean == pytest.approx(right["dropout"].mean())
    assert (found.runs, found.cases) == (FOLDS * SEEDS, IMAGES)
    assert found.method == "variance components: folds, seeds or runs (the widest) and images"
    (pair,) = compare_arms(record, "accuracy", TEST)
    assert (pair.runs, pair.cases) == (FOLDS * SEEDS, IMAGES)
    assert f"{FOLDS * SEEDS} paired runs in {FOLDS} folds, {IMAGES} images" in pair.sentence
    assert "networks of other folds and seeds of these training images" in pair.sentence


def reach_of(table: np.ndarray) -> float:
    """Half the interval of the mean of (rows, images): mean squares by hand, and Howe's critical value."""
    f, n = table.shape
    mean = table.mean()
    of_row = n * ((table.mean(axis=1) - mean) ** 2).sum() / (f - 1)
    of_image = f * ((table.mean(axis=0) - mean) ** 2).sum() / (n - 1)
    rest = table - table.mean(axis=1)[:, None] - table.mean(axis=0)[None] + mean
    of_rest = (rest**2).sum() / ((f - 1) * (n - 1))
    scaled = max(of_row + of_image - of_rest, of_row, of_image)
    share = of_row / scaled
    critical = np.sqrt(share * stats.t.ppf(0.975, f - 1) ** 2 + (1 - share) * stats.t.ppf(0.975, n - 1) ** 2)
    return float(critical * np.sqrt(scaled / (f * n)))


def test_folds_seeds_or_runs_are_the_rows_whichever_makes_the_interval_widest(
    folded: tuple[StudyRecord, dict[str, np.ndarray]],
) -> None:
    record, right = folded
    table = right["dropout"].astype(float) - right["baseline"]  # (F, S, N)
    reach = max(map(reach_of, (table.mean(axis=1), table.mean(axis=0), table.reshape(-1, IMAGES))))
    (pair,) = compare_arms(record, "accuracy", TEST)
    assert pair.difference == pytest.approx(table.mean())
    assert pair.low is not None
    assert table.mean() - pair.low == pytest.approx(reach, rel=3e-3)  # the images' df are those of their classes


def test_seeds_that_are_alike_in_every_fold_are_seen(make_study: MakeStudy) -> None:
    """One seed is always right, the other never: folds, which average over both, would not vary at all."""
    collapsed = np.zeros((FOLDS, SEEDS, IMAGES), dtype=bool)
    collapsed[:, 0] = True
    right = {"baseline": collapsed, "dropout": collapsed}
    record = judged(make_study(folds=FOLDS, seeds=SEEDS, test=IMAGES, per_class=[100, 100], epochs=3), right)
    found = arm_intervals(record, "dropout", ["accuracy"], TEST)["accuracy"]
    assert found.mean == 0.5
    assert found.low is not None
    assert found.low < 0.01


def test_what_would_show_it_are_images_alone(make_study: MakeStudy) -> None:
    """More folds would be other training sides, so nothing is promised of them."""
    right = {"baseline": drawn(5, 0.6), "dropout": drawn(6, 0.63)}
    record = judged(make_study(folds=FOLDS, seeds=SEEDS, test=IMAGES, per_class=[100, 100], epochs=3), right)
    (pair,) = compare_arms(record, "accuracy", TEST)
    assert pair.verdict == "not shown"
    assert pair.needs["seeds"] is None
    assert "seeds instead of" not in pair.sentence


def test_one_training_side_is_judged_over_seeds_and_images(make_study: MakeStudy) -> None:
    right = {name: drawn(seed, 0.7)[:1] for name, seed in (("baseline", 3), ("dropout", 4))}
    record = judged(make_study(seeds=SEEDS, test=IMAGES, epochs=3), right)
    (pair,) = compare_arms(record, "accuracy", TEST)
    table = right["dropout"][0].astype(float) - right["baseline"][0]
    low, high = two_way(table).interval()
    assert (pair.low, pair.high) == (pytest.approx(low, rel=3e-3), pytest.approx(high, rel=3e-3))
    assert pair.method == "two-way random effects, over seeds and images"
    assert "for this training set" in pair.sentence


def test_weights_chosen_on_validation_images_in_one_arm_are_judged_by_others(make_study: MakeStudy) -> None:
    """On the validation side such a pair gets no p; the test side chose nothing."""
    right = {name: drawn(seed, rate)[:1] for name, seed, rate in (("baseline", 3, 0.5), ("dropout", 4, 0.95))}
    chosen: dict[str, dict[str, object]] = {
        "baseline": {},
        "dropout": {"training.early_stopping": {"patience": 1, "restore_best": True}},
    }
    record = judged(make_study(seeds=SEEDS, test=IMAGES, epochs=3, arms=chosen), right)
    assert [pair.p for pair in compare_arms(record, "accuracy")] == [None]
    (pair,) = compare_arms(record, "accuracy", TEST)
    assert pair.p is not None
    assert pair.low is not None


def test_all_right_counts_an_image_once(make_study: MakeStudy) -> None:
    right = {name: np.ones((FOLDS, SEEDS, IMAGES), dtype=bool) for name in ("baseline", "dropout")}
    record = judged(make_study(folds=FOLDS, seeds=SEEDS, test=IMAGES, per_class=[100, 100], epochs=3), right)
    found = arm_intervals(record, "dropout", ["accuracy"], TEST)["accuracy"]
    exact = stats.binomtest(IMAGES, IMAGES).proportion_ci(method="exact")
    assert (found.low, found.high) == (pytest.approx(exact.low), 1.0)


def test_only_runs_that_were_judged_are_counted(folded: tuple[StudyRecord, dict]) -> None:
    record, _ = folded
    run = record.runs_of("dropout")[0]
    file = run.folder / "predictions.csv"
    file.write_text("".join(line for line in file.read_text().splitlines(keepends=True) if ",test," not in line))
    found = arm_intervals(StudyRecord(record.folder), "dropout", ["accuracy"], TEST)["accuracy"]
    assert found.runs == FOLDS * SEEDS - 1
    assert arm_intervals(record, "dropout", ["accuracy"], Place("test", "last"))["accuracy"].runs == 0


@pytest.mark.parametrize(("of_fold", "of_seed"), [(0.06, 0.0), (0.0, 0.06), (0.05, 0.05)])
def test_no_difference_is_found_no_more_often_than_is_said(of_fold: float, of_seed: float) -> None:
    """Networks of one fold, or of one seed, are alike: single runs as the rows would find differences far too often."""
    random, studies = np.random.default_rng(0), 200
    record, size = SimpleNamespace(folds={"kind": "kfold"}), scored_on(60)
    errors = {"analysis": 0, "runs": 0}
    for _ in range(studies):
        table = random.normal(0, of_fold, (5, 1, 1)) + random.normal(0, of_seed, (1, 3, 1))
        table = table + random.normal(0, 0.1, 60) + random.normal(0, 0.3, (5, 3, 60))
        runs = {key: PseudoValues(table[key].mean(), table[key]) for key in product(range(5), range(3))}
        estimate = analyse(record, runs, size).estimate  # type: ignore[arg-type]
        assert estimate is not None
        errors["analysis"] += estimate.p_value() < 0.05
        errors["runs"] += two_way(table.reshape(15, 60)).p_value() < 0.05
    assert errors["analysis"] <= stats.binom.ppf(0.999, studies, 0.05)
    assert errors["runs"] > 0.1 * studies


def scored_on(cases: int) -> ScoredRuns:
    counts = dict.fromkeys(range(5), cases)
    return ScoredRuns({}, (), counts, counts, counts, counts, "images", shared=True)


def test_predictions_of_other_test_images_are_refused(folded: tuple[StudyRecord, dict]) -> None:
    record, _ = folded
    tree = json.loads((record.folder / "folds.json").read_text())
    (record.folder / "folds.json").write_text(json.dumps({**tree, "test": tree["test"][1:]}))
    with pytest.raises(Exception, match=r"40 test images are not the 39 of folds\.json"):
        compare_arms(StudyRecord(record.folder), "accuracy", TEST)
