"""Verdicts on study folders: planted better, worse, equivalent and not shown; one run, groups, missing runs."""

import csv
import shutil
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from ruamel.yaml import YAML

from diascope.compare.verdict import Comparison, arm_intervals, compare_arms
from diascope.core.errors import RunError
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
SIZE = {"per_class": [400, 400], "seeds": 5}


def set_compare(folder: Path, **values: object) -> Path:
    tree = YAML().load(folder / "study.yaml")
    tree["compare"] = values
    with (folder / "study.yaml").open("w") as file:
        YAML().dump(tree, file)
    return folder


def plant(folder: Path, accuracy: dict[str, float], *, shared: float = 0.0, grouped: bool = True) -> StudyRecord:
    """Predictions that are right at a rate for each arm; `shared`: the share of images on which all runs agree."""
    for file in sorted(folder.glob("runs/*/*/predictions.csv")):
        arm, (fold, seed) = file.parts[-3], (int(part[4:]) for part in file.parts[-2].split("-"))
        with file.open() as stream:
            header, *rows = csv.reader(stream)
        together, alone = np.random.default_rng([fold, 99]), np.random.default_rng([fold, seed, len(arm)])
        same = together.random(len(rows))
        right = np.where(together.random(len(rows)) < shared, same, alone.random(len(rows))) < accuracy[arm]
        for row, is_right in zip(rows, right, strict=True):
            truth = row[4] == "melanoma"
            p = 0.8 if truth == is_right else 0.2
            row[5:] = [str(1 - p), str(p)]
            row[3] = row[3] if grouped else ""
        with file.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    return StudyRecord(folder)


def only(record: StudyRecord, metric: str = "accuracy") -> Comparison:
    (found,) = compare_arms(record, metric)
    return found


@pytest.mark.parametrize(("rate", "verdict", "word"), [(0.9, "better", "higher"), (0.5, "worse", "lower")])
def test_a_planted_difference_is_shown(make_study: MakeStudy, rate: float, verdict: str, word: str) -> None:
    found = only(plant(make_study(**SIZE), {"baseline": 0.7, "dropout": rate}))
    assert found.verdict == verdict
    assert found.difference == pytest.approx(rate - 0.7, abs=0.05)
    assert found.low is not None
    assert found.high is not None
    assert found.low < found.difference < found.high
    assert found.sentence.startswith(
        f"Validation accuracy at the last epoch was {word} with dropout than with baseline"
    )
    assert "5 paired seeds" in found.sentence
    assert "new seeds and new groups, for this training set" in found.sentence
    assert found.needs == {}
    assert np.mean([difference for _, _, difference in found.paired]) == pytest.approx(found.difference)


def test_a_lower_loss_is_better(make_study: MakeStudy) -> None:
    found = only(plant(make_study(**SIZE), {"baseline": 0.6, "dropout": 0.9}), "loss")
    assert found.verdict == "better"
    assert found.difference is not None
    assert found.difference < 0
    assert "lower, which is better, with dropout" in found.sentence


def test_equal_arms_are_equivalent_only_within_a_stated_margin(make_study: MakeStudy) -> None:
    folder = make_study(**SIZE)
    rates = {"baseline": 0.8, "dropout": 0.8}
    assert only(plant(folder, rates, shared=0.9)).verdict == "not shown"
    found = only(StudyRecord(set_compare(folder, margin=0.1)))
    assert found.verdict == "equivalent"
    assert "within ±0.1" in found.sentence
    tight = only(StudyRecord(set_compare(folder, margin=0.001)))
    assert tight.verdict == "not shown"


def test_a_small_but_shown_difference_is_said_to_be_smaller_than_the_margin(make_study: MakeStudy) -> None:
    record = plant(set_compare(make_study(**SIZE), margin=0.5), {"baseline": 0.6, "dropout": 0.85})
    found = only(record)
    assert found.verdict == "better"
    assert "smaller than the margin of 0.5" in found.sentence


def test_what_is_not_shown_is_not_called_equal_and_says_what_would_show_it(make_study: MakeStudy) -> None:
    record = plant(set_compare(make_study(), margin=0.15), {"baseline": 0.7, "dropout": 0.72})
    found = only(record)
    assert found.verdict == "not shown"
    assert "does not show that they are equal" in found.sentence
    assert set(found.needs) == {"seeds", "groups"}
    numbers = [n for n in found.needs.values() if n is not None]
    assert numbers
    assert "0.150 (the margin, if it is there) with 80% power" in found.sentence


def test_one_run_shows_nothing(make_study: MakeStudy) -> None:
    record = plant(
        set_compare(make_study(seeds=1, per_class=[400, 400]), margin=0.6), {"baseline": 0.5, "dropout": 0.9}
    )
    found = only(record)
    assert (found.verdict, found.p, found.p_holm, found.runs) == ("not shown", None, None, 1)
    assert found.low is not None
    assert found.low > 0
    assert "these two trained networks only" in found.sentence


def test_groups_are_the_cases_where_there_are_groups(make_study: MakeStudy) -> None:
    folder = make_study(per_class=[60, 60])
    grouped = only(plant(folder, {"baseline": 0.7, "dropout": 0.8}))
    alone = only(plant(folder, {"baseline": 0.7, "dropout": 0.8}, grouped=False))
    assert (grouped.unit, alone.unit) == ("groups", "images")
    assert grouped.cases <= alone.cases
    assert "groups" in grouped.sentence
    assert "groups" not in alone.sentence


def test_only_runs_of_the_same_fold_and_seed_are_paired(make_study: MakeStudy) -> None:
    folder = make_study(seeds=4)
    shutil.rmtree(folder / "runs/baseline/fold0-seed1")
    shutil.rmtree(folder / "runs/dropout/fold0-seed3")
    found = only(StudyRecord(folder))
    assert [seed for _, seed, _ in found.paired] == [0, 2]
    assert "2 of 4 planned paired seeds" in found.sentence


def test_nothing_finished_is_nothing_shown(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs/dropout")
    found = only(StudyRecord(folder))
    assert (found.verdict, found.difference, found.runs) == ("not shown", None, 0)
    assert found.sentence.endswith("no fold-seed pair is finished in both.")


def test_cross_validation_is_judged_over_folds(make_study: MakeStudy) -> None:
    rates = {"baseline": 0.55, "dropout": 0.95}
    record = plant(make_study(folds=5, seeds=2, per_class=[200, 200]), rates)
    found = only(record)
    assert (found.verdict, found.runs, found.method) == ("better", 10, "corrected resampled t over folds")
    assert "new training sets, seeds and groups" in found.sentence
    for fold in range(1, 5):
        shutil.rmtree(record.folder / f"runs/dropout/fold{fold}-seed0")
        shutil.rmtree(record.folder / f"runs/dropout/fold{fold}-seed1")
    alone = only(StudyRecord(record.folder))
    assert (alone.verdict, alone.low) == ("not shown", None)
    assert "only one fold" in alone.sentence


def test_folds_that_agree_by_luck_do_not_make_an_arm_surer_than_its_images_allow(make_study: MakeStudy) -> None:
    """Every fold has 60% right, all but one image: the folds hardly vary, the 300 images still do."""
    folder = make_study(folds=3, seeds=1, per_class=[153, 153])
    images = 0
    for file in sorted(folder.glob("runs/baseline/*/predictions.csv")):
        with file.open() as stream:
            header, *rows = csv.reader(stream)
        last = [row for row in rows if row[0] == "last"]
        right = round(0.6 * len(last)) + (file.parts[-2] == "fold0-seed0")
        images += len(last)
        for place, row in enumerate(last):
            p = 0.8 if (row[4] == "melanoma") == (place < right) else 0.2
            row[3], row[5:] = "", [str(1 - p), str(p)]
        with file.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    found = arm_intervals(StudyRecord(folder), "baseline", ["accuracy"])["accuracy"]
    assert found.mean is not None
    assert found.low is not None
    assert found.high is not None
    binomial = 1.96 * np.sqrt(found.mean * (1 - found.mean) / images)
    assert (found.high - found.low) / 2 == pytest.approx(binomial, rel=0.05)


def answer(folder: Path, right: Callable[[str, int, int], int]) -> None:
    """The first `right`(arm, fold, images) images of every run are answered rightly, each image by itself."""
    for file in sorted(folder.glob("runs/*/*/predictions.csv")):
        with file.open() as stream:
            header, *rows = csv.reader(stream)
        arm, fold = file.parts[-3], int(file.parts[-2][4])
        last = [row for row in rows if row[0] == "last"]
        for place, row in enumerate(last):
            p = 0.8 if (row[4] == "melanoma") == (place < right(arm, fold, len(last))) else 0.2
            row[3], row[5:] = "", [str(1 - p), str(p)]
        with file.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])


def test_folds_that_differ_by_the_same_number_of_images_are_no_proof(make_study: MakeStudy) -> None:
    """One more image right in each of three folds: equal differences are not certainty, and the images say how much."""
    folder = make_study(folds=3, seeds=1, per_class=[33, 33], test=6)
    answer(folder, lambda arm, fold, images: [17, 15, 13][fold] - (arm == "baseline"))
    found = only(StudyRecord(folder))
    assert found.difference == pytest.approx(3 / found.cases)
    assert found.low is not None
    assert found.low < 0
    assert found.verdict == "not shown"


def test_folds_that_agree_exactly_keep_the_interval_that_their_images_give(make_study: MakeStudy) -> None:
    """+0.20 in each of three folds is as good a proof as 0.21, 0.20, 0.20."""
    folder = make_study(folds=3, seeds=1, per_class=[153, 153])
    answer(folder, lambda arm, fold, images: round((0.7 if arm == "baseline" else 0.9) * images))
    found = only(StudyRecord(folder))
    assert found.difference == pytest.approx(0.2, abs=0.005)
    assert len({round(difference, 9) for _, _, difference in found.paired}) == 1
    assert (found.verdict, found.method) == ("better", "images within folds, as the folds agree exactly")
    assert found.low is not None
    assert found.high is not None
    share = found.difference
    assert share is not None
    of_images = 1.97 * np.sqrt(share * (1 - share) / found.cases)  # the arms differ on that share of the images
    assert (found.high - found.low) / 2 == pytest.approx(of_images, rel=0.05)


@pytest.mark.parametrize("folds", [1, 3])
def test_a_metric_that_is_undefined_in_all_runs_is_not_called_unfinished(make_study: MakeStudy, folds: int) -> None:
    folder = make_study(**({"folds": folds} if folds > 1 else {}))
    for file in sorted(folder.glob("runs/dropout/*/predictions.csv")):  # every image is called a nevus
        with file.open() as stream:
            header, *rows = csv.reader(stream)
        for row in rows:
            row[5:] = ["0.9", "0.1"]
        with file.open("w", newline="") as stream:
            csv.writer(stream, lineterminator="\n").writerows([header, *rows])
    found = only(StudyRecord(folder), "ppv")
    assert (found.verdict, found.difference, found.p) == ("not shown", None, None)
    assert found.sentence.startswith("Cannot compare dropout with baseline in validation positive predictive value")
    assert "it is undefined in all" in found.sentence
    assert "runs of dropout (it needs images predicted positive)" in found.sentence
    assert "finished" not in found.sentence


def test_weights_chosen_on_the_judged_images_get_no_p_against_others(make_study: MakeStudy) -> None:
    chosen = {"training.early_stopping": {"patience": 2, "restore_best": True}}
    watched = {"training.early_stopping": {"patience": 2}}
    rates = {"baseline": 0.6, "dropout": 0.95}
    unequal = plant(make_study(arms={"baseline": watched, "dropout": chosen}, **SIZE), rates)
    found = only(unequal)
    assert (found.verdict, found.p, found.low) == ("not shown", None, None)
    assert "the weights of dropout were chosen on these validation images" in found.sentence
    assert "those of baseline were not" in found.sentence


def test_weights_chosen_in_both_arms_are_compared(make_study: MakeStudy) -> None:
    chosen = {"training.early_stopping": {"patience": 2, "restore_best": True}}
    arms = {"baseline": chosen, "dropout": chosen | {"model.dropout": 0.4}}
    found = only(plant(make_study(arms=arms, **SIZE), {"baseline": 0.6, "dropout": 0.95}))
    assert found.verdict == "better"


def test_named_pairs_are_compared_and_adjusted_together(make_study: MakeStudy) -> None:
    arms: dict[str, dict[str, object]] = {"a": {}, "b": {"model.dropout": 0.4}, "c": {"model.dropout": 0.3}}
    folder = make_study(arms=arms)
    assert [(found.arm, found.against) for found in compare_arms(StudyRecord(folder), "accuracy")] == [
        ("b", "a"),
        ("c", "a"),
    ]
    set_compare(folder, pairs=[["c", "b"], ["a", "b"]])
    found = compare_arms(StudyRecord(folder), "accuracy")
    assert [(each.arm, each.against) for each in found] == [("c", "b"), ("a", "b")]
    p, p_holm = min((each.p, each.p_holm) for each in found if each.p is not None and each.p_holm is not None)
    assert p_holm == pytest.approx(min(1.0, 2 * p))
    assert all("after Holm over 2 pairs" in each.sentence for each in found)


def test_other_images_than_the_fold_s_are_refused(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study())
    file = record.runs[0].folder / "predictions.csv"
    file.write_text(file.read_text().replace("nevus/0001.png", "nevus/9999.png"))
    with pytest.raises(RunError, match=r"not the .* of folds.json"):
        compare_arms(record, "accuracy")


@pytest.mark.parametrize("options", [{}, {"folds": 3}, {"seeds": 1}])
def test_an_arm_s_interval_holds_its_mean_and_stays_inside(make_study: MakeStudy, options: dict[str, int]) -> None:
    found = arm_intervals(StudyRecord(make_study(**options)), "dropout", ["accuracy", "auroc", "loss"])
    for metric, interval in found.items():
        assert interval.mean is not None
        assert interval.low is not None
        assert interval.high is not None
        assert 0 < interval.low < interval.mean < interval.high < (np.inf if metric == "loss" else 1)


def test_an_arm_that_is_always_right_has_an_exact_bound(make_study: MakeStudy) -> None:
    found = arm_intervals(plant(make_study(), {"baseline": 1.1, "dropout": 0.5}), "baseline", ["accuracy"])["accuracy"]
    assert (found.mean, found.high) == (1.0, 1.0)
    assert found.low == pytest.approx(0.025 ** (1 / found.cases))


def test_an_interval_ends_where_no_difference_can_lie(make_study: MakeStudy) -> None:
    found = only(plant(make_study(folds=3, seeds=1), {"baseline": 0.9, "dropout": 0.2}, shared=0.0))
    assert found.low is not None
    assert found.high is not None
    assert -1 <= found.low < found.high <= 1
