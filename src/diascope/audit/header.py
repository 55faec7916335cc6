"""What the header of an image file says beside its pixels: format, compression, the program or device that wrote it."""

from dataclasses import dataclass
from hashlib import blake2b
from io import BytesIO

import numpy as np
from PIL import Image

from diascope.core.errors import DataError
from diascope.data.readers import is_dicom

_MAKE, _MODEL, _SOFTWARE = 271, 272, 305  # of EXIF and TIFF; never a name, a date or a place
_STANDARD = (  # luminance table of ITU-T T.81, annex K, whose multiples most programs write, row by row
    16, 11, 10, 16, 24, 40, 51, 61, 12, 12, 14, 19, 26, 58, 60, 55, 14, 13, 16, 24, 40, 57, 69, 56, 14, 17, 22, 29,
    51, 87, 80, 62, 18, 22, 37, 56, 68, 109, 103, 77, 24, 35, 55, 64, 81, 104, 113, 92, 49, 64, 78, 87, 103, 121, 120,
    101, 72, 92, 95, 98, 112, 100, 103, 99,
)  # fmt: skip


def _table_of(quality: int) -> list[int]:
    """The luminance table that libjpeg writes for a quality of 1 to 100."""
    scale = 5000 // quality if quality < 50 else 200 - 2 * quality
    return np.clip((np.array(_STANDARD) * scale + 50) // 100, 1, 255).tolist()  # type: ignore[no-any-return]


_QUALITY = {tuple(_table_of(quality)): quality for quality in range(1, 101)}


@dataclass(frozen=True)
class Header:
    """See the fields of the same names in Facts; empty where a format does not say."""

    format: str = ""
    compression: str = ""
    camera: str = ""


def read_header(data: bytes) -> Header:
    """The header of a file that can be decoded; what of it is damaged is left empty."""
    if is_dicom(data):
        return _dicom(data)
    try:
        with Image.open(BytesIO(data)) as image:
            kind = "JPEG" if image.format == "MPO" else image.format or ""
            return Header(kind, _compression(image, kind), _camera(image))
    except Exception:  # damaged side information raises nearly any exception; the pixels are whole all the same
        return Header()


def _compression(image: Image.Image, kind: str) -> str:
    if kind == "JPEG":
        tables: dict[int, list[int]] = getattr(image, "quantization", {})
        quality = _QUALITY.get(tuple(tables.get(0, ())))
        written = blake2b(repr(sorted(tables.items())).encode(), digest_size=4).hexdigest()
        process = "progressive" if image.info.get("progressive") else "baseline"
        return f"quality {quality}, {process}" if quality else f"tables {written}, {process}"
    return str(image.info.get("compression", ""))


def _camera(image: Image.Image) -> str:
    tags = image.getexif()
    said = (str(tags.get(tag, "")).strip(" \0") for tag in (_MAKE, _MODEL, _SOFTWARE))
    return ", ".join(text for text in said if text)


def _dicom(data: bytes) -> Header:
    from diascope.data.dicom import encoding

    try:
        found = encoding(data)
    except DataError:  # as above
        return Header("DICOM")
    return Header("DICOM", found.compression, found.scanner)
