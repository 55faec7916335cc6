"""The worlds of the benchmarks: what they call the truth is what large studies of them show."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from diascope.compare.verdict import arm_intervals, compare_arms

METRICS = ("accuracy", "balanced_accuracy", "sensitivity", "auroc", "loss", "brier", "f1", "mcc")


@pytest.fixture
def simulated(monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(Path(__file__).parents[2] / "benchmarks")
    return pytest.importorskip("simulated")


def test_the_truth_of_a_world_is_what_a_large_study_shows(simulated: Any) -> None:
    world = simulated.World(
        seeds=2, images=100_000, prevalence=0.2, accuracy=(0.9, 0.7), run_sd=0.001, bias_sd=0.001, arms=("a",)
    )
    found = arm_intervals(simulated.draw(world, np.random.default_rng(0)), "a", METRICS)
    for metric, interval in found.items():
        assert interval.mean == pytest.approx(simulated.truth(world, metric), abs=0.006), metric


@pytest.mark.parametrize("split", [("given", 1), ("holdout", 1), ("kfold", 3)])
@pytest.mark.parametrize("groups", ["images", "unequal", "dominating"])
def test_a_large_difference_is_found_in_every_kind_of_study(simulated: Any, split: Any, groups: str) -> None:
    kind, folds = split
    world = simulated.World(kind, folds, 3, 900, difference=0.3, accuracy=(0.7, 0.7), groups=groups, run_sd=0.005)
    (found,) = compare_arms(simulated.draw(world, np.random.default_rng(1)), "accuracy")
    assert found.difference is not None
    assert found.difference > 0.1
    assert found.unit == ("images" if groups == "images" else "groups")
    assert ("One group holds 60% of the images" in found.sentence) == (groups == "dominating")
    if groups != "dominating":
        assert found.verdict == "better"


def test_fewer_seeds_of_a_study_are_its_first(simulated: Any) -> None:
    record = simulated.draw(simulated.World(seeds=5), np.random.default_rng(2))
    fewer = simulated.first_seeds(record, 2)
    assert {run.seed for run in fewer.runs} == {0, 1}
    (found,), (whole,) = (compare_arms(each, "accuracy") for each in (fewer, record))
    assert found.paired == whole.paired[:2]
