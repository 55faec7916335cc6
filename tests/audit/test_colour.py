"""Images in colour that a network would get to see in gray: told, unless they are gray or colour is kept."""

from dataclasses import replace

import numpy as np
from fact_sets import audited, index_of, measured

from diascope.audit.colour import colour_made_gray
from diascope.config import DataConfig


def test_colour_that_is_lost_is_told_and_gray_in_colour_is_gray() -> None:
    rng = np.random.default_rng(0)
    gray = [np.repeat(rng.integers(0, 256, (24, 24, 1), dtype=np.uint8), 3, axis=2) for _ in range(6)]
    tinted = [(image * (1.0, 0.8, 0.7)).astype(np.uint8) for image in gray[:4]]
    index = index_of(np.arange(6) % 2)
    (clean,) = colour_made_gray(audited(index, measured(gray)))
    assert clean.outcome == "passed"
    found = audited(index, measured([*tinted, *gray[4:]]))
    (told,) = colour_made_gray(found)
    assert (told.outcome, told.severity, told.evidence) == ("issue", "info", {"count": 4})
    assert told.sentence.startswith("4 of 6 images are in colour and are made gray")
    kept = replace(found, config=DataConfig(source="x", channels=3))
    assert colour_made_gray(kept)[0].outcome == "not applicable"
