"""Facts of files that give the class away: each planted, and each silent where it does not."""

from typing import Any

import numpy as np
import pytest
from fact_sets import audited, index_of, of_phantoms, plain_facts

from diascope.audit.metadata import metadata_predicts_label
from diascope.core.findings import Finding

IMAGES = 120
LABELS = np.arange(IMAGES) // 2 % 2  # of pairs
GROUPS = np.arange(IMAGES) // 2


def noisy(rate: float = 0.9) -> np.ndarray:
    """The labels, but for a share of the images that have the other one's mark."""
    flipped = np.random.default_rng(6).random(IMAGES) > rate
    return np.where(flipped, 1 - LABELS, LABELS)


def findings(**told: Any) -> dict[str, Finding]:
    found = metadata_predicts_label(audited(index_of(LABELS, groups=GROUPS), plain_facts(IMAGES, **told)))
    return {finding.code: finding for finding in found}


def as_text(marks: np.ndarray, names: list[str]) -> list[str]:
    return [names[mark] for mark in marks]


LIGHT = np.repeat(np.random.default_rng(10).normal(0.5, 0.05, (IMAGES, 1)), 3, axis=1)
PLANTED = {
    "size-predicts-label": lambda mark: {"widths": 200 + 40 * mark, "heights": np.full(IMAGES, 150)},
    "mode-predicts-label": lambda mark: {"modes": as_text(mark, ["L", "RGB"])},
    "bit-depth-predicts-label": lambda mark: {"bits": 8 + 8 * mark},
    "format-predicts-label": lambda mark: {"formats": as_text(mark, ["PNG", "JPEG"])},
    "compression-predicts-label": lambda mark: {"compressions": as_text(mark, ["75", "95"])},
    "camera-predicts-label": lambda mark: {"cameras": as_text(mark, ["Canon", ""])},
    "file-size-predicts-label": lambda mark: {"bytes": 10_000 + 5_000 * mark + np.arange(IMAGES)},
    "brightness-predicts-label": lambda mark: {"means": np.repeat(0.3 + 0.2 * mark[:, None], 3, axis=1)},
    "colour-predicts-label": lambda mark: {"means": LIGHT + np.outer(mark, [0.2, -0.1018, 0])},  # equally bright
}


@pytest.mark.parametrize("code", PLANTED)
def test_a_planted_fact_is_named_and_no_other(code: str) -> None:
    found = findings(**PLANTED[code](noisy(0.95)))
    assert found[code].outcome == "issue"
    assert found[code].severity == "warning"
    assert found[code].evidence["auroc"] > 0.85
    assert found[code].evidence["low"] > 0.7
    others = {name for name, finding in found.items() if finding.outcome == "issue"} - {code}
    assert not others


@pytest.mark.parametrize("code", PLANTED)
def test_the_same_fact_is_silent_where_it_does_not_go_with_the_class(code: str) -> None:
    of_groups = np.random.default_rng(7).permutation(IMAGES // 2) % 2
    found = findings(**PLANTED[code](of_groups[GROUPS]))
    assert found[code].outcome == "passed", found[code].sentence
    assert found[code].evidence["p_holm"] >= 0.025


def test_what_is_the_same_for_all_is_not_applicable() -> None:
    found = findings()
    quiet = {"size", "mode", "bit-depth", "format", "compression", "camera", "colour"}
    assert {found[f"{name}-predicts-label"].outcome for name in quiet} == {"not applicable"}


def test_a_value_of_few_images_that_gives_them_away_is_named() -> None:
    """Twelve of 240 images come from a scanner that took the one class only; the AUROC alone would be little."""
    labels = np.arange(240) % 2
    cameras = np.where((labels == 1) & (np.arange(240) < 24), "Scanner X", "Canon").tolist()
    found = metadata_predicts_label(audited(index_of(labels), plain_facts(240, cameras=cameras)))
    camera = next(finding for finding in found if finding.code == "camera-predicts-label")
    assert camera.evidence["auroc"] < 0.575
    assert camera.severity == "warning"
    assert camera.evidence["level"]["value"] == "Scanner X"
    assert "Of the 12 images with Scanner X, 100.0% are b" in camera.sentence


def test_too_few_groups_are_not_judged() -> None:
    labels = np.repeat([0, 1], 40)
    found = metadata_predicts_label(audited(index_of(labels, groups=labels), plain_facts(80)))
    assert {finding.outcome for finding in found} == {"not applicable"}


def test_brightness_of_content_is_information_until_it_is_plain() -> None:
    random = np.random.default_rng(8)
    labels = np.arange(400) % 2
    gray = np.clip(random.normal(0.5 + 0.08 * labels, 0.1), 0, 1)
    (found,) = [
        finding
        for finding in metadata_predicts_label(
            audited(index_of(labels), plain_facts(400, means=np.repeat(gray[:, None], 3, axis=1)))
        )
        if finding.code == "brightness-predicts-label"
    ]
    assert 0.6 < found.evidence["auroc"] < 0.8
    assert (found.outcome, found.severity) == ("issue", "info")
    assert "may be a true sign" in found.sentence


@pytest.mark.parametrize("kind", ["skin", "bone"])
def test_clean_phantoms_are_quiet_and_bright_ones_are_not(kind: str) -> None:
    clean = metadata_predicts_label(of_phantoms(kind, images=120, seed=3))
    assert {finding.outcome for finding in clean} <= {"passed", "not applicable"}
    planted = metadata_predicts_label(of_phantoms(kind, images=120, seed=3, shortcut="brightness", rate=0.95))
    (bright,) = [finding for finding in planted if finding.code == "brightness-predicts-label"]
    assert (bright.outcome, bright.severity) == ("issue", "warning")
