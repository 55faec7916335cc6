"""The probes that look at a trained network alone: each finds its planted shortcut and keeps still without one."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import pytest
import torch
from numpy.typing import NDArray
from probes.probing_cases import CORNER, MIDDLE, Looks, signs, with_model

from diascope.probes import Measured, Options, Subject, attribution, burned_in_text, erasing, levels
from diascope.probes.probe_verdicts import judged

LABELS = (np.arange(120) // 2 % 2).astype(np.int64)
NO_TEXT = Options(text=False)


def reads_corner(options: Options = NO_TEXT, **columns: list[str]) -> Subject:
    return with_model(Looks(CORNER), signs(LABELS, corner=1.0, middle=0.5), LABELS, columns, options=options)


def reads_middle(options: Options = NO_TEXT) -> Subject:
    """The images hold the same corner mark, but the network does not look at it."""
    return with_model(Looks(MIDDLE), signs(LABELS, corner=1.0, middle=1.0), LABELS, options=options)


def verdict(measured: Measured) -> Any:
    return judged([measured])[0].evidence["verdict"]


def test_erased_corners() -> None:
    found = erasing.probe(reads_corner())[0]
    assert found.effect is not None
    assert found.evidence["balanced_accuracy"]["before"] == found.evidence["balanced_accuracy"]["control"] == 1.0
    assert found.effect.value > 0.9  # nearly all of what the network goes by
    assert verdict(found) == "found"
    still = erasing.probe(reads_middle())[0]
    assert still.evidence["balanced_accuracy"]["erased"] == 1.0
    assert verdict(still) == "not found"


def test_a_network_that_answers_the_frequent_class_loses_log_odds_all_the_same() -> None:
    """Nine of ten images are of one class: without the mark, plain accuracy hardly falls."""
    rare = (np.arange(200) // 2 % 10 == 0).astype(np.int64)

    class Falls(Looks):
        """Where the corner is gray, the frequent class."""

        def forward(self, images: torch.Tensor) -> torch.Tensor:
            return super().forward(images) - 1.0

    found = erasing.probe(with_model(Falls(CORNER), signs(rare, corner=1.0, middle=0.5), rare))[0]
    assert found.evidence["balanced_accuracy"]["before"] == 1.0
    assert found.evidence["balanced_accuracy"]["erased"] == pytest.approx(0.5, abs=0.06)
    assert verdict(found) == "found"


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


def of_column(scores: NDArray[np.float64], labels: NDArray[np.int64], site: NDArray[np.int64]) -> Measured:
    """The probe of a column, for a network that gives these scores, log odds of class 1."""
    probed = with_model(Looks(MIDDLE), signs(labels, corner=0.5, middle=0.5), labels, {"site": [f"s{k}" for k in site]})
    p = 1 / (1 + np.exp(-scores))
    vars(probed)["probabilities"] = np.stack([1 - p, p], axis=1)
    (found,) = levels.probe(probed)
    return found


SITE = np.where(np.random.default_rng(1).random(240) < 0.75, np.arange(240) // 2 % 2, 1 - np.arange(240) // 2 % 2)
CASES = (np.arange(240) // 2 % 2).astype(np.int64)
NOISE = np.random.default_rng(2).normal(0, 0.7, 240)


def test_a_network_that_reads_the_site_is_found() -> None:
    """All that it knows is the site, which mostly has one class."""
    found = of_column(3 * (SITE - 0.5) + NOISE, CASES, SITE)
    assert found.code == "levels-site"
    assert min(found.evidence["leans"]) > 1
    assert found.evidence["within"] == pytest.approx(0.5, abs=0.1)
    assert verdict(found) == "found"


def test_a_network_that_reads_the_site_beside_the_lesion_is_possible() -> None:
    found = of_column(1.5 * (SITE - 0.5) + 3 * (CASES - 0.5) + NOISE, CASES, SITE)
    assert min(found.evidence["leans"]) > 0.2
    assert found.evidence["within"] > 0.8
    assert verdict(found) == "possible"


@pytest.mark.parametrize("severe", [False, True])
def test_sites_whose_cases_differ_raise_no_alarm(severe: bool) -> None:
    """Site 1 has easier cases of both classes, or more advanced ones of class 1; nothing else tells sites apart."""
    signs_of = 2.0 * (CASES - 0.5) * np.where(SITE == 1, 2.0, 1.0)
    scores = np.where(severe & (CASES == 0), 2.0 * (CASES - 0.5), signs_of)
    found = of_column(scores + NOISE, CASES, SITE)
    assert max(found.evidence["leans"]) > 0.2
    assert found.evidence["over_all"] > found.evidence["within"]
    assert verdict(found) == "not found"


def test_a_lean_that_is_sure_but_small_in_one_class_raises_no_alarm() -> None:
    site = (SITE - 0.5) * np.where(CASES == 1, 0.1, 1.5)
    found = of_column(site + 3 * (CASES - 0.5) + 0.02 * NOISE, CASES, SITE)
    assert found.effect is not None
    assert found.effect.p < 0.001
    assert found.evidence["leans"] == sorted(found.evidence["leans"], reverse=True)
    assert found.evidence["leans"][0] > 0.2
    assert 0 < found.evidence["leans"][1] < 0.05
    assert verdict(found) == "not found"


def test_values_with_the_same_mix_of_classes_say_nothing() -> None:
    found = of_column(3 * (CASES - 0.5) + NOISE, CASES, np.arange(240) // 4 % 2)
    assert found.outcome == "not applicable"
    assert "mixed alike" in found.facts


def test_columns_that_cannot_be_used() -> None:
    names = [str(k) for k in range(len(LABELS))]
    of_class = [f"c{label}" for label in LABELS]
    (found,) = levels.probe(reads_corner(name=names, diagnosis=of_class, constant=["a"] * len(LABELS)))
    assert (found.code, found.outcome) == ("levels-diagnosis", "not applicable")
    assert "cannot be compared" in found.facts
    (none,) = levels.probe(reads_corner(name=names, label=of_class))
    assert (none.code, none.outcome) == ("levels", "not applicable")


@dataclass(frozen=True)
class Box:
    left: float
    top: float
    right: float
    bottom: float
    text: str


class Reader:
    """Reads the corner of every image: R where it is bright, else L; or the same in all."""

    words = ("L", "R")
    reason: str | None = None

    @staticmethod
    def missing() -> str | None:
        return Reader.reason

    def boxes(self, pixels: NDArray[np.uint8]) -> list[Box]:
        return [Box(17, 0, 20, 3, self.words[int(pixels[CORNER].mean() > 127)])]


@pytest.fixture
def _reader(monkeypatch: pytest.MonkeyPatch) -> None:
    import diascope.audit.text_reader

    monkeypatch.setattr(diascope.audit.text_reader, "TextReader", Reader)
    monkeypatch.setattr(burned_in_text, "LEGIBLE", 20)


@pytest.mark.usefixtures("_reader")
def test_erased_text() -> None:
    found = erasing.probe(reads_corner(Options()))[2]
    assert found.code == "erased-text"
    assert found.evidence["images"] == burned_in_text.MOST
    assert found.evidence["words"] == 1.0
    assert verdict(found) == "found"


@pytest.mark.usefixtures("_reader")
def test_what_is_taken_for_text_and_says_nothing_is_possible_at_most(monkeypatch: pytest.MonkeyPatch) -> None:
    """A reader that takes a part of a lesion for the same letter in every image."""
    monkeypatch.setattr(Reader, "words", ("O", "O"))
    found = erasing.probe(reads_corner(Options()))[2]
    assert found.evidence["words"] == pytest.approx(0.5, abs=0.01)
    assert verdict(found) == "possible"


@pytest.mark.usefixtures("_reader")
def test_without_a_reader_text_is_skipped_with_the_reason(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(Reader, "reason", "pip install rapidocr")
    found = erasing.probe(reads_middle(Options()))
    assert found[2].outcome == "skipped"
    assert found[2].facts == "pip install rapidocr"


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
