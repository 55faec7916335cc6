"""The identity of a run: changed by what it computes, not by what things are called or where they lie."""

from pathlib import Path
from typing import Any

import pytest

from diascope.config import RunConfig, canonical_json, run_id
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
