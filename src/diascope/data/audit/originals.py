"""Images of an index as they are, at their own size, in 8 bits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diascope.data.index import Arrays, ImageIndex, PhantomNumber
from diascope.data.npz import npz_pixels
from diascope.data.readers import Pixels, read_image


def originals(index: ImageIndex, rows: Sequence[int], frame: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """The images of these rows, which must ascend: (H, W, C) uint8 each, C 1 or 3. `frame` is data.frame.

    16 bits are stretched from the darkest pixel to the brightest. Raises DataError for a file that cannot be read.
    """
    if isinstance(index.origin, Arrays):
        yield from _of_arrays(index, index.origin, rows)
        return
    for row in rows:
        location = index.locate(row)
        if isinstance(location, Path):
            yield _eight_bits(read_image(location, 3, frame))
        elif isinstance(location, PhantomNumber):
            from diascope.data import phantoms

            yield phantoms.draw(location.kind, location.config, location.number).pixels


def _of_arrays(index: ImageIndex, origin: Arrays, rows: Sequence[int]) -> Iterator[NDArray[np.uint8]]:
    """One pass through the npz, as far as the last row."""
    wanted = [int(index.numbers[row]) for row in rows]
    images = (pixels for array in origin.counts for pixels in npz_pixels(origin.file, array))
    remaining = iter(wanted)
    number = next(remaining, None)
    for place, pixels in enumerate(images):
        if number is None:
            return
        if place == number:
            yield _eight_bits(pixels)
            number = next(remaining, None)


def _eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8)
    low, high = int(pixels.min()), int(pixels.max())
    return np.rint((pixels.astype(np.float64) - low) / max(1, high - low) * 255).astype(np.uint8)
