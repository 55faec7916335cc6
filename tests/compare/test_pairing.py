"""Which arms are compared with which."""

import pytest
from ruamel.yaml import YAML
from study_folders import MakeStudy

from diascope.runs.record import StudyRecord

ARMS: dict[str, dict[str, object]] = {"a": {}, "b": {"model.dropout": 0.2}, "c": {"model.dropout": 0.4}}


def test_every_arm_is_compared_with_the_first(make_study: MakeStudy) -> None:
    assert StudyRecord(make_study(arms=ARMS, seeds=1)).study.pairs == (("b", "a"), ("c", "a"))


def test_a_single_arm_has_nothing_to_be_compared_with(make_study: MakeStudy) -> None:
    assert StudyRecord(make_study(arms={"a": {}}, seeds=1)).study.pairs == ()


@pytest.mark.parametrize("pairs", [[["c", "b"]], [["b", "c"], ["a", "b"]]])
def test_a_study_s_own_pairs_stand_in_their_order(make_study: MakeStudy, pairs: list[list[str]]) -> None:
    folder = make_study(arms=ARMS, seeds=1)
    tree = YAML().load(folder / "study.yaml")
    tree["compare"] = {"pairs": pairs}
    with (folder / "study.yaml").open("w") as file:
        YAML().dump(tree, file)
    assert StudyRecord(folder).study.pairs == tuple((arm, against) for arm, against in pairs)
