"""One scale for all maps of a method in a run: an almost empty map then looks empty, and two maps can be compared."""

from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

PERCENTILE = 99.0


@dataclass(frozen=True)
class Scale:
    """The value that is drawn in full colour; larger ones look the same. 0: every map was empty."""

    value: float
    origin: str  # where it comes from, in words

    def plain(self) -> dict[str, Any]:
        return asdict(self)


def fixed_scale(maps: NDArray[np.float32]) -> Scale:
    """From maps (N, H, W): the 99th percentile of all their values without sign; of mostly empty maps the largest."""
    values = np.abs(maps)
    found = float(np.percentile(values, PERCENTILE)) if values.size else 0.0
    if found > 0 or not values.size:
        return Scale(found, f"{PERCENTILE:g}th percentile of the values of {len(maps)} images")
    return Scale(float(values.max()), f"largest value of {len(maps)} images, since 99% of the values are 0")
