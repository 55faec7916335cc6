"""The answer in words: one pair, several, none, one run, an unfinished study; and its marks on the page."""

import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from diascope.report.answer import MARKS, NOTHING, verdicts
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord

MakeStudy = Callable[..., Path]


def _summary(folder: Path) -> dict[str, Any]:
    return summarize(StudyRecord(folder))


def _found(verdict: str, **changed: Any) -> dict[str, Any]:
    numbers = {"difference": 0.03, "low": 0.01, "high": 0.05, "p_holm": 0.012, "runs": 5}
    return {"arm": "dropout", "against": "plain", "verdict": verdict, **numbers, **changed}


def _verdicts(*found: dict[str, Any]) -> list[dict[str, str]]:
    primary = {"metric": "accuracy", "margin": 0.02}
    return verdicts({"comparisons": list(found), "primary": primary, "probes": [], "arms": {}})


def test_one_pair_is_answered_with_its_sentence(make_study: MakeStudy) -> None:
    summary = _summary(make_study())
    assert summary["answer"] == summary["comparisons"][0]["sentence"]
    assert "not judged yet" not in summary["answer"]
    assert summary["warnings"] == []


def test_one_arm_is_answered_with_its_mean_and_interval(make_study: MakeStudy) -> None:
    summary = _summary(make_study(arms={"alone": {}}))
    found = summary["arms"]["alone"]["metrics"]["accuracy"]
    limits = f"(95% CI {found['low']:.3f} to {found['high']:.3f}; 3 runs, 19 images)."
    assert summary["comparisons"] == []
    assert summary["answer"] == f"alone: mean validation accuracy at the last epoch {found['mean']:.3f} {limits}"


def test_without_pairs_every_arm_has_a_line(make_study: MakeStudy) -> None:
    lines = _summary(make_study(more={"compare": {"pairs": []}}))["answer"].splitlines()
    assert [line.split(":")[0] for line in lines] == ["baseline", "dropout"]


def test_five_arms_are_answered_in_a_line_a_pair(make_study: MakeStudy) -> None:
    arms = {f"arm-{number}": {"model.dropout": number / 20} for number in range(5)}
    summary = _summary(make_study(arms=arms, seeds=2, epochs=3))
    head, *lines = summary["answer"].splitlines()
    assert head.startswith("Validation accuracy at the last epoch, differences with 95% intervals, p after Holm over 4")
    assert len(lines) == 4
    for line, found in zip(lines, summary["comparisons"], strict=True):
        assert line.startswith(MARKS[found["verdict"]])
        assert found["arm"] in line
        assert f"{found['difference']:+.3f}".replace("-", "−") in line


def test_one_run_is_never_better(make_study: MakeStudy) -> None:
    summary = _summary(make_study(seeds=1))
    assert summary["arms"]["baseline"]["metrics"]["accuracy"]["sd"] is None
    assert "One run of each arm cannot show" in summary["answer"]
    assert any(sentence.startswith("One run only: baseline, dropout") for sentence in summary["warnings"])


def test_a_pair_without_common_runs_says_so(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs/dropout")
    summary = _summary(folder)
    assert summary["answer"].startswith("Cannot compare dropout with baseline")
    assert verdicts(summary)[0]["title"] == "dropout and baseline cannot be compared yet"


def test_without_runs_there_is_no_answer(make_study: MakeStudy) -> None:
    folder = make_study()
    shutil.rmtree(folder / "runs")
    assert _summary(folder)["answer"] == NOTHING


@pytest.mark.parametrize(
    ("verdict", "title"),
    [
        ("better", "dropout is better than plain"),
        ("worse", "dropout is worse than plain"),
        ("equivalent", "dropout and plain are equivalent within ±0.02"),
        ("not shown", "No difference shown between dropout and plain"),
    ],
)
def test_every_verdict_has_its_own_mark_and_title(verdict: str, title: str) -> None:
    (found,) = _verdicts(_found(verdict))
    assert (found["mark"], found["title"]) == (MARKS[verdict], title)
    assert found["text"] == f"{title}: +0.030 (+0.010 to +0.050; p\u00a0=\u00a0.012)"
    assert len(set(MARKS.values())) == 5


def test_a_short_line_claims_no_more_than_there_is() -> None:
    one_run, no_interval, tiny = _verdicts(
        _found("not shown", runs=1, p_holm=None),
        _found("not shown", low=None, high=None, p_holm=None),
        _found("worse", difference=-0.03, low=-0.05, high=-0.01, p_holm=1e-5),
    )
    assert one_run["title"] == "One run each cannot show whether dropout or plain is better"
    assert "p " not in one_run["text"].removeprefix(one_run["title"])
    assert no_interval["text"].endswith(": +0.030, without an interval")
    assert tiny["text"].endswith(": −0.030 (−0.050 to −0.010; p\u00a0<\u00a0.001)")


@pytest.mark.parametrize(
    ("verdict", "arm", "title"),
    [
        ("better", "dropout", "dropout scores higher than plain, but has a shortcut"),
        ("worse", "plain", "plain scores higher than dropout, but has a shortcut"),
        ("better", "plain", "dropout is better than plain"),
        ("not shown", "dropout", "No difference shown between dropout and plain"),
    ],
)
def test_an_arm_with_a_shortcut_is_not_called_better(verdict: str, arm: str, title: str) -> None:
    summary = {"comparisons": [_found(verdict)], "primary": {"metric": "accuracy", "margin": 0.02}, "arms": {}}
    (found,) = verdicts(summary | {"probes": [{"arm": arm, "verdict": "shortcut found"}]})
    assert found["title"] == title
    assert (found["verdict"] == "shortcut") == ("shortcut" in title)
    for harmless in ("shortcut possible", "none found by these probes", "cannot tell"):
        (honest,) = verdicts(summary | {"probes": [{"arm": arm, "verdict": harmless}]})
        assert "shortcut" not in honest["title"]
