"""Pairs of images whose hashes nearly agree, without comparing every image with every other: bits are sampled.

Locality-sensitive hashing (Indyk & Motwani 1998): a table puts images that agree in a random sample of bits side by
side. Who is near in many bits meets in some table. An image meets at most LIMIT others a table and orientation, so that
the number of comparisons grows with the number of images whatever they show.
"""

from dataclasses import dataclass
from math import log2

import numpy as np
from numpy.typing import NDArray

from diascope.audit.perceptual import CROPS, ORIENTATIONS, Hashes

TABLES = 32
LIMIT = 8  # neighbours an image is compared with, a table and orientation
FAR = 10  # of 63 bits: pairs that differ in more are no candidates
KEPT = 16  # candidates an image: those that differ least
_SEED = 0x64696173  # which bits are sampled must not change from one audit to the next


@dataclass(frozen=True, eq=False)
class Candidates:
    """M pairs to look at: `second`, turned by `orientation`, may show what `first` shows, cut to `crop`."""

    first: NDArray[np.int64]  # (M,) rows
    second: NDArray[np.int64]
    orientation: NDArray[np.int64]  # see perceptual.oriented
    crop: NDArray[np.int64]  # number in perceptual.CROPS
    distance: NDArray[np.int64]  # bits that differ
    compared: int  # how many comparisons of hashes it took


def candidates(orientations: Hashes, crops: Hashes) -> Candidates:
    """Pairs from hashes in eight orientations, (N, 8), and in each crop, (N, C); each pair of images once."""
    images = len(orientations)
    generator = np.random.default_rng(_SEED)
    bits = min(32, max(12, round(log2(max(2, images))) + 5))
    found = np.empty((0, 5), np.int64)
    compared = 0
    for _ in range(TABLES):
        sample = generator.choice(63, bits, replace=False)
        mask = np.bitwise_or.reduce(np.uint64(1) << sample.astype(np.uint64))
        met = _meetings(orientations.ravel(), crops.ravel(), mask, generator)
        compared += len(met[0])
        found = _nearest(np.concatenate([found, _near(*met, orientations, crops)]))
    found = _of_each(found, images)
    return Candidates(found[:, 0], found[:, 1], found[:, 2], found[:, 3], found[:, 4], compared)


def _meetings(
    queries: Hashes, keys: Hashes, mask: np.uint64, generator: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Places in `queries` and `keys` that agree under the mask, at most LIMIT for each query."""
    order = generator.permutation(len(keys))  # of a crowd it is chance who is met
    order = order[np.argsort(keys[order] & mask, kind="stable")]
    sorted_keys = keys[order] & mask
    wanted = queries & mask
    start = np.searchsorted(sorted_keys, wanted, "left")
    size = np.minimum(np.searchsorted(sorted_keys, wanted, "right") - start, LIMIT)
    query = np.repeat(np.arange(len(queries)), size)
    within = np.arange(len(query)) - np.repeat(np.cumsum(size) - size, size)
    return query, order[np.repeat(start, size) + within]


def _near(query: NDArray[np.int64], key: NDArray[np.int64], orientations: Hashes, crops: Hashes) -> NDArray[np.int64]:
    """(M, 5): rows of the two images, orientation, crop and distance of the meetings that are near."""
    second, orientation = np.divmod(query, ORIENTATIONS)
    first, crop = np.divmod(key, len(CROPS))
    distance = np.bitwise_count(orientations.ravel()[query] ^ crops.ravel()[key]).astype(np.int64)
    near = (first != second) & (distance <= FAR)
    meetings: NDArray[np.int64] = np.stack([first, second, orientation, crop, distance], axis=1)[near]
    return meetings


def _nearest(found: NDArray[np.int64]) -> NDArray[np.int64]:
    """Of each pair of images the meeting of the least distance."""
    low, high = found[:, :2].min(axis=1), found[:, :2].max(axis=1)
    order = np.lexsort((found[:, 3], found[:, 2], found[:, 4], high, low))
    low, high = low[order], high[order]
    new = np.ones(len(order), bool)
    new[1:] = (low[1:] != low[:-1]) | (high[1:] != high[:-1])
    return found[order[new]]


def _of_each(found: NDArray[np.int64], images: int) -> NDArray[np.int64]:
    """Pairs that are among the KEPT nearest ones of one of their images."""
    keep = np.zeros(len(found), bool)
    for side in (0, 1):
        order = np.lexsort((found[:, 4], found[:, side]))
        rows = found[order, side]
        place = np.arange(len(rows)) - np.searchsorted(rows, rows)
        keep[order[place < KEPT]] = True
    return found[keep]
