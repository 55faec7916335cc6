"""Give images the corners of images of another class: does the answer follow the corners?

The null: the corners of other images of the same class. They change the picture as much, and say nothing new.
"""

import numpy as np
from numpy.typing import NDArray

from diascope.probes.effects import Flags, two_way_effect
from diascope.probes.probed import SHOWN, Measured, Pixels, Probed
from diascope.probes.regions import corners

MOST = 32  # images, each of which gets the corners of all others
MOST_LARGE, LARGE = 16, 160 * 160  # fewer of images with more pixels than this
FEWEST = 4  # groups of each class
MUCH, SOME = 0.10, 0.05  # of the answers: those that follow the corners
CODE, TITLE = "swapped-corners", "Corners swapped"


def probe(probed: Probed) -> list[Measured]:
    """A table of answers: images in rows, whose corners they have in columns."""
    height, width = probed.pixels.shape[1:3]
    places = probed.some_of_each_class(MOST if height * width <= LARGE else MOST_LARGE)
    labels, units = probed.labels[places], probed.units[places]
    classes = len(probed.task.data.classes)
    if min(len(np.unique(units[labels == number])) for number in range(classes)) < FEWEST:
        facts = f"a class has fewer than {FEWEST} {probed.unit} on the validation side"
        return [Measured(CODE, TITLE, facts, outcome="skipped")]
    answers = _answers(probed, probed.pixels[places], corners(height, width))
    differ = labels[:, None] != labels[None, :]
    apart = units[:, None] != units[None, :]
    follows = answers == labels[None, :]  # the answer is the class of the image that gave the corners
    strays = (answers != labels[:, None]) / (classes - 1)  # with corners of its own class, called by a given other one

    def shares(rows: Flags, columns: Flags) -> tuple[float, float]:
        kept = apart & rows[:, None] & columns[None, :]
        return _mean(follows, kept & differ), _mean(strays, kept & ~differ)

    def surplus(rows: Flags, columns: Flags) -> float:
        other, same = shares(rows, columns)
        return other - same

    effect = two_way_effect(surplus, units, units)
    if effect is None:
        return [Measured(CODE, TITLE, "too few images can swap corners", outcome="skipped")]
    other, same = shares(np.ones(len(units), dtype=bool), np.ones(len(units), dtype=bool))
    facts = (
        f"with the corners of an image of another class {100 * other:.0f}% of the answers are that class, with those "
        f"of an image of their own class {100 * same:.0f}% are: {_points(effect.value)} points more (95% CI "
        f"{_points(effect.low)} to {_points(effect.high)})"
    )
    return [
        Measured(
            code=CODE,
            title=TITLE,
            facts=facts,
            claim="its answers follow the corners",
            effect=effect,
            quantity="answers that follow the corners",
            null=0.0,
            null_words="corners of the same class",
            much=effect.value >= MUCH,
            some=effect.value >= SOME,
            evidence={"images": len(places), "other_class": other, "same_class": same},
            pictures={"the image, the one that gives corners, the image with them": _pictures(probed, places)},
        )
    ]


def swapped(images: Pixels, donor: Pixels, mask: Flags) -> Pixels:
    """Images (N, H, W, C) with what an image (H, W, C) has within the mask (H, W)."""
    found = images.copy()
    found[:, mask] = donor[mask]
    return found


def _answers(probed: Probed, images: Pixels, mask: Flags) -> NDArray[np.int64]:
    """Classes (M, M): of the image of each row with the corners of the image of each column."""
    found = np.empty((len(images), len(images)), np.int64)
    for column, donor in enumerate(images):
        probed.progress("swapping corners", column, len(images))
        found[:, column] = probed.called(probed.predict(swapped(images, donor, mask)))
    probed.progress("swapping corners", len(images), len(images))
    return found


def _mean(values: NDArray[np.float64] | Flags, kept: Flags) -> float:
    return float(values[kept].mean()) if kept.any() else float("nan")


def _points(share: float) -> str:
    return f"{100 * share:z.0f}".replace("-", "−")


def _pictures(probed: Probed, places: NDArray[np.int64]) -> list[Pixels]:
    images, labels = probed.pixels[places], probed.labels[places]
    mask = corners(*images.shape[1:3])
    rows = []
    for place in range(0, len(images), max(1, len(images) // SHOWN)):
        donor = images[np.flatnonzero(labels != labels[place])[place % int((labels != labels[place]).sum())]]
        rows.append(np.stack([images[place], donor, swapped(images[place : place + 1], donor, mask)[0]]))
    return rows[:SHOWN]
