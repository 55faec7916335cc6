"""What the probes say together: Holm, floors on the size of effects, and when nothing can be told."""

import numpy as np
import pytest
from probes.probing_cases import MIDDLE, Looks, signs, with_model

from diascope.core.findings import Finding
from diascope.probes import Measured, Subject
from diascope.probes.effects import Effect
from diascope.probes.probe_verdicts import judged, overall

LABELS = (np.arange(80) // 2 % 2).astype(np.int64)


def measured(p: float, *, much: bool = False, some: bool = False, code: str = "a") -> Measured:
    return Measured(code, "A", "it is so", "it cheats", effect=Effect(0.3, 0.1, 0.5, p, 40), much=much, some=some)


def verdicts(found: list[Finding]) -> list[str]:
    return [finding.evidence["verdict"] for finding in found]


def probed(middle: float = 1.0, labels: np.ndarray = LABELS) -> Subject:
    return with_model(Looks(MIDDLE), signs(labels, corner=0.5, middle=middle), labels)


def test_found_needs_a_small_p_and_a_large_effect() -> None:
    assert verdicts(judged([measured(0.001, much=True, some=True)])) == ["found"]
    assert verdicts(judged([measured(0.001, some=True)])) == ["possible"]
    assert verdicts(judged([measured(0.001)])) == ["not found"]
    assert verdicts(judged([measured(0.2, much=True, some=True)])) == ["not found"]


def test_p_is_adjusted_over_the_probes() -> None:
    alone, beside = judged([measured(0.03, much=True)]), judged([measured(0.03, much=True), measured(0.9)])
    assert verdicts(alone) == ["found"]
    assert verdicts(beside) == ["not found", "not found"]
    assert beside[0].evidence["p_holm"] == pytest.approx(0.06)


def test_found_needs_what_another_probe_must_show() -> None:
    alone = Measured("a", "A", "it is so", effect=Effect(0.3, 0.1, 0.5, 0.001, 40), much=True, some=True, needs="b")
    assert verdicts(judged([alone])) == ["possible"]
    assert verdicts(judged([alone, measured(0.5, much=True, some=True, code="b")])) == ["possible", "not found"]
    assert verdicts(judged([alone, measured(0.001, some=True, code="b")])) == ["found", "possible"]


def test_what_could_not_be_measured_is_not_counted() -> None:
    skipped = Measured("b", "B", "no reader", outcome="skipped")
    found = judged([measured(0.04, much=True), skipped])
    assert verdicts(found) == ["found", "skipped"]
    assert (found[0].outcome, found[1].outcome) == ("issue", "skipped")
    assert found[1].sentence == "Skipped: no reader."


def test_overall() -> None:
    said = {
        "shortcut found": [measured(0.001, much=True), measured(0.001, some=True)],
        "shortcut possible": [measured(0.001, some=True)],
        "none found by these probes": [measured(0.5)],
        "cannot tell": [Measured("b", "B", "no reader", outcome="skipped")],
    }
    for verdict, of_probes in said.items():
        assert overall(probed(), judged(of_probes))[0] == verdict


def test_a_network_at_chance_cannot_be_judged() -> None:
    """Whatever a probe found: of a network that is right by chance it explains nothing."""
    for of_probe in (measured(0.5), measured(0.001, much=True)):
        verdict, sentence = overall(probed(middle=0.5), judged([of_probe]))
        assert verdict == "cannot tell"
        assert "not surely above chance" in sentence


def test_few_images_of_a_class_cannot_be_judged() -> None:
    verdict, sentence = overall(probed(labels=LABELS[:16]), judged([measured(0.5)]))
    assert verdict == "cannot tell"
    assert "8 images of no" in sentence
