"""Several looks at the verdicts of a study: what each may say, what is logged, and seeds that are added in looks."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from compare.test_verdict import plant
from ruamel.yaml import YAML

from diascope.compare.looks import KEPT, log_look, looking_at
from diascope.compare.verdict import Comparison, compare_arms
from diascope.runs.look_log import read_look_log
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
EQUAL = {"baseline": 0.7, "dropout": 0.7}


def change(folder: Path, **sections: object) -> StudyRecord:
    tree = YAML().load(folder / "study.yaml")
    tree.update(sections)
    with (folder / "study.yaml").open("w") as file:
        YAML().dump(tree, file)
    return StudyRecord(folder)


def look(folder: Path, metric: str = "accuracy", **sections: object) -> list[Comparison]:
    """See the verdicts as a report does: compute, then log."""
    record = change(folder, **sections)
    found = compare_arms(record, metric)
    log_look(record, metric, [(each.p, each.verdict) for each in found])
    assert compare_arms(StudyRecord(folder), metric) == found  # what was logged is seen again, and not a new look
    return found


def test_each_look_at_more_seeds_takes_a_smaller_p_than_the_first(make_study: MakeStudy) -> None:
    folder = make_study(seeds=8)
    plant(folder, EQUAL)
    found = [look(folder, seeds=seeds)[0] for seeds in (3, 5, 8)]
    assert [each.look for each in found] == [1, 2, 3]
    assert [each.runs for each in found] == [3, 5, 8]
    assert found[0].boundary == pytest.approx(KEPT * 0.05)
    assert 0.0025 < found[1].boundary < 0.02  # half of what was left, and more since the looks share their runs
    assert found[2].boundary < found[1].boundary
    assert [each.spent for each in read_look_log(folder)] == pytest.approx([0.9, 0.95, 0.975])
    assert "at look" not in found[0].sentence
    assert "at look 3, boundary p\u00a0≤\u00a0.0" in found[2].sentence


def test_p_just_below_5_percent_is_not_enough_and_the_sentence_says_so(make_study: MakeStudy) -> None:
    folder = make_study(seeds=5, per_class=[200, 200])
    between: list[Comparison] = []
    for rate in range(700, 800, 2):
        (found,) = compare_arms(plant(folder, {"baseline": 0.7, "dropout": rate / 1000}), "accuracy")
        assert (found.verdict == "better") == (found.p_holm is not None and found.p_holm <= KEPT * 0.05)
        between += [found] if KEPT * 0.05 < (found.p_holm or 1) <= 0.05 else []
    assert between
    assert "at look 1, boundary p\u00a0≤\u00a0.045" in between[0].sentence


def test_a_report_of_an_unfinished_study_spends_little(make_study: MakeStudy) -> None:
    folder = make_study(seeds=5)
    plant(folder, EQUAL)
    hidden = [folder / f"runs/{arm}/fold0-seed{seed}" for arm in EQUAL for seed in (3, 4)]
    for run in hidden:
        run.rename(folder / f"{run.parent.name}-{run.name}")
    (first,) = look(folder)
    for run in hidden:
        (folder / f"{run.parent.name}-{run.name}").rename(run)
    (whole,) = look(folder)
    assert (first.runs, whole.runs) == (3, 5)
    assert first.boundary < whole.boundary < KEPT * 0.05
    assert [each.spent for each in read_look_log(folder)][1] == KEPT


def test_another_metric_another_margin_or_other_pairs_are_looks_of_their_own(make_study: MakeStudy) -> None:
    folder = make_study(arms={"a": {}, "bb": {"model.dropout": 0.4}, "ccc": {"model.dropout": 0.3}})
    plant(folder, {"a": 0.7, "bb": 0.7, "ccc": 0.7})
    first = look(folder)
    other = look(folder, "auroc")
    assert [found.look for found in other] == [2, 2]
    assert other[0].boundary == pytest.approx(0.05 * 0.05 / (1 - KEPT * 0.05), rel=0.03)  # unrelated to the first
    assert [found.look for found in look(folder, compare={"margin": 0.1})] == [3, 3]
    assert [found.look for found in look(folder, compare={"pairs": [["ccc", "bb"]]})] == [4]
    again = look(folder, compare={})
    assert again == first


def test_where_nothing_could_be_tested_there_was_no_look(make_study: MakeStudy) -> None:
    folder = make_study(seeds=1)
    plant(folder, EQUAL)
    assert look(folder)[0].p is None
    assert not (folder / "look_log.json").exists()


def test_a_folder_without_a_log_begins_with_the_first_look(make_study: MakeStudy) -> None:
    record = StudyRecord(make_study())
    assert record.looks == ()
    assert looking_at(record, "accuracy", 1).number == 1


def test_equivalence_within_a_margin_that_was_changed_takes_a_smaller_p(make_study: MakeStudy) -> None:
    folder = make_study(seeds=5)
    plant(folder, EQUAL)
    look(folder, compare={"margin": 0.1})
    found = looking_at(change(folder, compare={"margin": 0.2}), "accuracy", 1)
    assert found.level_equivalent == pytest.approx(0.05 * 0.05, rel=0.1)
    assert found.level > 2 * found.level_equivalent  # the same runs: the difference is the one that was seen


@pytest.mark.parametrize("folds", [1, 3])
def test_verdicts_are_of_complete_looks_where_seeds_are_added(make_study: MakeStudy, folds: int) -> None:
    seeds = {"from": 3, "until": "decided", "at_most": 8}
    folder = make_study(seeds=4, folds=folds, per_class=[150, 150], more={"seeds": seeds})
    plant(folder, EQUAL)
    (found,) = look(folder)
    assert found.runs == 3 * folds
    assert "at look 1 of 3" in found.sentence
    (seen,) = read_look_log(folder)
    assert (seen.seeds, seen.decided, seen.settings.most_runs) == (3, False, 8 * folds)
    record = StudyRecord(folder)
    assert record.seeds == (0, 1, 2, 3, 4)
    assert {run.seed for run in record.runs if run.state == "missing"} == {4}
    (still,) = look(folder)  # one seed of the second look is not a look
    assert (still.look, still.runs) == (1, 3 * folds)


def test_before_the_first_look_is_complete_nothing_is_seen(make_study: MakeStudy) -> None:
    folder = make_study(seeds=3, more={"seeds": {"from": 4, "until": "decided", "at_most": 8}})
    plant(folder, {"baseline": 0.6, "dropout": 0.9})
    (found,) = look(folder)
    assert (found.verdict, found.difference, found.runs) == ("not shown", None, 0)
    assert "the first look, at 4 seeds, is not complete" in found.sentence
    assert not (folder / "look_log.json").exists()


def test_the_log_can_be_read_by_people(make_study: MakeStudy) -> None:
    folder = make_study()
    plant(folder, EQUAL)
    look(folder)
    (entry,) = json.loads((folder / "look_log.json").read_text())
    assert entry["settings"]["pairs"] == [["dropout", "baseline"]]
    assert sorted(entry["runs"]["dropout"]) == ["fold0-seed0", "fold0-seed1", "fold0-seed2"]
