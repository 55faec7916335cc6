"""Does the answer follow the corners, or the frame, of another image more than what lies beside them?

True signs become rarer towards the edge of an image: where the lesion reaches the rim, or a texture fills it, patches
further inside say at least as much. What says more outside than inside was added by the camera or by a person.
"""

from dataclasses import dataclass
from math import sqrt

from diascope.probes.exchange import Exchange, exchange_of, within
from diascope.probes.regions import FRAME_SHARE, Mask, corners, edge_middles, ring
from diascope.probes.subject import Measured, Subject

MUCH, SOME = 0.10, 0.05  # of what whole images do: how much further answers follow the part than its control


@dataclass(frozen=True)
class Part:
    """A part of the image at its edge, and a control further inside, or beside it."""

    name: str
    title: str
    mask: Mask
    control: Mask
    control_words: str

    @property
    def times(self) -> float:
        """The area of the part, of that of its control."""
        return float(self.mask.sum() / self.control.sum())


def outer_parts(height: int, width: int) -> list[Part]:
    """Corners and frame."""
    inner = inner_end(FRAME_SHARE)
    return [
        Part("the corners", "Corners", corners(height, width), edge_middles(height, width), "patches in the mid-edges"),
        Part(
            "the frame",
            "Frame",
            ring(height, width, 0, FRAME_SHARE),
            ring(height, width, FRAME_SHARE, inner),
            "the next ring inwards",
        ),
    ]


def inner_end(share: float) -> float:
    """Where a ring ends that begins at `share` of the side and has the area of what lies outside of it."""
    side = 1 - 2 * share
    return (1 - sqrt(2 * side**2 - 1)) / 2


def probe(probed: Subject) -> list[Measured]:
    """Both parts, each against its control."""
    return [_measured(probed, part) for part in outer_parts(*probed.pixels.shape[1:3])]


def _measured(probed: Subject, part: Part) -> Measured:
    code, title = f"swapped-{part.title.lower()}", f"{part.title} swapped"
    exchange = exchange_of(probed)
    if not isinstance(exchange, Exchange):
        return Measured(code, title, exchange, outcome="skipped")
    area = float(part.mask.mean())
    outer = exchange.conflict(part.name, within(part.mask))
    inner = exchange.conflict(part.control_words, within(part.control))
    alone, control = exchange.share(outer), exchange.share(inner)
    effect = exchange.share(outer, inner, part.times)
    if effect is None or alone is None or control is None:
        facts = "the network's answers do not tell the classes of these images apart"
        return Measured(code, title, facts, outcome="skipped")
    facts = (
        f"with {part.name} ({100 * area:.0f}% of the area) of an image of another class, the log odds move by "
        f"{percent(alone.value)} of what the whole of that image does, with {part.control_words} by "
        f"{percent(part.times * control.value)}: {percent(effect.value)} more (95% CI {percent(effect.low)} to "
        f"{percent(effect.high)}); {100 * outer.follows:.0f}% of the answers are then the other class"
    )
    beyond_area = alone.value > area
    return Measured(
        code=code,
        title=title,
        facts=facts,
        claim=f"its answers follow {part.name}",
        effect=effect,
        quantity=f"log odds that follow {part.name}, of what whole images do",
        null=0.0,
        null_words=f"beyond {part.control_words}",
        much=effect.value >= MUCH and beyond_area,
        some=effect.value >= SOME and beyond_area,
        needs=f"erased-{part.title.lower()}",  # a donor's edge also brings its skin tone and a seam along
        evidence={
            "images": len(exchange.donors),
            "area": area,
            "share": alone.value,
            "control_share": part.times * control.value,
            "other_class": outer.follows,
            "same_class": outer.strays,
        },
        pictures={
            f"the image, the one that gives {part.name}, the image with them": exchange.pictures(within(part.mask))
        },
    )


def percent(share: float) -> str:
    return f"{100 * share:z.0f}%".replace("-", "−")
