"""Images of an index as they are, at their own size, in 8 bits."""

from collections.abc import Iterator, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diascope.data.decoded import Pixels
from diascope.data.index import Arrays, ImageIndex, PhantomNumber
from diascope.data.npz import npz_rows
from diascope.data.readers import read_image


def originals(index: ImageIndex, rows: Sequence[int], frame: int | None = None) -> Iterator[NDArray[np.uint8]]:
    """The images of these rows, which must ascend: (H, W, C) uint8 each, C 1 or 3. `frame` is data.frame.

    16 bits are stretched from the darkest pixel to the brightest. Raises DataError for a file that cannot be read.
    """
    if isinstance(index.origin, Arrays):
        pixels = npz_rows(index.origin.file, index.origin.counts, index.numbers[rows].tolist())
        yield from map(_eight_bits, pixels)
        return
    for row in rows:
        location = index.locate(row)
        if isinstance(location, Path):
            yield _eight_bits(read_image(location, 3, frame))
        elif isinstance(location, PhantomNumber):
            from diascope.data import phantoms

            yield phantoms.draw(location.kind, location.config, location.number).pixels


def _eight_bits(pixels: Pixels) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint8:
        return pixels.astype(np.uint8)
    low, high = int(pixels.min()), int(pixels.max())
    return np.rint((pixels.astype(np.float64) - low) / max(1, high - low) * 255).astype(np.uint8)
