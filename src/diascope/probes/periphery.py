"""The rim: what the data offer there, by training on it alone, and what the network takes from there, by exchanging it.

A rim that tells the classes apart may hold a shortcut, or true signs that reach it. A network has a shortcut there
where its answers follow the rim further than the rim's area goes, and the centre alone does worse than the whole.
"""

from dataclasses import replace

import numpy as np

from diascope.metrics import Interval
from diascope.probes.effects import Effect
from diascope.probes.exchange import Exchange, exchange_of, within
from diascope.probes.regions import Mask, disk
from diascope.probes.retraining import retrained
from diascope.probes.subject import SHOWN, Measured, Subject
from diascope.probes.swapping import percent

OF_GAIN = 0.5  # of the network's accuracy above chance, that the rim alone must have to be called a shortcut
SOME = 0.05  # of balanced accuracy: less is not worth a word
BEYOND, SOME_BEYOND = 0.15, 0.05  # of what whole images do: how much further than the area answers follow the rim
TITLE, SWAPPED = "The rim alone", "Rim swapped"


def probe(probed: Subject) -> list[Measured]:
    """One network on the rim, one on the centre, each trained as the run was; and the rims of other images."""
    height, width = probed.pixels.shape[1:3]
    centre = disk(height, width, probed.options.centre)
    if centre.all() or not centre.any():
        facts = f"with a centre of radius {probed.options.centre:g} there is no rim, or nothing else"
        return [Measured("rim", TITLE, facts, outcome="not applicable")]
    of_rim = retrained(probed, centre, "training on the rim alone")
    of_centre = retrained(probed, ~centre, "training on the centre alone")
    found, inside, whole = probed.balanced_accuracy(of_rim), probed.balanced_accuracy(of_centre), probed.accuracy
    if found.value is None or found.low is None or found.high is None or None in (inside.value, whole.value):
        return [Measured("rim", TITLE, "the validation side is too small for an interval", outcome="skipped")]
    offered = Effect(found.value, found.low, found.high, probed.p_above_chance(of_rim), found.n)
    return [_offered(probed, centre, offered, inside), _used(probed, centre, offered, inside)]


def _offered(probed: Subject, centre: Mask, offered: Effect, inside: Interval) -> Measured:
    """What the data offer: at most "possible", whatever it is."""
    whole, gain = probed.accuracy, offered.value - probed.chance
    known = (whole.value or 0.0) - probed.chance
    everywhere = not _is_worse(inside, whole)
    facts = (
        f"a network that sees only the rim (all but a disk of radius {probed.options.centre:g} of the side) has a "
        f"balanced accuracy of {_words(offered)}, where the whole image gives {_words(whole)} and the centre alone "
        f"{_words(inside)}; chance is {probed.chance:.3f}"
    )
    if gain >= SOME and everywhere:
        facts += ". The centre alone does as well as the whole: signs of the class are not confined to the rim"
    return Measured(
        code="rim",
        title=TITLE,
        facts=facts,
        claim="the rim holds information on the class that the centre lacks",
        effect=offered,
        quantity="balanced accuracy of the rim alone",
        null=probed.chance,
        null_words="chance",
        some=gain >= SOME and not everywhere,
        evidence={
            "whole": vars(whole),
            "centre": vars(inside),
            "share_of_gain": gain / known if known > 0 else None,
            "everywhere": everywhere,
        },
        pictures={"the image, its rim, its centre": _pictures(probed, centre)},
    )


def _used(probed: Subject, centre: Mask, offered: Effect, inside: Interval) -> Measured:
    """What the network takes from the rim."""
    exchange, area = exchange_of(probed), float((~centre).mean())
    if not isinstance(exchange, Exchange):
        return Measured("swapped-rim", SWAPPED, exchange, outcome="skipped")
    conflict = exchange.conflict("the rim", within(~centre))
    effect = exchange.share(conflict, null=area)
    if effect is None:
        facts = "the network's answers do not tell the classes of these images apart"
        return Measured("swapped-rim", SWAPPED, facts, outcome="skipped")
    gain, known = offered.value - probed.chance, (probed.accuracy.value or 0.0) - probed.chance
    facts = (
        f"with the rim ({100 * area:.0f}% of the area) of an image of another class, the log odds move by "
        f"{percent(effect.value)} of what the whole of that image does (95% CI {percent(effect.low)} to "
        f"{percent(effect.high)}); {100 * conflict.follows:.0f}% of the answers are then the other class"
    )
    worse = _is_worse(inside, probed.accuracy)
    return Measured(
        code="swapped-rim",
        title=SWAPPED,
        facts=facts,
        claim="its answers follow the rim further than the rim's area goes",
        effect=replace(effect, p=max(effect.p, offered.p)),
        quantity="log odds that follow the rim, of what whole images do",
        null=area,
        null_words="its area",
        much=effect.value >= area + BEYOND and gain >= max(SOME, OF_GAIN * known) and worse,
        some=effect.value >= area + SOME_BEYOND and gain >= SOME,
        evidence={
            "images": len(exchange.donors),
            "area": area,
            "other_class": conflict.follows,
            "same_class": conflict.strays,
        },
        pictures={
            "the image, the one that gives the rim, the image with it": exchange.pictures(within(~centre)),
        },
    )


def _is_worse(inside: Interval, whole: Interval) -> bool:
    """Whether the centre alone does worse than the whole image by what is worth a word."""
    return (whole.value or 0.0) - (inside.value or 0.0) > SOME


def _words(found: Interval | Effect) -> str:
    if found.value is None or found.low is None or found.high is None:
        return "–"
    return f"{found.value:.3f} (95% CI {found.low:.3f} to {found.high:.3f})"


def _pictures(probed: Subject, centre: Mask) -> list[np.ndarray]:
    shown = probed.pixels[probed.some_of_each_class(SHOWN)]
    without, alone = shown.copy(), shown.copy()
    without[:, centre] = 0
    alone[:, ~centre] = 0
    return [np.stack(row) for row in zip(shown, without, alone, strict=True)]
