"""How many bits the gray values of a data set use: 12 bits in files of 16 would arrive as a handful of gray levels.

DICOM says itself how many it stores (see dicom.py), and 8 bits are 8 bits. Left are gray PNG and TIFF files and arrays
of 16 bits. A format that says nothing is taken at its word only as far as the pixels go: the set's own maximum, rounded
up to a depth that cameras and detectors have, is the depth of all its images.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from joblib import cpu_count

from diascope.core.errors import DataError
from diascope.data.decoded import Pixels
from diascope.data.identities import identify
from diascope.data.image_file import open_image
from diascope.data.index import Arrays, ImageIndex, Phantoms
from diascope.data.npz import npz_rows
from diascope.data.readers import is_deep, stored_gray
from diascope.data.store import cache_root, remember, remembered
from diascope.data.threads import in_threads

if TYPE_CHECKING:
    from diascope.config import DataConfig

DEPTHS = (8, 10, 12, 14, 16)
_HEADER = 4096  # bytes that say whether a PNG is deep
_SHALLOW = frozenset({".jpg", ".jpeg", ".jpe", ".jfif", ".bmp", ".webp", ".dcm", ".dicom", ".ima"})
_FORMAT = "1"


@dataclass(frozen=True)
class GrayDepth:
    """`bits` that the pixels are read with: what `used` says unless data.bits does.

    Of the gray images of 16 bits: how many there are, their largest value, and the largest 99.9th percentile of one.
    """

    bits: int
    used: int
    images: int
    maximum: int
    usual: int


def gray_depth(index: ImageIndex, config: "DataConfig", identities: list[str | None] | None = None) -> GrayDepth:
    """The depth of the set, found in one pass over its files and remembered by their content."""
    if isinstance(index.origin, Phantoms):
        return GrayDepth(16, 16, 0, 0, 0)
    if identities is None:
        identities, _ = identify(index, cpu_count(), lambda done, total: None)
    key = sha256("\n".join([_FORMAT, *map(str, identities)]).encode()).hexdigest()[:32]
    file = cache_root() / "depth" / f"{key}.json"
    known = remembered(file)
    if {"images", "maximum", "usual", "stated"} - set(known):
        extremes = [found for found in _extremes(index) if found is not None]
        columns = np.array(extremes, dtype=np.int64).reshape(-1, 3)
        highest = columns.max(axis=0, initial=0).tolist()
        known = {"images": len(extremes), **dict(zip(("maximum", "usual", "stated"), highest, strict=True))}
        remember(file, known)
    used = max(depth_of(known["maximum"]), known["stated"]) if known["images"] else 16
    asked = used if config.bits == "auto" else config.bits
    return GrayDepth(asked if known["images"] else 16, used, known["images"], known["maximum"], known["usual"])


def depth_of(maximum: int) -> int:
    """The smallest of DEPTHS that holds the value."""
    return next(bits for bits in DEPTHS if maximum < 2**bits)


def _extremes(index: ImageIndex) -> Iterator[tuple[int, int, int] | None]:
    """Of each gray image of 16 bits its maximum, its 99.9th percentile and the bits that it says it has, else 0."""
    if isinstance(index.origin, Arrays):
        for pixels in npz_rows(index.origin.file, index.origin.counts, index.numbers.tolist()):
            yield _extremes_of(pixels, None) if pixels.dtype == np.uint16 else None
        return
    yield from in_threads(lambda row: _of_file(index.locate(row)), range(len(index)), cpu_count())


def _of_file(location: object) -> tuple[int, int, int] | None:
    """None for a file that is not gray with 16 bits, and for one that cannot be read, which the decoding tells."""
    assert isinstance(location, Path)
    if location.suffix.lower() in _SHALLOW:
        return None
    try:
        with open_image(location) as stream:
            beginning = stream.read(_HEADER)
            if not is_deep(beginning):
                return None
            stored = stored_gray(beginning + stream.read())
    except (OSError, DataError):
        return None
    return None if stored is None else _extremes_of(*stored)


def _extremes_of(pixels: Pixels, stated: int | None) -> tuple[int, int, int]:
    maximum = int(pixels.max())
    believed = stated if stated is not None and stated in DEPTHS and maximum < 2**stated else 0
    return maximum, int(np.percentile(pixels, 99.9)), believed
