"""The space of a search: what Optuna draws from, what a draw means, and where the default lies in it."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from pydantic import ValidationError

from diascope.config import SearchConfig, Space
from diascope.core.errors import ConfigError
from diascope.study.tuning.space import decoded, default_values, distributions, encoded, listed, name_of, vary
from diascope.studyfile import Study, parse_study

HEAD = "name: a\ndata: {source: phantom:skin}\n"


def read(space: str, base: str = "", *settings: str) -> Study:
    text = f"{HEAD}{base}\nsearch: {{space: {space}}}\n"
    return parse_study(text, list(settings), where="a.yaml", folder=Path.cwd())


def search_of(study: Study) -> SearchConfig:
    assert study.config.search is not None
    return study.config.search


def test_each_kind_of_space_has_its_distribution() -> None:
    search = search_of(
        read(
            "{training.learning_rate: {low: 1e-5, high: 1e-2, log: true},"
            " model.dropout: {low: 0, high: 0.5, step: 0.2},"
            " model.base_channels: {low: 2, high: 9, step: 3}, training.batch_size: {low: 1, high: 64, log: true},"
            " model.dense: [[64, 64], [32]], training.optimizer: [adam, rmsprop]}"
        )
    )
    assert distributions(search) == {
        "training.learning_rate": FloatDistribution(1e-5, 1e-2, log=True),
        "model.dropout": FloatDistribution(0, 0.4, step=0.2),
        "model.base_channels": IntDistribution(2, 8, step=3),
        "training.batch_size": IntDistribution(1, 64, log=True),
        "model.dense": CategoricalDistribution(["[64, 64]", "[32]"]),
        "training.optimizer": CategoricalDistribution(['"adam"', '"rmsprop"']),
    }


@given(st.lists(st.sampled_from([1, 2.5, "adam", None, True, [1, 2], {"kind": "step"}]), min_size=2, unique_by=str))
def test_choices_come_back_from_what_optuna_draws(choices: list[Any]) -> None:
    search = SearchConfig(space={"a.b": Space(choices=tuple(choices))})
    drawn = distributions(search)["a.b"]
    assert isinstance(drawn, CategoricalDistribution)
    assert [decoded(search, {"a.b": text})["a.b"] for text in drawn.choices] == choices
    assert [encoded(search, {"a.b": choice})["a.b"] for choice in choices] == list(drawn.choices)


def test_a_space_is_listed_where_it_can_be() -> None:
    search = search_of(read("{training.batch_size: [4, 8], model.base_channels: {low: 2, high: 6, step: 2}}"))
    found = listed(search)
    assert found is not None
    assert {(values["training.batch_size"], values["model.base_channels"]) for values in found} == {
        (batch, channels) for batch in (4, 8) for channels in (2, 4, 6)
    }
    assert len({name_of(values) for values in found}) == 6
    assert listed(search_of(read("{training.learning_rate: {low: 1e-5, high: 1e-2}, model.depth: [11, 13]}",
                                 "model: {name: vgg}"))) is None  # fmt: skip


@pytest.mark.parametrize(
    ("space", "base", "found"),
    [
        ("{training.learning_rate: {low: 1e-5, high: 1e-2, log: true}}", "", {"training.learning_rate": 1e-4}),
        ("{training.learning_rate: {low: 1e-3, high: 1e-2}}", "", None),
        ("{training.batch_size: {low: 2, high: 12, step: 3}}", "", {"training.batch_size": 8}),
        ("{training.batch_size: {low: 2, high: 12, step: 4}}", "", None),
        ("{model.depth: [14, 20]}", "model: {name: resnet}", {"model.depth": 20}),  # 20 is what None stands for
        ("{model.normalization: [none, batch]}", "", {"model.normalization": "none"}),
        ("{augmentation.rotation: [5, 10]}", "augmentation: {rotation: [-10, 10]}", {"augmentation.rotation": 10}),
        ("{augmentation.rotation: [5, 10]}", "", None),
        ("{training.schedule: [constant, cosine]}", "", {"training.schedule": "constant"}),
        ("{model.dropout: [0, 0.5]}", "arms: {start: {model.dropout: 0.5}, other: {}}", {"model.dropout": 0.5}),
    ],
)
def test_the_first_arm_is_found_in_the_space(space: str, base: str, found: dict[str, Any] | None) -> None:
    study = read(space, base)
    assert default_values(study, search_of(study)) == found


@pytest.mark.parametrize(
    ("space", "words"),
    [
        ("{training.learning_rat: [1, 2]}", "did you mean training.learning_rate"),
        ("{data.source: [a, b]}", "data.source, which all arms of a study share"),
        ("{split.seed: [1, 2]}", "split.seed, which all arms of a study share"),
        ("{compare.metric: [auroc, accuracy]}", "not a key of data, model"),
        ("{training.batch_size: [8, 0]}", "training.batch_size 0"),
        ("{model.depth: {low: 11, high: 20}}", "depth"),
        ("{training.optimizer: [sgd, adam], training.momentum: [0, 0.9]}", "adam has no momentum"),
        ("{training.batch_size: {low: 8, high: 4}}", "low must be the smaller"),
        ("{training.batch_size: {low: 0, high: 4, log: true}}", "log needs a low above 0"),
        ("{training.batch_size: [8]}", "at least 2"),
        ("{training.batch_size: [8, 8]}", "duplicate value 8"),
        ("{}", "search.space"),
    ],
)
def test_a_space_that_cannot_be_searched_is_refused_by_key(space: str, words: str) -> None:
    with pytest.raises(ConfigError, match=words) as caught:
        read(space, "model: {name: vgg}" if "depth" in space else "")
    assert caught.value.where.startswith("a.yaml:")


def test_two_values_that_exclude_one_another_are_refused() -> None:
    with pytest.raises(ConfigError, match=r'training\.class_weights "balanced", training\.sampler "balanced".*set one'):
        read("{training.class_weights: [none, balanced], training.sampler: [shuffle, balanced]}")


def test_a_space_set_on_the_command_line_names_it_in_its_error() -> None:
    with pytest.raises(ConfigError) as caught:
        read("{model.dropout: [0, 0.5]}", "", "search.space.training.batch_size=[0, 8]")
    assert caught.value.where == "--set search.space.training.batch_size"


def test_choices_must_differ_from_ends() -> None:
    with pytest.raises(ValidationError, match="either a list of choices or low and high"):
        Space(choices=(1, 2), low=1)


def test_varying_keeps_the_study_but_its_arms_pairs_and_search() -> None:
    study = read(
        "{model.dropout: [0, 0.5]}", "arms: {a: {}, b: {model.dropout: 0.1}}\ncompare: {pairs: [[b, a]], margin: 0.1}"
    )
    varied = vary(study, {"c": {"model.dropout": 0.3}})
    assert [arm.name for arm in varied.arms] == ["c"]
    assert varied.arms[0].model.dropout == 0.3
    assert varied.config.compare.margin == 0.1
    assert varied.config.search is None
    assert varied.config.training == study.config.training
