"""Folds: nothing on two sides, groups kept whole, classes spread, the same seed the same folds."""

import json
from collections import Counter
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from real_data import REAL, needs_real_data

from diascope.config import DataConfig, SplitConfig
from diascope.core.errors import DataError
from diascope.data.index import Files, ImageIndex, open_index
from diascope.data.split import Folds, make_folds


def make_index(labels: list[int], groups: list[str] | None = None, splits: list[str] | None = None) -> ImageIndex:
    classes = tuple("abcdefgh"[: max(labels) + 1])
    return ImageIndex(
        source="made",
        paths=[f"{number:05d}.png" for number in range(len(labels))],
        labels=np.array(labels, dtype=np.int64),
        classes=classes,
        positive=classes[-1],
        groups=groups,
        splits=splits,
        columns={},
        origin=Files(Path("nowhere")),
        numbers=np.arange(len(labels)),
    )


def split(index: ImageIndex, **config: Any) -> Folds:
    return make_folds(index, SplitConfig(**config))


def per_class(index: ImageIndex, rows: np.ndarray) -> list[int]:
    return np.bincount(index.labels[rows], minlength=len(index.classes)).tolist()


def sides(folds: Folds) -> list[list[np.ndarray]]:
    return [[fold.training, fold.validation, folds.test] for fold in folds.folds]


def assert_partition(index: ImageIndex, folds: Folds) -> None:
    for parts in sides(folds):
        assert sorted(np.concatenate(parts).tolist()) == list(range(len(index)))
        for part in parts:
            assert np.array_equal(part, np.sort(part))
            assert part.dtype == np.int64


@st.composite
def ungrouped(draw: st.DrawFn) -> ImageIndex:
    sizes = draw(st.lists(st.integers(12, 60), min_size=2, max_size=4))
    return make_index(draw(st.permutations([label for label, size in enumerate(sizes) for _ in range(size)])))


@st.composite
def grouped(draw: st.DrawFn) -> ImageIndex:
    """At least 8 groups of each of 2 or 3 classes, of 1 to 6 images; sometimes a group of two classes."""
    labels: list[int] = []
    groups: list[str] = []
    for label in range(draw(st.integers(2, 3))):
        for number, size in enumerate(draw(st.lists(st.integers(1, 6), min_size=8, max_size=25))):
            labels += [label] * size
            groups += [f"{label}-{number}"] * size
    for _ in range(draw(st.integers(0, 2))):
        labels += [0, 1]
        groups += [f"mixed-{len(labels)}"] * 2
    return make_index(labels, groups)


CONFIGS = st.one_of(
    st.builds(
        SplitConfig,
        kind=st.just("holdout"),
        validation=st.sampled_from([0.15, 0.2, 0.3]),
        test=st.sampled_from([0.0, 0.1, 0.25]),
        seed=st.integers(0, 5),
    ),
    st.builds(
        SplitConfig,
        kind=st.just("kfold"),
        folds=st.integers(2, 5),
        test=st.sampled_from([0.0, 0.15]),
        seed=st.integers(0, 5),
    ),
)


def wanted(config: SplitConfig) -> tuple[float, float]:
    """Shares of the validation and the test side."""
    if config.kind == "holdout":
        return config.validation, config.test
    return (1 - config.test) / config.folds, config.test


@given(ungrouped(), CONFIGS)
@settings(max_examples=40, deadline=None)
def test_images_are_spread_to_within_one_of_each_class(index: ImageIndex, config: SplitConfig) -> None:
    folds = make_folds(index, config)
    assert_partition(index, folds)
    total = np.bincount(index.labels)
    for fold in folds.folds:
        for rows, share in zip((fold.validation, folds.test), wanted(config), strict=True):
            assert np.abs(per_class(index, rows) - total * share).max() <= 1


@given(grouped(), CONFIGS)
@settings(max_examples=60, deadline=None)
def test_groups_stay_whole_and_classes_are_spread(index: ImageIndex, config: SplitConfig) -> None:
    folds = make_folds(index, config)
    assert_partition(index, folds)
    assert index.groups is not None
    total, largest = np.bincount(index.labels), max(Counter(index.groups).values())
    for parts in sides(folds):
        named = [{index.groups[row] for row in part} for part in parts]
        assert not named[0] & named[1]
        assert not named[0] & named[2]
        assert not named[1] & named[2]
        for rows, share in zip(parts[1:], wanted(config), strict=True):
            if share:
                assert min(per_class(index, rows)) > 0
                assert np.abs(per_class(index, rows) - total * share).max() <= largest
    if config.kind == "kfold":
        validated = np.concatenate([fold.validation for fold in folds.folds])
        assert len(np.unique(validated)) == len(validated) == len(index) - len(folds.test)


@given(grouped(), CONFIGS, st.randoms(use_true_random=False))
@settings(max_examples=25, deadline=None)
def test_the_order_of_the_rows_has_no_say(index: ImageIndex, config: SplitConfig, random: Any) -> None:
    order = list(range(len(index)))
    random.shuffle(order)
    assert index.groups is not None
    shuffled = make_index(index.labels[order].tolist(), [index.groups[row] for row in order])

    def validated(of: ImageIndex) -> list[set[str]]:
        assert of.groups is not None
        return [{of.groups[row] for row in fold.validation} for fold in make_folds(of, config).folds]

    assert validated(index) == validated(shuffled)


def test_a_seed_decides_the_folds() -> None:
    index = make_index([0, 1] * 50)
    first, again, other = (split(index, seed=seed).folds[0].validation for seed in (3, 3, 4))
    assert np.array_equal(first, again)
    assert not np.array_equal(first, other)


def test_large_groups_do_not_all_stay_in_training() -> None:
    """A validation side of small groups only would be another population."""
    index = by_group([5] * 20 + [1] * 100)
    held = [sum(row < 100 for row in split(index, seed=seed).folds[0].validation) / 5 for seed in range(20)]
    assert 2 <= np.mean(held) <= 6  # of 20 groups of 5, a fifth


def by_group(sizes: list[int]) -> ImageIndex:
    """Groups of these sizes, of two classes by turns."""
    labels = [number % 2 for number, size in enumerate(sizes) for _ in range(size)]
    return make_index(labels, [str(number) for number, size in enumerate(sizes) for _ in range(size)])


def test_large_groups_are_spread_over_the_folds() -> None:
    index = by_group([5] * 20 + [1] * 100)
    for fold in split(index, kind="kfold", folds=5).folds:
        assert [int((index.labels[fold.validation[fold.validation < 100]] == label).sum()) for label in (0, 1)] == [
            10,
            10,
        ]


def test_groups_of_all_sizes_fill_the_folds_to_the_image() -> None:
    index = by_group(np.random.default_rng(0).geometric(0.1, 200).tolist())  # the largest has 45 images
    for seed in range(5):
        for fold in split(index, kind="kfold", folds=5, seed=seed).folds:
            assert np.abs(per_class(index, fold.validation) - np.bincount(index.labels) / 5).max() <= 1


@pytest.mark.parametrize(
    ("labels", "groups", "config", "parts"),
    [
        ([0] * 20 + [1] * 2, None, {"kind": "kfold", "folds": 3}, ["class 'b' has 2 images; 3 sides"]),
        ([0] * 20 + [1], None, {}, ["class 'b' has 1 image; 2 sides need at least 2"]),
        ([0] * 20 + [1] * 2, None, {"test": 0.1}, ["class 'b' has 2 images; 3 sides need at least 3"]),
        ([0] * 9 + [1] * 9, ["x"] * 9 + ["y"] * 4 + ["z"] * 5, {}, ["class 'a' has 9 images of 1 group; 2 sides"]),
        ([0, 1] * 9, None, {"validation": 0.6, "test": 0.4}, ["nothing to train on"]),
        ([0, 1] * 9, None, {"kind": "given"}, ["names no sides", "kind: holdout"]),
    ],
)
def test_too_little_to_split(labels: list[int], groups: Any, config: dict[str, Any], parts: list[str]) -> None:
    with pytest.raises(DataError) as caught:
        split(make_index(labels, groups), **config)
    for part in parts:
        assert part in str(caught.value)


def test_the_smallest_sets_work() -> None:
    tiny = make_index([0, 0, 1, 1])
    assert per_class(tiny, split(tiny).folds[0].validation) == [1, 1]
    pairs = make_index([0] * 4 + [1] * 4, list("aabbccdd"))
    assert per_class(pairs, split(pairs, validation=0.1).folds[0].validation) == [2, 2]


# Given sides


def test_given_sides_are_taken_as_they_are() -> None:
    sides = ["training", "training", "validation", "validation", "test"]
    folds = split(make_index([0, 1, 0, 1, 0], splits=sides))
    assert folds.kind == "given"
    assert folds.folds[0].training.tolist() == [0, 1]
    assert folds.folds[0].validation.tolist() == [2, 3]
    assert folds.test.tolist() == [4]
    assert split(make_index([0, 1] * 5, splits=["training"] * 9 + ["test"]), kind="holdout").kind == "holdout"


@pytest.mark.parametrize(
    ("sides", "parts"),
    [
        ("ttttee", ["no validation side (only test, training)", "mark a part", "kind: holdout"]),
        ("vvvvee", ["no training side"]),
        ("tvtvtv", ["no image of class 'b' on the training side"]),
    ],
)
def test_given_sides_that_cannot_be_used(sides: str, parts: list[str]) -> None:
    names = {"t": "training", "v": "validation", "e": "test"}
    index = make_index([0, 1] * 3, splits=[names[side] for side in sides])
    with pytest.raises(DataError) as caught:
        split(index)
    for part in parts:
        assert part in str(caught.value)


def test_a_group_on_two_given_sides_is_named() -> None:
    index = make_index([0, 1] * 16, [f"P{row // 2}" for row in range(32)], ["training", "validation"] * 16)
    with pytest.raises(
        DataError, match=r"16 groups lie on more than one side: P0 \(training and validation\), P1"
    ) as caught:
        split(index)
    assert "and 11 more" in str(caught.value)
    assert "on one side" in str(caught.value)
    split(make_index([0, 0, 1, 1] * 8, [f"P{row // 4}" for row in range(32)], ["training"] * 16 + ["validation"] * 16))


# The file


def test_folds_are_saved_as_paths_and_read_again(tmp_path: Path) -> None:
    index = make_index([0, 1] * 12)
    folds = split(index, kind="kfold", test=0.2)
    folds.save(tmp_path / "folds.json")
    tree = json.loads((tmp_path / "folds.json").read_text())
    assert tree["kind"] == "kfold"
    assert tree["folds"][1]["validation"] == [index.paths[row] for row in folds.folds[1].validation]
    loaded = Folds.load(tmp_path / "folds.json", index)
    for ours, theirs in zip(sides(folds), sides(loaded), strict=True):
        for mine, read in zip(ours, theirs, strict=True):
            assert np.array_equal(mine, read)


def edited(tmp_path: Path, index: ImageIndex, change: Any) -> Path:
    split(index).save(tmp_path / "folds.json")
    tree = json.loads((tmp_path / "folds.json").read_text())
    change(tree)
    (tmp_path / "folds.json").write_text(json.dumps(tree))
    return tmp_path / "folds.json"


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (lambda tree: tree["test"].append(tree["folds"][0]["training"][0]), "1 images lie on more than one side: 000"),
        (lambda tree: tree["folds"][0]["training"].append("new.png"), "1 images are not in the data set: new.png"),
        (lambda tree: tree["folds"][0]["training"].pop(), "1 images are on no side: 000"),
        (lambda tree: tree["folds"][0]["training"].append(tree["folds"][0]["training"][0]), "duplicate images"),
        (lambda tree: tree.pop("folds"), "not a file of folds"),
    ],
)
def test_an_edited_file_is_checked(tmp_path: Path, change: Any, message: str) -> None:
    index = make_index([0, 1] * 12)
    with pytest.raises(DataError, match=message):
        Folds.load(edited(tmp_path, index, change), index)


def test_an_edited_file_may_not_divide_a_group(tmp_path: Path) -> None:
    index = make_index([0] * 8 + [1] * 8, [str(row // 2) for row in range(16)])

    def move(tree: Any) -> None:
        fold = tree["folds"][0]
        fold["validation"].append(fold["training"].pop())

    with pytest.raises(DataError, match="1 groups lie on more than one side: "):
        Folds.load(edited(tmp_path, index, move), index)


def test_a_damaged_file_is_an_error(tmp_path: Path) -> None:
    (tmp_path / "folds.json").write_text("{")
    with pytest.raises(DataError, match=r"folds\.json: cannot be read"):
        Folds.load(tmp_path / "folds.json", make_index([0, 1]))


@needs_real_data
def test_real_groups_stay_whole() -> None:
    index = open_index(DataConfig(source=f"{REAL}/skin/lab.csv", group="lesion_id"))
    assert [len(rows) for rows in (split(index).folds[0].training, split(index).folds[0].validation)] == [1000, 200]
    assert index.groups is not None
    for fold in split(index, kind="kfold", folds=5).folds:
        assert per_class(index, fold.validation) == [120, 120]
        assert not {index.groups[row] for row in fold.training} & {index.groups[row] for row in fold.validation}


@needs_real_data
def test_a_careless_real_split_is_refused() -> None:
    """The plain random split that a notebook makes puts one lesion on both sides."""
    index = open_index(DataConfig(source=f"{REAL}/skin/metadata.csv", group="lesion_id"))
    given = ["training"] * len(index)
    for row in np.random.default_rng(0).permutation(len(index))[:600]:
        given[row] = "validation"
    with pytest.raises(DataError, match=r"groups lie on more than one side: HAM_"):
        split(replace(index, splits=given))
