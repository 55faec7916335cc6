"""What is drawn for each image of an epoch: which transformations it gets, and how strong they are.

Every transformation has a random stream of its own, so that adding one leaves the draws of the others as they were.
All is drawn on the processor, before the epoch's first step: a step asks nothing back from the device.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diascope.config import AugmentationConfig, Transformation
from diascope.seeding import stream

Floats = NDArray[np.float64]
Bools = NDArray[np.bool_]

# The number of each transformation's stream. A number, once given, stays: it decides what runs have seen.
STREAMS = {
    "horizontal_flip": 0,
    "vertical_flip": 1,
    "rotation": 2,
    "shear": 3,
    "zoom": 4,
    "shift": 5,
    "horizontal_shift": 6,
    "vertical_shift": 7,
    "downscale": 8,
    "blur": 9,
    "intensity": 10,
    "contrast": 11,
    "brightness": 12,
    "noise": 13,
    "erasing": 14,
}


@dataclass(frozen=True)
class Draws:
    """The draws of one epoch: `count` images in the order in which they come."""

    config: AugmentationConfig
    count: int
    seed: int
    epoch: int

    def flipped(self, name: str) -> Bools | None:
        """Which images (count,) are flipped; None where nothing is asked for."""
        share = getattr(self.config, name)
        return self._generator(name).random(self.count) < share if share else None

    def strengths(self, name: str, *, neutral: float = 0.0, number: int = 1) -> Floats | None:
        """`number` strengths for each image (count, number), `neutral` for one that is left as it is."""
        transformation: Transformation | None = getattr(self.config, name)
        if transformation is None:
            return None
        low, high = transformation.range
        shares = self._generator(name).random((self.count, 1 + number))  # row by row: an image's draws lie together
        strengths = low + (high - low) * shares[:, 1:]
        return np.where(shares[:, :1] < transformation.probability, strengths, neutral)

    def places(self, name: str, number: int) -> Floats:
        """`number` further draws from [0, 1) for each image (count, number)."""
        return self._generator(name, 1).random((self.count, number))

    def _generator(self, name: str, part: int = 0) -> np.random.Generator:
        return stream(self.seed, "augment", self.epoch, STREAMS[name], part)
