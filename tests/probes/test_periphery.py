"""The rim: what the data offer is possible at most; found is what a network follows, if the centre alone is worse."""

import numpy as np
import pytest
from numpy.typing import NDArray
from probes.probing_cases import CORNER, MIDDLE, Looks, signs, with_model

from diascope.probes import periphery
from diascope.probes.probe_verdicts import judged
from diascope.probes.subject import Subject

LABELS = (np.arange(240) // 2 % 2).astype(np.int64)


def plant(monkeypatch: pytest.MonkeyPatch, of_rim: float, of_centre: float) -> None:
    """Networks of rim and centre that are right for these shares of the groups."""

    def planted(probed: Subject, hidden: NDArray[np.bool_], what: str) -> NDArray[np.float64]:
        known = probed.units / probed.units.max() <= (of_rim if "rim" in what else of_centre)
        called = np.where(known, LABELS, 1 - LABELS)
        return np.stack([1.0 - called, called], axis=1) * 0.8 + 0.1

    monkeypatch.setattr(periphery, "retrained", planted)


def verdicts(place: tuple[slice, slice]) -> list[str]:
    found = periphery.probe(with_model(Looks(place), signs(LABELS, corner=1.0, middle=1.0), LABELS))
    return [finding.evidence["verdict"] for finding in judged(found)]


@pytest.mark.parametrize(
    ("of_rim", "of_centre", "offered", "used"),
    [
        (1.0, 0.5, "possible", "found"),
        (0.8, 0.7, "possible", "found"),
        (0.7, 0.7, "possible", "possible"),  # less than half of what the network has
        (1.0, 1.0, "not found", "possible"),  # the sign is everywhere
        (0.52, 0.5, "not found", "not found"),
        (0.2, 0.5, "not found", "not found"),
    ],
)
def test_a_network_that_follows_the_rim(
    monkeypatch: pytest.MonkeyPatch, of_rim: float, of_centre: float, offered: str, used: str
) -> None:
    plant(monkeypatch, of_rim, of_centre)
    assert verdicts(CORNER) == [offered, used]


@pytest.mark.parametrize("of_rim", [1.0, 0.8, 0.52])
def test_a_rim_that_the_network_does_not_follow_is_possible_at_most(
    monkeypatch: pytest.MonkeyPatch, of_rim: float
) -> None:
    plant(monkeypatch, of_rim, 0.5)
    assert verdicts(MIDDLE) == ["possible" if of_rim > 0.6 else "not found", "not found"]


def test_where_the_centre_does_as_well_it_is_said(monkeypatch: pytest.MonkeyPatch) -> None:
    plant(monkeypatch, 0.9, 0.98)
    offered, used = periphery.probe(with_model(Looks(MIDDLE), signs(LABELS, corner=0.5, middle=1.0), LABELS))
    assert "The centre alone does as well as the whole" in offered.facts
    assert offered.evidence["whole"]["value"] == 1.0
    assert offered.effect is not None
    assert offered.effect.value == pytest.approx(0.9, abs=0.02)
    assert used.effect is not None
    assert used.effect.value == pytest.approx(0, abs=0.01)
