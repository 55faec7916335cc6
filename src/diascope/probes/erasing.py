"""Erase the corners, the frame, and burned-in text of images that the trained network gets to see: what does it lose?

What is lost are log odds of the true class, all classes counting alike: a network that answers the frequent class where
it sees nothing keeps its accuracy, and not these. The null is the same area erased elsewhere: any change of an image
may cost something.
"""

import numpy as np
from numpy.typing import NDArray

from diascope.core.seeding import stream
from diascope.probes.burned_in_text import Text, find_text, told_by_text
from diascope.probes.effects import class_weights, mean_effect
from diascope.probes.exchange import log_probabilities
from diascope.probes.filling import erased
from diascope.probes.regions import moved, of_boxes
from diascope.probes.subject import SHOWN, Measured, Pixels, Subject
from diascope.probes.swapping import outer_parts, percent

MUCH, SOME = 0.10, 0.05  # of the log odds of the true class: what is lost beyond what any part takes along
LEVEL = 0.05  # of p, from which on words tell the classes apart


def probe(probed: Subject) -> list[Measured]:
    """The corners and the frame of all images, and the text of those that hold some."""
    found = []
    everything = np.arange(len(probed.rows))
    for part in outer_parts(*probed.pixels.shape[1:3]):
        probed.progress(f"erasing {part.name}", 0, 1)
        without, control = erased(probed.pixels, part.mask), erased(probed.pixels, part.control)
        code = f"erased-{part.title.lower()}"
        found.append(_compared(probed, everything, without, control, code, part.name, part.control_words, part.times))
        probed.progress(f"erasing {part.name}", 1, 1)
    return [*found, _of_text(probed, find_text(probed))]


def _of_text(probed: Subject, text: Text) -> Measured:
    """Found only where the words tell the classes apart: a reader takes parts of lesions and bones for text, too."""
    code = "erased-text"
    if text.reason:
        return Measured(code, "Text erased", text.reason, outcome=text.outcome)
    random, size = stream(probed.task.config.seed, "probe", probed.task.config.fold, 1), probed.pixels.shape[1:3]
    places, without, control = [], [], []
    for place, boxes in zip(text.places.tolist(), text.boxes, strict=True):
        written = of_boxes(size[0], size[1], boxes)
        elsewhere = moved(written, written, random)
        if elsewhere is not None:
            image = probed.pixels[place : place + 1]
            places.append(place)
            without.append(erased(image, written))
            control.append(erased(image, elsewhere))
    if not places:
        return Measured(code, "Text erased", "text covers so much that nothing else could be erased", outcome="skipped")
    parts = np.array(places), np.concatenate(without), np.concatenate(control)
    told = told_by_text(probed, text)
    known = told is not None and told.p <= LEVEL
    return _compared(
        probed,
        *parts,
        code,
        "burned-in text",
        "the same shape elsewhere",
        told=told.value if told else None,
        known=known,
    )


def _compared(
    probed: Subject,
    places: NDArray[np.int64],
    without: Pixels,
    control: Pixels,
    code: str,
    what: str,
    against: str,
    times: float = 1.0,
    *,
    told: float | None = None,
    known: bool = True,
) -> Measured:
    """Log odds of the true class of these images, with a part erased, and with another, whose loss counts `times`.

    `told` is the balanced accuracy of the words alone; without their being `known` to tell the classes apart nothing
    is found.
    """
    title, labels = f"{what.removeprefix('the ').removeprefix('burned-in ').capitalize()} erased", probed.labels[places]
    tried = [probed.probabilities[places], probed.predict(without), probed.predict(control)]
    weights = class_weights(labels)
    odds = [_log_odds(found, labels) for found in tried]
    before = float((weights * odds[0]).mean())
    if before <= 0:
        return Measured(code, title, "the network does not tell the classes of these images apart", outcome="skipped")
    losses = [weights * (odds[0] - changed) / before for changed in odds[1:]]
    effect = mean_effect(losses[0] - times * losses[1], probed.units[places])
    if effect is None:
        return Measured(code, title, "too few independent images", outcome="skipped")
    right = [float((weights * (probed.called(found) == labels)).mean()) for found in tried]
    facts = (
        f"with {what} erased, {percent(float(losses[0].mean()))} of the log odds of the true class are lost, with "
        f"{against} erased {percent(times * float(losses[1].mean()))}: {percent(effect.value)} more (95% CI "
        f"{percent(effect.low)} to {percent(effect.high)}); balanced accuracy goes from {right[0]:.3f} to "
        f"{right[1]:.3f} and to {right[2]:.3f}"
    )
    if told is not None:
        facts += f"; the words alone have {told:.3f}"
    return Measured(
        code=code,
        title=title,
        facts=facts,
        claim=f"it needs {what}",
        effect=effect,
        quantity=f"log odds of the true class lost with {what}",
        null=0.0,
        null_words=f"what is lost with {against}",
        much=effect.value >= MUCH and known,
        some=effect.value >= SOME,
        evidence={
            "images": len(places),
            "balanced_accuracy": dict(zip(("before", "erased", "control"), right, strict=True)),
            "words": told,
        },
        pictures={f"the image, without {what}, without {against}": _pictures(probed, places, without, control)},
    )


def _log_odds(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the true class (M,)."""
    true = probabilities[np.arange(len(labels)), labels]
    found: NDArray[np.float64] = log_probabilities(true) - log_probabilities(1 - true)
    return found


def _pictures(probed: Subject, places: NDArray[np.int64], without: Pixels, control: Pixels) -> list[Pixels]:
    chosen = range(0, len(places), max(1, len(places) // SHOWN))
    return [np.stack([probed.pixels[places[k]], without[k], control[k]]) for k in chosen][:SHOWN]
