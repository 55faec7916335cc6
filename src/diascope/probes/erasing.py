"""Erase the corners, and burned-in text, of images that the trained network gets to see: what does it then get wrong?

The same area erased elsewhere is the null: any change of an image may cost some accuracy.
"""

import numpy as np
from numpy.typing import NDArray

from diascope.probes.effects import mean_effect
from diascope.probes.filling import erased
from diascope.probes.probed import SHOWN, Measured, Pixels, Probed
from diascope.probes.regions import corners, edge_middles, moved, of_boxes
from diascope.probes.text import Text, find_text
from diascope.seeding import stream

MUCH, SOME = 0.10, 0.05  # of accuracy: what the erased part decides beyond what any part does


def probe(probed: Probed) -> list[Measured]:
    """The corners of all images, and the text of those that hold some."""
    probed.progress("erasing corners", 0, 1)
    size = probed.pixels.shape[1:3]
    everything = np.arange(len(probed.rows))
    without = erased(probed.pixels, corners(*size))
    control = erased(probed.pixels, edge_middles(*size))
    probed.progress("erasing corners", 1, 1)
    of_corners = _compared(probed, everything, without, control, "erased-corners", "the corners", "mid-edge patches")
    return [of_corners, _of_text(probed, find_text(probed))]


def _of_text(probed: Probed, text: Text) -> Measured:
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
    found = np.array(places), np.concatenate(without), np.concatenate(control)
    return _compared(probed, *found, code, "burned-in text", "the same shape elsewhere")


def _compared(
    probed: Probed,
    places: NDArray[np.int64],
    without: Pixels,
    control: Pixels,
    code: str,
    what: str,
    against: str,
) -> Measured:
    """Accuracy and log odds of the true class of these images, with a part erased and with another."""
    title, labels = f"{what.removeprefix('the ').removeprefix('burned-in ').capitalize()} erased", probed.labels[places]
    tried = [probed.probabilities[places], probed.predict(without), probed.predict(control)]
    right = [probed.called(found) == labels for found in tried]
    odds = [_log_odds(found, labels) for found in tried]
    effect = mean_effect(right[2].astype(float) - right[1], probed.units[places])
    if effect is None:
        return Measured(code, title, "too few independent images", outcome="skipped")
    before, after, other = (float(found.mean()) for found in right)
    facts = (
        f"with {what} erased accuracy goes from {before:.3f} to {after:.3f}, with {against} erased to {other:.3f}: "
        f"{effect.value:z.3f} lower (95% CI {effect.low:z.3f} to {effect.high:z.3f})"
    ).replace(" -", " −")
    return Measured(
        code=code,
        title=title,
        facts=facts,
        claim=f"it errs without {what}",
        effect=effect,
        quantity=f"accuracy lost with {what}",
        null=0.0,
        null_words=f"what is lost with {against}",
        much=effect.value >= MUCH,
        some=effect.value >= SOME,
        evidence={
            "images": len(places),
            "accuracy": {"before": before, "erased": after, "control": other},
            "log_odds_lost": {
                "erased": float((odds[0] - odds[1]).mean()),
                "control": float((odds[0] - odds[2]).mean()),
            },
        },
        pictures={f"the image, without {what}, without {against}": _pictures(probed, places, without, control)},
    )


def _log_odds(probabilities: NDArray[np.float64], labels: NDArray[np.int64]) -> NDArray[np.float64]:
    """Of the true class (M,), cut at a millionth."""
    true = np.clip(probabilities[np.arange(len(labels)), labels], 1e-6, 1 - 1e-6)
    found: NDArray[np.float64] = np.log(true / (1 - true))
    return found


def _pictures(probed: Probed, places: NDArray[np.int64], without: Pixels, control: Pixels) -> list[Pixels]:
    chosen = range(0, len(places), max(1, len(places) // SHOWN))
    return [np.stack([probed.pixels[places[k]], without[k], control[k]]) for k in chosen][:SHOWN]
