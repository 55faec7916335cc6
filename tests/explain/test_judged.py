"""Which cases are shown, and when a network's maps are called meaningless."""

import numpy as np

from diascope.explain.chance import chance
from diascope.explain.validation import ValidationPredictions, pick_cases, spread


def judged(truth: list[int], second: list[float], groups: list[str] | None = None) -> ValidationPredictions:
    """Two classes; `second` is the probability of the second one."""
    p = np.array(second)
    paths = [f"{number}.png" for number in range(len(truth))]
    return ValidationPredictions(paths, groups, np.array(truth), np.stack([1 - p, p], axis=1), 1)


def shown(found: ValidationPredictions, count: int) -> dict[tuple[str, int], list[int]]:
    cases: dict[tuple[str, int], list[int]] = {}
    for case in pick_cases(found, count):
        cases.setdefault((case.kind, int(found.labels[case.row])), []).append(case.row)
    return cases


def test_the_surest_and_the_closest_of_each_class() -> None:
    found = judged([0, 0, 0, 0, 1, 1, 1, 1], [0.1, 0.3, 0.9, 0.45, 0.95, 0.2, 0.6, 0.52])
    assert shown(found, 1) == {
        ("right", 0): [0], ("wrong", 0): [2], ("least-sure", 0): [3],
        ("right", 1): [4], ("wrong", 1): [5], ("least-sure", 1): [7],
    }  # fmt: skip
    rows = [case.row for case in pick_cases(found, 3)]
    assert len(rows) == len(set(rows)), "an image is shown once"
    assert pick_cases(found, 0) == []


def test_no_group_is_shown_twice_in_one_kind() -> None:
    found = judged([1] * 6, [0.99, 0.98, 0.97, 0.96, 0.95, 0.94], ["a", "a", "a", "b", "b", "c"])
    assert shown(found, 2)["right", 1] == [0, 3]


def test_a_class_without_wrong_images_has_none() -> None:
    found = shown(judged([0, 0, 1, 1], [0.1, 0.2, 0.9, 0.8]), 2)
    assert ("wrong", 0) not in found
    assert found["right", 1] == [2, 3]


def test_more_classes_go_by_the_two_most_probable() -> None:
    p = np.array([[0.5, 0.3, 0.2], [0.4, 0.38, 0.22], [0.1, 0.8, 0.1], [0.2, 0.2, 0.6]])
    found = shown(ValidationPredictions(list("abcd"), None, np.array([0, 0, 0, 2]), p, 2), 1)
    assert found["wrong", 0] == [2]
    assert found["right", 0] == [0]
    assert found["least-sure", 0] == [1]
    assert found["right", 2] == [3]


def test_a_guessing_network_is_meaningless_and_a_knowing_one_is_not() -> None:
    random = np.random.default_rng(0)
    truth = [number % 2 for number in range(120)]
    guessing = chance(judged(truth, random.random(120).tolist()))
    assert guessing["meaningless"]
    assert guessing["auroc"]["low"] < 0.5 < guessing["auroc"]["high"]
    assert "maps mean nothing" in guessing["sentence"]
    knowing = chance(judged(truth, (0.3 * random.random(120) + 0.6 * np.array(truth)).tolist()))
    assert not knowing["meaningless"]
    assert "better than chance" in knowing["sentence"]


def test_a_network_that_is_surely_worse_than_chance_is_meaningless_too() -> None:
    truth = np.arange(120) % 2
    assert chance(judged(truth.tolist(), (0.8 - 0.6 * truth).tolist()))["meaningless"]


def test_few_images_or_one_class_tell_nothing() -> None:
    assert chance(judged([0, 1], [0.1, 0.9]))["meaningless"]
    one = chance(judged([1] * 50, [0.9] * 50))
    assert one["auroc"]["value"] is None
    assert not one["meaningless"] or "chance" in one["sentence"]


def test_groups_widen_the_interval() -> None:
    truth = [number % 2 for number in range(120)]
    p = [
        0.5 + 0.1 * (2 * t - 1) * (number % 7 > 2) - 0.05 * (2 * t - 1) * (number % 7 <= 2)
        for number, t in enumerate(truth)
    ]
    groups = [f"g{number // 20}-{number % 2}" for number in range(120)]
    alone, together = chance(judged(truth, p)), chance(judged(truth, p, groups))
    assert together["auroc"]["unit"] == "groups"
    assert together["auroc"]["n"] == 12
    assert alone["auroc"]["n"] == 120


def test_rows_are_spread_over_all() -> None:
    rows = np.arange(10, 110)
    found = spread(rows, 5)
    assert found.tolist() == [10, 35, 60, 84, 109]
    assert spread(rows, 200) is rows
