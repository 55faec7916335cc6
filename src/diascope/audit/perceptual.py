"""Perceptual hashes of all thumbnails at once: one bit a low frequency, as pHash (Zauner 2010), with variants.

A hash says for each of 63 low frequencies of the cosine transform whether the image has more of it than the images of
the data set have on average: where all images look alike, as X-rays do, it tells of what differs. Turning or mirroring
the image turns and mirrors its coefficients, so that eight orientations cost one transform. A cropped image is met by
hashing the others with their borders cut off.
"""

from collections.abc import Iterator

import numpy as np
from numpy.typing import NDArray

ORIENTATIONS = 8  # see oriented()
CROPS = (  # top, bottom, left, right: what of the height and width is kept
    (0.0, 1.0, 0.0, 1.0),
    (0.05, 0.95, 0.05, 0.95),
    (0.0, 0.95, 0.0, 0.95),
    (0.0, 0.95, 0.05, 1.0),
    (0.05, 1.0, 0.0, 0.95),
    (0.05, 1.0, 0.05, 1.0),
)
_SIDE = 8  # coefficients a direction
_CHUNK = 4096  # images at a time
_FLIP = (-1.0) ** np.arange(_SIDE)  # mirroring an image changes the sign of its odd frequencies

Hashes = NDArray[np.uint64]
Coefficients = NDArray[np.float32]


def oriented(images: NDArray[np.generic], orientation: int) -> NDArray[np.generic]:
    """(..., H, W) in one of eight orientations: transposed (4), mirrored top for bottom (2), left for right (1)."""
    if orientation & 4:
        images = np.swapaxes(images, -1, -2)
    if orientation & 2:
        images = images[..., ::-1, :]
    return images[..., ::-1] if orientation & 1 else images


def hashes(thumbnails: NDArray[np.uint8]) -> tuple[Hashes, Hashes]:
    """(N, T, T) -> the hash of each image in eight orientations, (N, 8), and upright in each crop, (N, len(CROPS))."""
    if not len(thumbnails):  # of nothing there is no average
        return np.empty((0, ORIENTATIONS), np.uint64), np.empty((0, len(CROPS)), np.uint64)
    cropped = _crop_coefficients(thumbnails)
    turned = [_oriented_coefficients(cropped[:, 0], orientation) for orientation in range(ORIENTATIONS)]
    middle = np.mean([part.mean(axis=0) for part in turned], axis=0)
    orientations = np.stack([_bits(part - middle) for part in turned], axis=1)
    crops = np.stack([_bits(cropped[:, place] - middle) for place in range(len(CROPS))], axis=1)
    return orientations, crops


def _crop_coefficients(thumbnails: NDArray[np.uint8]) -> Coefficients:
    """(N, len(CROPS), 8, 8): the low frequencies of each image, of mean 0 and SD 1, in each crop."""
    side = thumbnails.shape[1]
    bases = [(_basis(side, top, bottom), _basis(side, left, right)) for top, bottom, left, right in CROPS]
    found = np.empty((len(thumbnails), len(CROPS), _SIDE, _SIDE), np.float32)
    for start, images in _standardized(thumbnails):
        for place, (rows, columns) in enumerate(bases):
            found[start : start + len(images), place] = rows @ images @ columns.T
    return found


def _standardized(thumbnails: NDArray[np.uint8]) -> Iterator[tuple[int, NDArray[np.float32]]]:
    for start in range(0, len(thumbnails), _CHUNK):
        images = thumbnails[start : start + _CHUNK].astype(np.float32)
        images -= images.mean(axis=(1, 2), keepdims=True)
        yield start, images / (images.std(axis=(1, 2), keepdims=True) + 1)


def _basis(side: int, start: float, stop: float) -> NDArray[np.float32]:
    """(8, side): the cosines of the transform of what lies between two edges, given as shares of the side."""
    place = ((np.arange(side) + 0.5) / side - start) / (stop - start)
    inside = (place > 0) & (place < 1)
    waves = np.cos(np.pi * np.arange(_SIDE)[:, None] * place) * inside
    basis: NDArray[np.float32] = (waves / np.sqrt((waves**2).sum(axis=1, keepdims=True))).astype(np.float32)
    return basis


def _oriented_coefficients(coefficients: Coefficients, orientation: int) -> Coefficients:
    """What the coefficients of the image are in another orientation, without transforming it again."""
    if orientation & 4:
        coefficients = np.swapaxes(coefficients, 1, 2)
    if orientation & 2:
        coefficients = coefficients * _FLIP[:, None].astype(np.float32)
    if orientation & 1:
        coefficients = coefficients * _FLIP.astype(np.float32)
    return coefficients


def _bits(coefficients: Coefficients) -> Hashes:
    """(N, 8, 8) -> (N,): the sign of each but the mean, which lies in the highest bit and is left 0."""
    signs = (coefficients > 0).reshape(len(coefficients), -1)
    signs[:, 0] = False
    return np.packbits(signs, axis=1).view(">u8")[:, 0].astype(np.uint64)
