"""What an image file may cost, asked of its headers before anything is decoded: pixels, scans, pieces.

A file of a kilobyte can claim four thousand million pixels, or repeat a scan a thousand times. With these bounds one
file takes at most 2 GiB of memory and 30 seconds (docs/data.md).
"""

import re
from collections.abc import Iterator
from io import BufferedReader, BytesIO

from PIL import Image

from diascope.core.errors import DataError

MOST_SCANS = 100
"""Of a progressive JPEG, as in libtiff; programs write some 10."""
MOST_PIECES = 500_000
"""That a parser written in Python reads of one file, some microseconds each: tags, chunks, segments, pages."""
MOST_RLE_PIXELS = 20_000_000
"""Of a BMP with run-length encoding, which Pillow decodes in Python, pixel by pixel."""
MOST_WIDE_PIXELS = 20_000_000
"""Of a DICOM image that stores more than 16 bits, whose values have to be sorted."""
SHRINK = "shrink it"
"""How the reason ends why an image of too many pixels is not read."""

_MARKER = re.compile(rb"\xff[\x80-\xcf\xd8-\xfe]")  # but for restarts; less than 80 follows within coded data
_ALONE = (0xD8, 0x01)
_SCAN, _END = 0xDA, 0xD9


def in_pieces(data: bytes) -> BytesIO:
    """The bytes of a file for a parser that reads them piece by piece; DataError after too many pieces."""
    return _CountedBytes(data) if len(data) > MOST_PIECES else BytesIO(data)  # counting costs a tenth of a JPEG


class _Counted:
    _left = MOST_PIECES

    def read(self, size: int | None = -1, /) -> bytes:
        self._left -= 1
        if self._left < 0:
            raise DataError(f"more than {MOST_PIECES:,} separate parts in one file; save the image alone")
        found: bytes = super().read(size)  # type: ignore[misc]
        return found


class _CountedBytes(_Counted, BytesIO):
    """Of a file that was read."""


class CountedFile(_Counted, BufferedReader):
    """A file that lies on the disk, of which only the beginning is needed."""


def refuse_bomb(width: int, height: int) -> None:
    """Raise DataError for an image that would take more memory than Pillow finds reasonable."""
    limit = Image.MAX_IMAGE_PIXELS  # read each time: whoever really has larger images raises it, or sets None
    if limit is not None and width * height > limit:
        raise too_many_pixels(f"{width:,} x {height:,} = {width * height:,}")


def too_many_pixels(pixels: str) -> DataError:
    """The error for an image of so many."""
    return DataError(f"too many pixels: {pixels}, more than the limit of {Image.MAX_IMAGE_PIXELS:,}", remedy=SHRINK)


def refuse_many_scans(data: bytes) -> None:
    """Raise DataError for a JPEG of more scans than any program writes: each takes a pass over all pixels."""
    if data.count(b"\xff\xda") <= MOST_SCANS:  # also in comments and behind the end, but this is quick
        return
    scans = sum(marker == _SCAN for marker, _ in jpeg_segments(data))
    if scans > MOST_SCANS:
        raise DataError(f"a JPEG of {scans:,} scans, more than the limit of {MOST_SCANS}")


def jpeg_segments(data: bytes) -> Iterator[tuple[int, bytes]]:
    """The markers of a JPEG or JPEG-LS with what their segments hold, as far as its end (ITU-T T.81, annex B)."""
    place = 0
    while found := _MARKER.search(data, place):
        marker, place = data[found.end() - 1], found.end()
        if marker == _END:
            return
        if marker not in _ALONE:
            length = int.from_bytes(data[place : place + 2])
            yield marker, data[place + 2 : place + length]
            place += max(length, 2)
