"""Does the answer follow how bright the image is as a whole, and does that number alone tell the classes apart?"""

from dataclasses import replace

import numpy as np
from numpy.typing import NDArray

from diascope.engine import open_pixels
from diascope.probes.exchange import Exchange, exchange_of
from diascope.probes.subject import Measured, Pixels, Subject
from diascope.probes.swapping import percent

MUCH, SOME = 0.10, 0.05  # of what whole images do: how far answers follow the brightness
OF_GAIN = 0.5  # of the network's accuracy above chance: what the mean gray level alone must reach
AT_ONCE = 256
CODE, TITLE = "swapped-brightness", "Brightness swapped"


def probe(probed: Subject) -> list[Measured]:
    """Images as bright as others are, and a classifier that sees nothing but the mean gray level."""
    exchange = exchange_of(probed)
    if not isinstance(exchange, Exchange):
        return [Measured(CODE, TITLE, exchange, outcome="skipped")]
    conflict = exchange.conflict("brightness", exposed_like)
    effect = exchange.share(conflict, given_donors=True)  # what the data offer has a test of its own
    by_gray = _by_gray(probed)
    found, whole = probed.balanced_accuracy(by_gray), probed.accuracy
    if effect is None or found.value is None or whole.value is None:
        facts = "the network's answers do not tell the classes of these images apart"
        return [Measured(CODE, TITLE, facts, outcome="skipped")]
    gain, known = found.value - probed.chance, whole.value - probed.chance
    p = max(effect.p, probed.p_above_chance(by_gray))
    facts = (
        f"as bright on average as an image of another class, the log odds move by {percent(effect.value)} of what the "
        f"whole of that image does (95% CI {percent(effect.low)} to {percent(effect.high)}); the mean gray level alone "
        f"has a balanced accuracy of {found.value:.3f}, the network {whole.value:.3f}, chance is {probed.chance:.3f}"
    )
    large = gain >= max(SOME, OF_GAIN * known)
    return [
        Measured(
            code=CODE,
            title=TITLE,
            facts=facts,
            claim="its answers follow how bright the image is as a whole, which tells the classes apart",
            effect=replace(effect, p=p),
            quantity="log odds that follow the brightness, of what whole images do",
            null=0.0,
            null_words="the brightness of the same class",
            much=effect.value >= MUCH and large,
            some=effect.value >= SOME and gain >= SOME,
            evidence={
                "images": len(exchange.donors),
                "share": effect.value,
                "gray_level": vars(found),
                "other_class": conflict.follows,
                "same_class": conflict.strays,
            },
            pictures={
                "the image, the one whose brightness it gets, the image with it": exchange.pictures(exposed_like)
            },
        )
    ]


def exposed_like(images: Pixels, donor: Pixels) -> Pixels:
    """Images (M, H, W, C) with the mean gray level of another (H, W, C), each through a gamma curve of its own."""
    levels, target = np.arange(256) / 255, donor.mean() / 255
    shares = np.stack([np.bincount(image.ravel(), minlength=256) / image.size for image in images])
    low, high = np.full(len(images), -3.0), np.full(len(images), 3.0)  # logarithm of gamma
    for _ in range(20):
        middle = (low + high) / 2
        bright = (shares * levels ** np.exp(middle)[:, None]).sum(axis=1) > target
        low, high = np.where(bright, middle, low), np.where(bright, high, middle)
    curves = np.rint(255 * levels ** np.exp((low + high) / 2)[:, None]).astype(np.uint8)
    return np.stack([curve[image] for curve, image in zip(curves, images, strict=True)])


def _by_gray(probed: Subject) -> NDArray[np.float64]:
    """Probabilities (N, K) of the validation side by a logistic regression on the mean gray level and its square."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler

    data = probed.task.data
    training, images = np.sort(data.training), open_pixels(data.pixels)
    seen = np.concatenate(
        [images[training[first : first + AT_ONCE]].mean(axis=(1, 2, 3)) for first in range(0, len(training), AT_ONCE)]
    )
    asked = probed.pixels.mean(axis=(1, 2, 3))
    model = make_pipeline(StandardScaler(), LogisticRegression(class_weight="balanced"))
    model.fit(np.stack([seen, seen**2], axis=1), data.labels[training])
    found = np.zeros((len(asked), len(data.classes)))
    found[:, model.classes_] = model.predict_proba(np.stack([asked, asked**2], axis=1))
    return found
