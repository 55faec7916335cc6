"""Burned-in text of the validation side, found once for all probes that ask for it."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any
from weakref import WeakKeyDictionary

import numpy as np
from numpy.typing import NDArray

from diascope.probes.effects import Effect, class_weights, mean_effect
from diascope.probes.subject import Outcome, Subject

MOST = 32  # images: reading one takes a third of a second
LEGIBLE = 64  # pixels of height and width: in smaller images no text can be read
FEWEST = 8  # images with text: of fewer nothing can be said


@dataclass(frozen=True)
class Text:
    """Images that hold text, by their places in the validation side, with its boxes; or the reason why none do.

    `read` are the places of all images that were read, with the words of each, which may be none.
    """

    places: NDArray[np.int64]
    boxes: list[Sequence[Any]]
    read: NDArray[np.int64]
    words: list[str]
    reason: str = ""
    outcome: Outcome = "measured"


_FOUND: WeakKeyDictionary[Subject, Text] = WeakKeyDictionary()


def find_text(probed: Subject) -> Text:
    """Read some images of each class, as the network gets them."""
    if probed not in _FOUND:
        _FOUND[probed] = _read(probed)
    return _FOUND[probed]


def _read(probed: Subject) -> Text:
    nothing = Text(np.array([], dtype=np.int64), [], np.array([], dtype=np.int64), [])
    if not probed.options.text:
        return replace(nothing, reason="reading burned-in text was turned off", outcome="skipped")
    if min(probed.pixels.shape[1:3]) < LEGIBLE:
        size = "{} x {}".format(*probed.pixels.shape[1:3])
        return replace(nothing, reason=f"no text can be read in images of {size} pixels", outcome="not applicable")
    from diascope.audit.text_reader import TextReader

    if (missing := TextReader.missing()) is not None:
        return replace(nothing, reason=missing, outcome="skipped")
    reader, places = TextReader(), probed.some_of_each_class(MOST)
    found = []
    for done, place in enumerate(places.tolist()):
        probed.progress("looking for burned-in text", done, len(places))
        found.append(reader.boxes(probed.pixels[place]))
    probed.progress("looking for burned-in text", len(places), len(places))
    with_text = [number for number, boxes in enumerate(found) if boxes]
    if len(with_text) < FEWEST:
        reason = f"text was read in {len(with_text)} of {len(places)} images, and fewer than {FEWEST} say nothing"
        return replace(nothing, reason=reason, outcome="not applicable")
    words = [" ".join(sorted(_letters(box.text) for box in boxes)) for boxes in found]
    return Text(places[with_text], [found[number] for number in with_text], places, words)


def _letters(text: str) -> str:
    return "".join(letter for letter in text.upper() if letter.isalnum())


def told_by_text(probed: Subject, text: Text) -> Effect | None:
    """The balanced accuracy of the words alone, against chance.

    Each image is called the class among whose images, of other groups, its words are most frequent; a tie counts as
    chance.
    """
    labels, units = probed.labels[text.read], probed.units[text.read]
    words, classes = np.array(text.words), len(probed.task.data.classes)
    right = np.full(len(labels), probed.chance)
    for number, label in enumerate(labels.tolist()):
        others = units != units[number]
        alike = np.bincount(labels[others & (words == words[number])], minlength=classes)
        shares = alike / np.maximum(np.bincount(labels[others], minlength=classes), 1)
        if np.count_nonzero(shares == shares.max()) == 1:
            right[number] = float(shares.argmax() == label)
    return mean_effect(class_weights(labels) * right, units, probed.chance)
