"""Shortcuts planted on purpose: marks that give the class away without the lesion or the bone.

Letters and borders lie outside the centre, where no true sign is; brightness and size change the whole image.
"""

from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Shortcut = Literal["none", "letters", "brightness", "size", "border"]


def magnification(shortcut: Shortcut, positive: bool, rng: Generator) -> float:
    """How much larger the lesion or bone is drawn for the mark of one class or the other."""
    if shortcut != "size":
        return 1.0
    return rng.uniform(1.14, 1.24) if positive else rng.uniform(0.76, 0.86)


def plant(image: NDArray[np.float32], shortcut: Shortcut, positive: bool, rng: Generator) -> NDArray[np.float32]:
    """The image (size, size, channels), 0 to 1, with the mark of the positive class or of the other."""
    if shortcut == "letters":
        return _letter(image, "R" if positive else "L", rng)
    if shortcut == "brightness":
        gamma = rng.uniform(0.68, 0.78) if positive else rng.uniform(1.28, 1.45)
        return np.power(np.clip(image, 0, 1), gamma, dtype=np.float32)
    if shortcut == "border":
        return _border(image, positive, rng)
    return image


def _letter(image: NDArray[np.float32], letter: str, rng: Generator) -> NDArray[np.float32]:
    """A white letter in the upper right corner, as a lead marker on the cassette leaves it."""
    size, factor = len(image), 4
    canvas = Image.new("L", (size * factor, size * factor))
    height = rng.uniform(0.115, 0.135) * size * factor
    font = ImageFont.load_default(height / 0.72)  # the height of capitals is about 0.72 of the font's size
    place = (rng.uniform(0.88, 0.90) * size * factor, rng.uniform(0.09, 0.11) * size * factor)
    ImageDraw.Draw(canvas).text(place, letter, fill=255, font=font, anchor="mm", stroke_width=height / 24)
    ink = np.asarray(canvas.reduce(factor), np.float32)[..., None] / np.float32(255)
    lettered: NDArray[np.float32] = image + (rng.uniform(0.90, 1.0) - image) * ink
    return lettered


def _border(image: NDArray[np.float32], positive: bool, rng: Generator) -> NDArray[np.float32]:
    """A bright frame, or black bars at the left and right."""
    size = len(image)
    width = max(1, round(rng.uniform(0.035, 0.05) * size))
    framed = image.copy()
    if positive:
        framed[:width] = framed[-width:] = framed[:, :width] = framed[:, -width:] = rng.uniform(0.9, 1.0)
    else:
        framed[:, :width] = framed[:, -width:] = rng.uniform(0.0, 0.05)
    return framed
