"""The identity of a run: changed by what it computes, not by what things are called or where they lie."""

from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from diascope.config import ModelConfig, RunConfig, canonical_json, run_id
from diascope.config.depth import nearest_depths, residual_plan
from diascope.core.errors import ConfigError
from diascope.studyfile import parse_study

TEXT = "name: a\ndata: {source: a.csv}\n"


def config(*settings: str, seed: int = 0, fold: int = 0) -> RunConfig:
    study = parse_study(TEXT, list(settings), where="a", folder=Path("/"))
    arm = study.arms[0]
    return RunConfig(
        data=arm.data,
        split=study.split,
        model=arm.model,
        augmentation=arm.augmentation,
        training=arm.training,
        fold=fold,
        seed=seed,
    )


@pytest.mark.parametrize(
    "setting",
    ["name=b", "question=why", "data.source=/b.csv", "data.label=dx", "data.group=patient", "compare.at=last"],
)
def test_names_and_places_do_not_change_a_run(setting: str) -> None:
    assert run_id(config(setting), "content") == run_id(config(), "content")


@pytest.mark.parametrize(
    "setting",
    [
        "data.image_size=64",
        "data.resize=pad",
        "data.channels=3",
        "model.dropout=0.1",
        "model.dense=[64]",
        "training.epochs=1",
        "training.precision=bf16",
        "training.threads=2",
    ],
)
def test_what_is_computed_changes_a_run(setting: str) -> None:
    assert run_id(config(setting), "content") != run_id(config(), "content")


@pytest.mark.parametrize("changed", [{"seed": 1}, {"fold": 1}])
def test_seed_fold_and_content_change_a_run(changed: dict[str, Any]) -> None:
    assert run_id(config(**changed), "content") != run_id(config(), "content")
    assert run_id(config(), "other") != run_id(config(), "content")


def test_a_run_id_is_stable_across_versions_of_this_code() -> None:
    """A change here makes every finished run of every user stale: it must be on purpose."""
    assert run_id(config(), "content") == "015d963d56a53974"


def test_canonical_json_ignores_the_order_of_keys() -> None:
    assert canonical_json({"b": 1, "a": [1, "ä"]}) == canonical_json({"a": [1, "ä"], "b": 1}) == '{"a":[1,"ä"],"b":1}'


def test_a_configuration_reads_back_from_its_json() -> None:
    assert RunConfig.model_validate_json(canonical_json(config()), strict=True) == config()


def model(*settings: str) -> ModelConfig:
    return config(*settings).model


@pytest.mark.parametrize(
    ("settings", "expected"),
    [
        ([], ("basic", 3, "small")),
        (["model.depth=18"], ("basic", 4, "large")),
        (["model.depth=34"], ("basic", 4, "large")),
        (["model.depth=50"], ("bottleneck", 4, "large")),
        (["model.depth=152", "model.stem=small"], ("bottleneck", 4, "small")),
        (["model.depth=50", "model.stages=3"], ("basic", 3, "small")),
        (["model.depth=29", "model.block=bottleneck"], ("bottleneck", 3, "small")),
        (["model.depth=50", "model.block=basic"], ("basic", 4, "large")),
    ],
)
def test_what_a_residual_network_leaves_open_follows_from_its_depth(
    settings: list[str], expected: tuple[str, int, str]
) -> None:
    filled = model("model.name=resnet", *settings).filled()
    assert (filled["block"], filled["stages"], filled["stem"]) == expected


def test_the_same_network_spelled_out_is_the_same_run() -> None:
    spelled = ["depth=50", "block=bottleneck", "stages=4", "stem=large", "normalization=batch"]
    short = config("model.name=resnet", "model.depth=50")
    assert run_id(config("model.name=resnet", *(f"model.{key}" for key in spelled)), "a") == run_id(short, "a")
    assert run_id(config("model.name=vgg", "model.depth=16"), "a") == run_id(config("model.name=vgg"), "a")


@pytest.mark.parametrize(
    "settings",
    [["model.depth=26"], ["model.stem=strided"], ["model.normalization=none"], ["model.block=bottleneck"]],
)
def test_another_residual_network_is_another_run(settings: list[str]) -> None:
    base = ["model.name=resnet", "model.depth=20"]
    assert run_id(config(*base, *settings), "a") != run_id(config(*base), "a")


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (["vgg", "model.depth=12"], "depth 12: a vgg has 11, 13, 16 or 19 layers"),
        (["resnet", "model.depth=21"], "basic blocks in 3 stages .* the nearest depths are 20 or 26"),
        (["resnet", "model.depth=5"], "the nearest depth is 8,"),
        (["resnet", "model.depth=30", "model.block=bottleneck"], "29 or 38"),
        (["resnet", "model.depth=51", "model.stages=4", "model.block=bottleneck"], "50 or 62"),
        (["resnet", "model.depth=100", "model.stages=4", "model.block=bottleneck"], "98 or 101"),
    ],
)
def test_a_depth_that_no_plan_has_is_an_error_with_the_nearest(settings: list[str], message: str) -> None:
    name, *rest = settings
    with pytest.raises(ConfigError, match=message):
        model(f"model.name={name}", *rest)


@given(depth=st.integers(1, 400), block=st.sampled_from(["basic", "bottleneck"]), stages=st.sampled_from([3, 4]))
def test_depths_count_the_layers_of_their_plans(depth: int, block: str, stages: int) -> None:
    """The stem, the convolutions of the blocks and the dense layer; and the nearest depths are the nearest."""
    plan = residual_plan(depth, block=block, stages=stages)
    if plan is not None:
        assert len(plan) == stages
        assert min(plan) >= 1
        assert 2 + sum(plan) * {"basic": 2, "bottleneck": 3}[block] == depth
    nearest = nearest_depths(depth, block=block, stages=stages)
    assert all(residual_plan(near, block=block, stages=stages) for near in nearest)
    between = range(min([near for near in nearest if near < depth], default=0) + 1, max(nearest))
    assert not [near for near in between if near != depth and residual_plan(near, block=block, stages=stages)]


def test_every_kind_of_schedule_has_a_run_id_of_its_own() -> None:
    """At their defaults, and where they share a key with the same value."""
    kinds = ("constant", "step", "exponential", "cosine", "plateau", "one_cycle")
    told = [kind if not factor else f"{{kind: {kind}, factor: 0.5}}" for factor in (False, True) for kind in kinds]
    told = [text for text in told if "factor" not in text or any(k in text for k in ("step", "exponential", "plateau"))]
    ids = {run_id(config(f"training.schedule={text}"), "content") for text in told}
    assert len(ids) == len(told) == 9


def test_how_images_are_filled_counts_only_where_they_are_moved() -> None:
    plain, filled = config(), config("augmentation.fill=constant")
    assert run_id(plain, "content") == run_id(filled, "content")
    moved = [config("augmentation.shift=0.1", f"augmentation.fill={fill}") for fill in ("nearest", "constant")]
    assert run_id(moved[0], "content") != run_id(moved[1], "content")
