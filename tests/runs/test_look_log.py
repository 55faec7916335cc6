"""The log of looks at verdicts: what is a new look, what is not, and which seeds are asked for after it."""

from pathlib import Path

import pytest

from diascope.config import StudyConfig
from diascope.core.errors import RunError
from diascope.runs.look_log import NAME, Settings, VerdictLook, add_look, asked_seeds, read_look_log

SETTINGS = Settings(metric="accuracy", at="last", margin=None, pairs=(("b", "a"),), most_runs=20)


def look(seeds: int = 3, *, decided: bool = False, **settings: object) -> VerdictLook:
    return VerdictLook(
        seen="2026-01-02T03:04:05+00:00",
        diascope="0.1.0",
        settings=SETTINGS.model_copy(update=settings),
        seeds=seeds,
        runs={arm: {f"fold0-seed{seed}": f"{arm}{seed}" for seed in range(seeds)} for arm in "ab"},
        spent=0.5,
        decided=decided,
    )


def study(seeds: object = None, **compare: object) -> StudyConfig:
    found = {"from": 3, "until": "decided", "at_most": 20} if seeds is None else seeds
    tree = {"name": "s", "data": {"source": "phantom:skin"}, "seeds": found, "arms": {"a": {}, "b": {}}}
    return StudyConfig.model_validate({**tree, "compare": compare})


def test_a_look_is_added_once_and_others_beside_it(tmp_path: Path) -> None:
    assert read_look_log(tmp_path) == ()
    for added in (look(3), look(3), look(5), look(3), look(5, metric="auroc"), look(5, margin=0.02)):
        add_look(tmp_path, added)
    log = read_look_log(tmp_path)
    assert [(seen.seeds, seen.settings.metric, seen.settings.margin) for seen in log] == [
        (3, "accuracy", None), (5, "accuracy", None), (5, "auroc", None), (5, "accuracy", 0.02),
    ]  # fmt: skip


def test_a_run_that_was_trained_anew_makes_another_look(tmp_path: Path) -> None:
    again = look(3).model_copy(update={"runs": {**look(3).runs, "b": {**look(3).runs["b"], "fold0-seed1": "other"}}})
    add_look(tmp_path, look(3))
    add_look(tmp_path, again)
    assert len(read_look_log(tmp_path)) == 2
    assert len(again.paired(("b", "a")) & look(3).paired(("b", "a"))) == 2


@pytest.mark.parametrize("text", ["[{]", "{}", '[{"seen": 1}]', "[3]"])
def test_a_damaged_log_is_said_and_not_taken_for_none(tmp_path: Path, text: str) -> None:
    (tmp_path / NAME).write_text(text)
    with pytest.raises(RunError, match="not a log of looks"):
        read_look_log(tmp_path)


@pytest.mark.parametrize(
    ("looks", "asked"),
    [
        ((), 3),
        ((look(3),), 5),
        ((look(3), look(5)), 8),
        ((look(3), look(5, decided=True)), 5),
        ((look(4),), 5),  # of a study that was planned otherwise then
        ((look(20),), 20),
        ((look(5, decided=True, metric="auroc"), look(5)), 8),
    ],
)
def test_seeds_that_are_asked_for_next(looks: tuple[VerdictLook, ...], asked: int) -> None:
    assert asked_seeds(study(), looks) == tuple(range(asked))


def test_a_decision_is_about_the_question_that_was_asked() -> None:
    decided = (look(5, decided=True),)
    assert len(asked_seeds(study(metric="accuracy"), decided)) == 5
    for changed in ({"metric": "auroc"}, {"margin": 0.02}, {"pairs": (("a", "b"),)}):
        assert len(asked_seeds(study(**changed), decided)) == 8


def test_a_list_of_seeds_is_asked_for_as_it_is() -> None:
    assert asked_seeds(study((7, 4)), (look(5, decided=True),)) == (7, 4)
