"""What is drawn for each image of an epoch: which transformations it gets, and how strong they are.

Every transformation has a random stream of its own, so that adding one leaves the draws of the others as they were.
All is drawn on the processor, before the epoch's first step: a step asks nothing back from the device.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diascope.config import AugmentationConfig, Transformation
from diascope.core.seeding import stream, stream_seed

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

    def strengths(self, name: str, *, neutral: float = 0.0) -> Floats | None:
        """A strength for each image (count,), `neutral` for one that is left as it is; None: nothing is asked for."""
        drawn = self._pairs(name, neutral)
        return None if drawn is None else drawn[:, 0]

    def shifts(self) -> Floats | None:
        """Shares (count, 2) of the width, to the right, and of the height, downwards; None: nothing is asked for."""
        if self.config.shift is not None:
            return self._pairs("shift", 0.0)
        right, down = self.strengths("horizontal_shift"), self.strengths("vertical_shift")
        if right is None and down is None:
            return None
        none = np.zeros(self.count)
        return np.stack([none if right is None else right, none if down is None else down], axis=1)

    def shares(self, name: str, number: int) -> Floats:
        """`number` further draws from [0, 1) for each image (count, number)."""
        return np.random.default_rng(self.seed_of(name)).random((self.count, number))

    def seed_of(self, name: str) -> int:
        """A seed for whatever else the transformation draws."""
        return stream_seed(self.seed, "augment", self.epoch, STREAMS[name], 1)

    def _pairs(self, name: str, neutral: float) -> Floats | None:
        transformation: Transformation | None = getattr(self.config, name)
        if transformation is None:
            return None
        low, high = transformation.range
        shares = self._generator(name).random((self.count, 3))  # changed at all, strength, another strength
        strengths = low + (high - low) * shares[:, 1:]
        return np.where(shares[:, :1] < transformation.probability, strengths, neutral)

    def _generator(self, name: str) -> np.random.Generator:
        return stream(self.seed, "augment", self.epoch, STREAMS[name])
