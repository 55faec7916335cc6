"""What a decoder makes of an image file, and how its faults become the file's."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import TypeVar

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diascope.core.errors import DataError

T = TypeVar("T")
Pixels = NDArray[np.uint8 | np.uint16]


@dataclass(frozen=True)
class Decoded:
    """Pixels (H, W, C) uint8 or uint16, and the mode that the file had.

    Pillow's name for it (L, RGB, P, I;16, CMYK ...), or DICOM's photometric interpretation (MONOCHROME2 ...).
    """

    pixels: Pixels
    mode: str


class MissingCodecError(DataError):
    """A compressed DICOM file that another package would read: an error of the installation, not of the file."""

    def __init__(self, transfer_syntax: str, *, where: str = "") -> None:
        self.transfer_syntax = transfer_syntax
        what = f"compressed by {transfer_syntax}, and what decodes that is not installed"
        super().__init__(what, where=where, remedy="pip install 'diascope[dicom]'")


def with_channels(pixels: Pixels, channels: int) -> Pixels:
    """(H, W, 1 or 3) -> (H, W, channels): gray repeated, colour weighted as Pillow's "L" does (ITU-R 601-2)."""
    if pixels.shape[2] == channels:
        return pixels
    if channels == 3:
        return np.repeat(pixels, 3, axis=2)
    if pixels.dtype == np.uint16:
        weights = np.array([0.299, 0.587, 0.114])
        rows = [np.rint(row @ weights).astype(np.uint16) for row in pixels]  # as a whole, in float64, it takes 2 GiB
        return np.stack(rows)[:, :, None]
    return np.asarray(Image.fromarray(pixels).convert("L"), dtype=np.uint8)[:, :, None]


def guarded(read: Callable[[], T], fault: Callable[[BaseException], DataError]) -> T:
    """What `read` returns; what a decoder raises is a fault of the file, and becomes the error that `fault` makes.

    Damaged files raise nearly any exception. A panic of a decoder in Rust is not even an Exception.
    """
    try:
        return read()
    except (DataError, KeyboardInterrupt, SystemExit, GeneratorExit):
        raise
    except BaseException as error:
        refused = fault(error)
    raise refused  # here, where it has no context: pydicom's words may quote the file
