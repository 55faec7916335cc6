"""Unequal classes, and too few images to tell."""

import numpy as np
import pytest
from fact_sets import audited, index_of, plain_facts

from diascope.audit.balance import class_imbalance, too_few_images
from diascope.config import SplitConfig
from diascope.data.split import make_folds


def of(*counts: int, per_group: int = 1, **more: object):  # type: ignore[no-untyped-def]
    labels = np.repeat(np.arange(len(counts)), counts)
    groups = None if per_group == 1 else np.arange(len(labels)) // per_group
    index = index_of(labels, classes=len(counts), groups=groups)
    if split := more.get("split"):
        return audited(index, plain_facts(1), folds=make_folds(index, split))  # type: ignore[arg-type]
    return audited(index, plain_facts(1))


@pytest.mark.parametrize(
    ("counts", "outcome", "severity"),
    [
        ((50, 50), "passed", "info"),
        ((70, 50, 60), "passed", "info"),
        ((80, 50), "issue", "info"),
        ((400, 50), "issue", "warning"),
    ],
)
def test_imbalance(counts: tuple[int, ...], outcome: str, severity: str) -> None:
    (found,) = class_imbalance(of(*counts))
    assert (found.outcome, found.severity) == (outcome, severity)
    assert list(found.evidence["images"].values()) == list(counts)
    assert found.evidence["ratio"] == pytest.approx(max(counts) / min(counts))


def test_the_interval_is_wilsons() -> None:
    """200 images: the 0.74 to 0.85 that the README names."""
    (found,) = too_few_images(of(500, 500))
    assert (found.outcome, found.evidence["units"]) == ("passed", 200)
    n, z, p = 200, 1.972, 0.8  # Student's t with 199 degrees of freedom
    middle, half = (p + z**2 / n / 2), z * np.sqrt(p * (1 - p) / n + z**2 / n**2 / 4)
    assert found.evidence["low"] == pytest.approx((middle - half) / (1 + z**2 / n), abs=1e-3)
    assert "0.74 to 0.85" in found.sentence


def test_few_images_or_groups_are_said() -> None:
    (few,) = too_few_images(of(100, 100))
    assert few.outcome == "issue"
    assert few.severity == "info"
    (grouped,) = too_few_images(of(500, 500, per_group=20))
    assert grouped.outcome == "issue"
    assert grouped.evidence["units"] == 10
    (rare,) = too_few_images(of(900, 60))
    assert "12 images of b" in rare.sentence
    assert "images of a" not in rare.sentence.split("Only")[1]


@pytest.mark.parametrize(("counts", "per_group"), [((1, 1), 1), ((30, 30), 30)])
def test_where_a_fifth_is_nothing_no_interval_is_told(counts: tuple[int, ...], per_group: int) -> None:
    (found,) = too_few_images(of(*counts, per_group=per_group))
    assert found.outcome == "not applicable"
    assert f"a fifth of 2 {'images' if per_group == 1 else 'groups'} is no validation side" in found.sentence


def test_the_planned_split_counts() -> None:
    kfold = SplitConfig(kind="kfold", folds=3)
    (found,) = too_few_images(of(100, 100, split=kfold))
    assert (found.outcome, found.evidence["units"]) == ("passed", 200)
    (holdout,) = too_few_images(of(100, 100, split=SplitConfig(kind="holdout", validation=0.3)))
    assert holdout.evidence["units"] == 60
    assert "kfold" in holdout.sentence
