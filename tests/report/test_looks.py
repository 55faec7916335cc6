"""What a report says of several looks at the verdicts: their number, changes between them, and the plan."""

import json
from collections.abc import Callable
from pathlib import Path

import pytest
from compare.test_verdict import plant
from ruamel.yaml import YAML

from diascope.compare.looks import log_look
from diascope.compare.verdict import compare_arms
from diascope.report.page import write_report
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]
EQUAL = {"baseline": 0.7, "dropout": 0.7}


def change(folder: Path, **sections: object) -> None:
    tree = YAML().load(folder / "study.yaml")
    tree.update(sections)
    with (folder / "study.yaml").open("w") as file:
        YAML().dump(tree, file)


def test_a_report_logs_its_look_and_is_the_same_when_it_is_written_again(make_study: MakeStudy) -> None:
    folder = make_study(seeds=5)
    plant(folder, EQUAL)
    change(folder, seeds=3)
    write_report(folder)
    first = json.loads((folder / "summary.json").read_text())
    assert json.loads(json.dumps(summarize(StudyRecord(folder)))) == first
    looks = first["looks"]
    assert (looks["number"], looks["sentence"], looks["warnings"], len(looks["log"])) == (1, "", [], 1)

    change(folder, seeds=5, compare={"metric": "auroc"})
    page = write_report(folder).read_text()
    summary = json.loads((folder / "summary.json").read_text())
    assert summary["looks"]["number"] == 2
    (warning,) = summary["looks"]["warnings"]
    assert warning in summary["warnings"]
    assert "look 2 of 2): compare.metric was accuracy and is AUROC." in warning
    assert "This is look 2 at the verdicts of this study" in page
    assert len(json.loads((folder / "look_log.json").read_text())) == 2

    change(folder, seeds=3, compare={})  # what was seen in between is not forgotten
    (warning,) = summarize(StudyRecord(folder))["looks"]["warnings"]
    assert warning.startswith(
        "Verdicts under other settings were seen after those of this look (look 2: compare.metric"
    )


def test_a_look_that_was_removed_from_the_log_is_missed(make_study: MakeStudy) -> None:
    folder = make_study(seeds=5)
    plant(folder, EQUAL)
    for seeds in (3, 4, 5):
        change(folder, seeds=seeds)
        write_report(folder)
    log = json.loads((folder / "look_log.json").read_text())
    assert len(log) == 3
    assert summarize(StudyRecord(folder))["looks"]["warnings"] == []
    (folder / "look_log.json").write_text(json.dumps(log[1:]))
    (warning,) = summarize(StudyRecord(folder))["looks"]["warnings"]
    assert warning.startswith("look_log.json was changed by hand: some of the looks that it held are gone")


def test_the_sentence_on_a_plan_says_how_far_it_is(make_study: MakeStudy) -> None:
    plan = {"from": 3, "until": "decided", "at_most": 5}
    folder = make_study(seeds=3, per_class=[200, 200], more={"seeds": plan})
    plant(folder, {"baseline": 0.7, "dropout": 0.95})
    summary = summarize(StudyRecord(folder))
    assert summary["looks"]["sentence"].startswith("Decided after 3 of at most 5 seeds, look 1 of 2. Seeds are added")
    assert summary["looks"]["planned"] == [3, 5]
    assert summary["seeds"] == [0, 1, 2]
    assert not summary["warnings"]
    assert "at look 1 of 2, boundary p" in summary["answer"]
    plant(folder, EQUAL)
    found = summarize(StudyRecord(folder))["looks"]["sentence"]
    assert found.startswith("Not decided after 3 of at most 5 seeds, look 1 of 2; the next look has 5 seeds.")


def test_a_plan_in_which_no_pair_can_be_tested_says_so(make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> None:
    """A study file that asks for it is refused; here it stands for a metric that is undefined in every run."""
    monkeypatch.setattr("diascope.studyfile._check_decision", lambda *parts: None)
    plan = {"from": 3, "until": "decided", "at_most": 5}
    chosen = {"training.early_stopping": {"patience": 5, "restore_best": True}}
    folder = make_study(seeds=3, arms={"baseline": {}, "dropout": chosen}, more={"seeds": plan})
    plant(folder, EQUAL)
    looks = summarize(StudyRecord(folder))["looks"]
    assert looks["number"] is None
    assert looks["sentence"].startswith("No pair could be tested with 3 of at most 5 seeds")


def test_the_limit_of_a_plan_is_said(make_study: MakeStudy) -> None:
    folder = make_study(seeds=5, more={"seeds": {"from": 3, "until": "decided", "at_most": 5}})
    plant(folder, EQUAL)
    moved = [(folder / f"runs/{arm}/fold0-seed{seed}", folder / f"{arm}-{seed}") for arm in EQUAL for seed in (3, 4)]
    for there, here in moved:
        there.rename(here)
    first = compare_arms(StudyRecord(folder), "accuracy")
    log_look(StudyRecord(folder), "accuracy", [(found.p, found.verdict) for found in first])
    for there, here in moved:
        here.rename(there)
    looks = summarize(StudyRecord(folder))["looks"]
    assert looks["sentence"].startswith("Not decided with 5 seeds, the limit (look 2 of 2).")
    assert looks["boundary"] < 0.045
