"""How much of what speaks for the answer lies in the border of the image, and in burned-in text, against their area.

Where a network looks does not say that its answer rests on it, so this probe alone never says more than "possible".
"""

import numpy as np
import torch
from numpy.typing import NDArray

from diascope.data.batches import as_inputs
from diascope.probes.burned_in_text import Text, find_text
from diascope.probes.effects import Effect, mean_effect
from diascope.probes.regions import border, of_boxes
from diascope.probes.subject import SHOWN, Measured, Pixels, Subject

METHOD = "integrated-gradients"
MOST = 32  # images
TIMES = 1.5  # the area: a smaller surplus is not worth a word
AT_ONCE = 8


def probe(probed: Subject) -> list[Measured]:
    """Of images of each class, the answer that the network gave them."""
    places = probed.some_of_each_class(MOST)
    probed.progress("explaining", 0, len(places))
    maps = _positive_maps(probed, places)
    area = border(*maps.shape[1:])
    areas = np.broadcast_to(area, maps.shape)
    pictures = {"the image, and what speaks for its answer": _pictures(probed.pixels[places], maps)}
    of_border = _share(probed, maps, areas, places, "attribution-border", "the border", pictures)
    return [of_border, _of_text(probed, find_text(probed))]


def _of_text(probed: Subject, text: Text) -> Measured:
    code, title = "attribution-text", "Attribution in text"
    if text.reason:
        return Measured(code, title, text.reason, outcome=text.outcome)
    maps = _positive_maps(probed, text.places)
    areas = np.stack([of_boxes(maps.shape[1], maps.shape[2], boxes) for boxes in text.boxes])
    return _share(probed, maps, areas, text.places, code, "burned-in text", {})


def _positive_maps(probed: Subject, places: NDArray[np.int64]) -> NDArray[np.float32]:
    """What speaks for the answers of these images (M, H, W), 0 where something speaks against it."""
    from diascope.explain import attribute

    images, answers = probed.pixels[places], probed.called(probed.probabilities)[places]
    found = []
    for first in range(0, len(images), AT_ONCE):
        inputs = as_inputs(torch.from_numpy(images[first : first + AT_ONCE]).to(probed.device))
        targets = torch.from_numpy(answers[first : first + AT_ONCE]).to(probed.device)
        found.append(np.maximum(attribute(probed.network.whole, inputs, targets, METHOD), 0))
        probed.progress("explaining", min(first + AT_ONCE, len(images)), len(images))
    return np.concatenate(found)


def _share(
    probed: Subject,
    maps: NDArray[np.float32],
    areas: NDArray[np.bool_],
    places: NDArray[np.int64],
    code: str,
    where: str,
    pictures: dict[str, list[Pixels]],
) -> Measured:
    """The mean share of attribution within areas (M, H, W), against their share of the image."""
    title = f"Attribution in {'text' if code.endswith('text') else 'the border'}"
    total = maps.sum(axis=(1, 2))
    kept = total > 0
    shares = (maps * areas).sum(axis=(1, 2))[kept] / total[kept]
    of_area = areas.mean(axis=(1, 2))[kept]
    excess = mean_effect(shares - of_area, probed.units[places[kept]])
    if excess is None:
        return Measured(code, title, "too few images have an explanation", outcome="skipped")
    area, share = float(of_area.mean()), float(shares.mean())
    low, high = (max(0.0, min(1.0, area + limit)) for limit in (excess.low, excess.high))
    facts = (
        f"{100 * share:.0f}% of what speaks for the answers (95% CI {100 * low:.0f} to {100 * high:.0f}%; {METHOD}) "
        f"lies in {where}, which is {100 * area:.0f}% of the image"
    )
    return Measured(
        code=code,
        title=title,
        facts=facts,
        claim=f"it looks at {where}",
        effect=Effect(share, low, high, excess.p, excess.n),
        quantity=f"share of attribution in {where}",
        null=area,
        null_words="its area",
        some=share >= TIMES * area,
        evidence={"images": int(kept.sum()), "method": METHOD},
        pictures=pictures,
    )


def _pictures(images: Pixels, maps: NDArray[np.float32]) -> list[Pixels]:
    """Images beside their maps in gray; the strongest hundredth of each map is white."""
    rows = []
    for image, found in list(zip(images, maps, strict=True))[:: max(1, len(images) // SHOWN)][:SHOWN]:
        strongest = max(float(np.quantile(found, 0.99)), 1e-12)
        gray = np.rint(255 * np.clip(found / strongest, 0, 1)).astype(np.uint8)
        rows.append(np.stack([image, np.repeat(gray[..., None], image.shape[2], axis=2)]))
    return rows
