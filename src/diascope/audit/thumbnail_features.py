"""Facts -> columns of numbers (N, F) for a ridge regression whose penalty counts as that many images seen before."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

Reals = NDArray[np.float64]
_BINS = 8
_PIXEL_WEIGHT = 0.2  # of a pixel beside a level: as if each had been seen 50 times before to say nothing


def of_levels(values: Sequence[str]) -> Reals:
    """A column for each value: 1 where an image has it."""
    _, place = np.unique(np.array(values), return_inverse=True)
    return np.eye(place.max() + 1)[place]


def of_numbers(*columns: NDArray[np.float64] | NDArray[np.int64]) -> Reals:
    """Each (N,) column as it is, and in bins of equally many images, for relations that rise and fall."""
    parts = []
    for column in columns:
        edges = np.unique(np.quantile(column, np.arange(1, _BINS) / _BINS))
        parts += [standardized(column[:, None]), np.eye(len(edges) + 1)[np.searchsorted(edges, column, side="left")]]
    return np.concatenate(parts, axis=1)


def of_pictures(pictures: NDArray[np.uint8], size: int) -> Reals:
    """(N, S, S) pixels, averaged to `size` x `size`."""
    return standardized(shrunken(pictures, size).reshape(len(pictures), -1)) * _PIXEL_WEIGHT


def shrunken(pictures: NDArray[np.uint8], size: int) -> Reals:
    """(..., S, S) -> means of squares of pixels (..., size, size); S is a multiple of size."""
    side = pictures.shape[-1] // size
    squares: Reals = pictures.reshape(*pictures.shape[:-2], size, side, size, side).mean(axis=(-3, -1))
    return squares


def standardized(columns: NDArray[np.float64] | NDArray[np.int64]) -> Reals:
    """Each column less its mean, over its standard deviation; zeros where it is constant."""
    spread = columns.std(axis=0)
    return np.asarray((columns - columns.mean(axis=0)) / np.where(spread > 0, spread, 1), dtype=np.float64)
