"""Mean and standard deviation of the pixels of one side: what `data.normalize: standard` takes off and divides by."""

import numpy as np
from numpy.typing import NDArray

_AT_ONCE = 256  # images: an array that is larger than memory streams through


def pixel_statistics(
    pixels: NDArray[np.uint8], rows: NDArray[np.int64]
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Mean (C,) and SD (C,; ddof 0) over the images `rows` of `pixels` (N, H, W, C), in units where white is 1.

    The sums are of whole numbers, so that neither order nor parts change a bit. A channel without any contrast counts
    as one with an SD of one gray level.
    """
    total = np.zeros(pixels.shape[3], dtype=np.int64)
    squares = np.zeros(pixels.shape[3], dtype=np.int64)
    for start in range(0, len(rows), _AT_ONCE):
        part = pixels[np.sort(rows[start : start + _AT_ONCE])].astype(np.int64)
        total += part.sum(axis=(0, 1, 2))
        squares += np.square(part).sum(axis=(0, 1, 2))
    count = len(rows) * pixels.shape[1] * pixels.shape[2]
    mean = total / count
    sd = np.sqrt(np.maximum(squares / count - mean**2, 0))
    return mean / 255, np.maximum(sd, 1.0) / 255
