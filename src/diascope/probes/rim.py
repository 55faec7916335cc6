"""Train on the rim alone: what a network knows that never saw the lesion.

A rim that tells the classes apart holds a shortcut, or real signs that reach it; the share that it has of what the
whole image is worth tells the two apart.
"""

import numpy as np

from diascope.metrics import Interval
from diascope.probes.effects import SMALLEST_P, Effect
from diascope.probes.probed import SHOWN, Measured, Probed
from diascope.probes.regions import disk
from diascope.probes.retraining import retrained

MUCH = 0.5  # of the network's accuracy above chance: from here on the rim is called a shortcut
SOME = 0.05  # of balanced accuracy above chance: less is not worth a word
TITLE = "The rim alone"


def probe(probed: Probed) -> list[Measured]:
    """One network on the rim, one on the centre, each trained as the run was."""
    height, width = probed.pixels.shape[1:3]
    centre = disk(height, width, probed.options.centre)
    if centre.all() or not centre.any():
        facts = f"with a centre of radius {probed.options.centre:g} there is no rim, or nothing else"
        return [Measured("rim", TITLE, facts, outcome="not applicable")]
    of_rim = retrained(probed, centre, "training on the rim alone")
    of_centre = retrained(probed, ~centre, "training on the centre alone")
    found, inside, whole = probed.balanced_accuracy(of_rim), probed.balanced_accuracy(of_centre), probed.accuracy
    if found.value is None or whole.value is None or found.low is None or found.high is None:
        return [Measured("rim", TITLE, "the validation side is too small for an interval", outcome="skipped")]
    effect = Effect(found.value, found.low, found.high, _p(probed, of_rim), found.n)
    chance, gain = probed.chance, whole.value - probed.chance
    facts = (
        f"a network that sees only the rim (all but a disk of radius {probed.options.centre:g} of the side) has a "
        f"balanced accuracy of {_words(found)}, where the whole image gives {_words(whole)} and the centre alone "
        f"{_words(inside)}; chance is {chance:.3f}"
    )
    return [
        Measured(
            code="rim",
            title=TITLE,
            facts=facts,
            claim="the rim of the images, without what they show, tells the classes apart",
            effect=effect,
            quantity="balanced accuracy of the rim alone",
            null=chance,
            null_words="chance",
            much=found.value - chance >= max(SOME, MUCH * gain),
            some=found.value - chance >= SOME,
            evidence={
                "whole": vars(whole),
                "centre": vars(inside),
                "share_of_gain": (found.value - chance) / gain if gain > 0 else None,
            },
            pictures={"the image, its rim, its centre": _pictures(probed, centre)},
        )
    ]


def _p(probed: Probed, probabilities: np.ndarray) -> float:
    """One-sided, against chance: of the interval that just reaches it, half of what lies outside."""
    low, high = np.log(SMALLEST_P), 0.0  # of 1 - level
    for _ in range(40):
        middle = (low + high) / 2
        limit = probed.balanced_accuracy(probabilities, level=1 - float(np.exp(middle))).low
        low, high = (low, middle) if limit is not None and limit > probed.chance else (middle, high)
    return float(np.exp(high)) / 2 if high < 0 else 1.0


def _words(found: Interval) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{found.value:.3f} (95% CI {found.low:.3f} to {found.high:.3f})"


def _pictures(probed: Probed, centre: np.ndarray) -> list[np.ndarray]:
    shown = probed.pixels[probed.some_of_each_class(SHOWN)]
    without, alone = shown.copy(), shown.copy()
    without[:, centre] = 0
    alone[:, ~centre] = 0
    return [np.stack(row) for row in zip(shown, without, alone, strict=True)]
