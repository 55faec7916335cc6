"""The probes that look at a trained network alone: each finds its planted shortcut and keeps still without one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from probes.probing_cases import CORNER, MIDDLE, Looks, signs, with_model

from diascope.probes import Measured, Options, Probed, attribution, erasing, levels, swapping, text
from diascope.probes.judging import judged

LABELS = (np.arange(120) // 2 % 2).astype(np.int64)
NO_TEXT = Options(text=False)


def reads_corner(options: Options = NO_TEXT, **columns: list[str]) -> Probed:
    return with_model(Looks(CORNER), signs(LABELS, corner=1.0, middle=0.5), LABELS, columns, options=options)


def reads_middle(options: Options = NO_TEXT) -> Probed:
    """The images hold the same corner mark, but the network does not look at it."""
    return with_model(Looks(MIDDLE), signs(LABELS, corner=1.0, middle=1.0), LABELS, options=options)


def verdict(measured: Measured) -> Any:
    return judged([measured])[0].evidence["verdict"]


def test_swapped_corners_take_the_answer_along() -> None:
    (found,) = swapping.probe(reads_corner())
    assert found.effect is not None
    assert found.evidence["other_class"] == 1.0
    assert found.evidence["same_class"] == 0.0
    assert found.effect.value == 1.0
    assert verdict(found) == "found"


def test_swapped_corners_that_no_one_looks_at() -> None:
    (found,) = swapping.probe(reads_middle())
    assert found.effect is not None
    assert found.effect.value == 0.0
    assert verdict(found) == "not found"


def test_swapping_needs_groups_of_each_class() -> None:
    few = LABELS[:8]
    (found,) = swapping.probe(with_model(Looks(CORNER), signs(few, corner=1.0, middle=0.5), few))
    assert found.outcome == "skipped"


def test_erased_corners() -> None:
    found = erasing.probe(reads_corner())[0]
    assert found.effect is not None
    assert found.evidence["accuracy"]["before"] == found.evidence["accuracy"]["control"] == 1.0
    assert found.effect.value == pytest.approx(1.0 - found.evidence["accuracy"]["erased"])
    assert found.evidence["log_odds_lost"]["erased"] > 3
    assert verdict(found) == "found"
    still = erasing.probe(reads_middle())[0]
    assert still.evidence["accuracy"]["erased"] == 1.0
    assert verdict(still) == "not found"


def test_attribution_in_the_border(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_explanations(monkeypatch)
    found = attribution.probe(reads_corner())[0]
    assert found.effect is not None
    assert found.effect.value > 0.95
    assert verdict(found) == "possible"  # where it looks does not say that its answer rests on it
    still = attribution.probe(reads_middle())[0]
    assert still.effect is not None
    assert still.effect.value < 0.05
    assert verdict(still) == "not found"


def test_levels_of_a_column_that_gives_the_class_away() -> None:
    """The network reads a mark that says which device took the image, and the devices differ in their patients."""
    random = np.random.default_rng(1)
    device = np.where(random.random(len(LABELS)) < 0.85, LABELS, 1 - LABELS)
    pixels = signs(device, corner=1.0, middle=0.5)
    (found,) = levels.probe(with_model(Looks(CORNER), pixels, LABELS, {"device": [f"d{k}" for k in device]}))
    assert found.effect is not None
    assert found.evidence["within"] == pytest.approx(0.5)
    assert found.effect.value == pytest.approx(np.mean((device == LABELS) / np.bincount(LABELS)[LABELS] * 60) - 0.5)
    assert verdict(found) == "found"


def test_levels_of_a_column_that_says_nothing() -> None:
    site = [f"s{k % 3}" for k in range(len(LABELS))]
    (found,) = levels.probe(reads_corner(site=site, label=["x", "y"] * 60))
    assert found.code == "levels-site"
    assert verdict(found) == "not found"


def test_columns_that_cannot_be_used() -> None:
    names = [str(k) for k in range(len(LABELS))]
    of_class = [f"c{label}" for label in LABELS]
    (found,) = levels.probe(reads_corner(name=names, diagnosis=of_class, constant=["a"] * len(LABELS)))
    assert found.outcome == "not applicable"


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float


class Reader:
    """Sees text in the corner of every image."""

    reason: str | None = None

    @staticmethod
    def missing() -> str | None:
        return Reader.reason

    def boxes(self, pixels: NDArray[np.uint8]) -> list[Box]:
        return [Box(17, 0, 20, 3)]


@pytest.fixture
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    import diascope.data.audit.text

    monkeypatch.setattr(diascope.data.audit.text, "TextReader", Reader)
    monkeypatch.setattr(text, "LEGIBLE", 20)


@pytest.mark.usefixtures("_reader")
def test_erased_text() -> None:
    found = erasing.probe(reads_corner(Options()))[1]
    assert found.code == "erased-text"
    assert found.evidence["images"] == text.MOST
    assert verdict(found) == "found"


@pytest.mark.usefixtures("_reader")
def test_without_a_reader_text_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "reason", "pip install rapidocr")
    found = erasing.probe(reads_middle(Options()))
    assert found[1].outcome == "skipped"
    assert found[1].facts == "pip install rapidocr"


def plant_explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    """Gradients times the distance from gray: of these networks, which are linear, an exact explanation."""
    import diascope.explain

    def attribute(model: Any, images: torch.Tensor, targets: torch.Tensor, method: str) -> NDArray[np.float32]:
        inputs = images.detach().clone().requires_grad_()
        sign = targets.float() * 2 - 1
        (gradient,) = torch.autograd.grad((model(inputs)[:, 0] * sign).sum(), inputs)
        found: NDArray[np.float32] = (gradient * (images - 0.5)).sum(dim=1).detach().numpy()
        return found

    monkeypatch.setattr(diascope.explain, "attribute", attribute)
