"""The bytes of one image file: a regular file after all its links, and none larger than an image needs."""

import os
from errno import EFBIG, EINVAL
from io import BufferedReader
from pathlib import Path
from stat import S_ISREG

MOST_BYTES = 768 << 20
"""Of a file. 89 million pixels (see bounds) of three colours with 16 bits take 512 MiB."""


def open_image(file: str | Path, most: int | None = MOST_BYTES) -> BufferedReader:
    """Open a file for reading.

    Raises OSError for what has no end or waits for somebody to write (a device, a pipe), for a folder, and for a file
    of more than `most` bytes.
    """
    status = os.stat(file)
    if not S_ISREG(status.st_mode):
        raise OSError(EINVAL, "a folder, pipe or device, not a regular file", str(file))
    if most is not None and status.st_size > most:
        raise OSError(EFBIG, f"{status.st_size:,} bytes, more than the limit of {most:,}", str(file))
    return Path(file).open("rb")


def read_image_file(file: str | Path) -> bytes:
    """All bytes of the file. Raises OSError as open_image does."""
    with open_image(file) as stream:
        return stream.read()


def beginning(file: str | Path, size: int) -> bytes:
    """The first bytes of the file; none of one that cannot be opened: reading it tells why."""
    try:
        with open_image(file, most=None) as stream:
            return stream.read(size)
    except OSError:
        return b""
