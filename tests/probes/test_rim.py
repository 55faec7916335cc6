"""The verdict on the rim: a shortcut from half of what the network has above chance, possible below, none at chance."""

import numpy as np
import pytest
from numpy.typing import NDArray
from probes.probing_cases import MIDDLE, Looks, signs, with_model

from diascope.probes import rim
from diascope.probes.judging import judged
from diascope.probes.probed import Probed

LABELS = (np.arange(240) // 2 % 2).astype(np.int64)


@pytest.mark.parametrize(
    ("right", "verdict"), [(1.0, "found"), (0.8, "found"), (0.7, "possible"), (0.52, "not found"), (0.2, "not found")]
)
def test_the_share_of_what_is_above_chance_decides(monkeypatch: pytest.MonkeyPatch, right: float, verdict: str) -> None:
    """A network that is always right, beside one of the rim that is right for this share of the groups."""

    def planted(probed: Probed, hidden: NDArray[np.bool_], what: str) -> NDArray[np.float64]:
        known = probed.units / probed.units.max() <= right
        called = np.where(known, LABELS, 1 - LABELS)
        return np.stack([1.0 - called, called], axis=1) * 0.8 + 0.1

    monkeypatch.setattr(rim, "retrained", planted)
    (found,) = rim.probe(with_model(Looks(MIDDLE), signs(LABELS, corner=0.5, middle=1.0), LABELS))
    assert found.evidence["whole"]["value"] == 1.0
    assert found.effect is not None
    assert found.effect.value == pytest.approx(right, abs=0.02)
    assert found.evidence["share_of_gain"] == pytest.approx((right - 0.5) / 0.5, abs=0.04)
    assert judged([found])[0].evidence["verdict"] == verdict
