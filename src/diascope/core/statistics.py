"""Statistics that several rooms use: Wilson's interval of a share, Holm's adjustment of p-values."""

from collections.abc import Sequence
from math import sqrt
from typing import TypeVar

P = TypeVar("P", float, float | None)


def wilson(share: float, images: float, critical: float) -> tuple[float, float]:
    """Limits of a share of so many images (Wilson 1927); `images` need not be a whole number."""
    squared = critical**2 / images
    middle = (share + squared / 2) / (1 + squared)
    half = critical * sqrt(share * (1 - share) / images + squared / (4 * images)) / (1 + squared)
    low = 0.0 if share == 0 else max(0.0, middle - half)  # exactly so, whatever the rounding
    return low, 1.0 if share == 1 else min(1.0, middle + half)


def holm(p_values: Sequence[P]) -> list[P]:
    """Holm's (1979) adjusted p-values, in the order given; None stays None and is not counted."""
    order = sorted((p, k) for k, p in enumerate(p_values) if p is not None)
    adjusted = list(p_values)
    reached = 0.0
    for rank, (p, k) in enumerate(order):
        reached = max(reached, min(1.0, (len(order) - rank) * p))
        adjusted[k] = reached
    return adjusted
