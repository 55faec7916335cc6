"""Image files of a few bytes that claim, or unfold to, far more than an image holds: what a reader has to refuse.

python tests/bombs.py NAME...    reads each in this process and prints what came of it and the peak memory in bytes
"""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO

import numpy as np
from dicom_files import dicom
from PIL import Image
from pydicom.encaps import encapsulate
from pydicom.uid import (
    DeflatedExplicitVRLittleEndian,
    ImplicitVRLittleEndian,
    JPEG2000Lossless,
    JPEGBaseline8Bit,
    JPEGExtended12Bit,
    JPEGLosslessSV1,
    JPEGLSLossless,
    RLELossless,
)

HUGE = 65_500
GRAY = np.zeros((8, 8), np.uint8)


def segment(marker: int, payload: bytes) -> bytes:
    return struct.pack(">BBH", 0xFF, marker, len(payload) + 2) + payload


def jpeg(width: int = 8, height: int = 8, **options: object) -> bytes:
    stream = BytesIO()
    Image.new("L", (width, height), 90).save(stream, "JPEG", **options)
    return stream.getvalue()


def frame(marker: int) -> bytes:
    """A JPEG whose frame header says 65,500 x 65,500."""
    data, place = jpeg(), jpeg().index(b"\xff\xc0")
    return data[:place] + bytes([0xFF, marker, 0, 11, 8]) + struct.pack(">HH", HUGE, HUGE) + data[place + 9 :]


def progressive(scans: int, side: int) -> bytes:
    """A progressive JPEG that sends its last scan many times."""
    data = jpeg(side, side, progressive=True)
    place = data.rindex(b"\xff\xda")
    return data[:place] + data[place:-2] * scans + data[-2:]


def png(width: int, height: int, rows: bytes, *chunks: tuple[bytes, bytes], interlace: int = 0) -> bytes:
    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = (b"IHDR", struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, interlace))
    parts = (header, *chunks, (b"IDAT", rows), (b"IEND", b""))
    return b"\x89PNG\r\n\x1a\n" + b"".join(chunk(*part) for part in parts)


def tiff(entries: dict[int, int], data: bytes, pages: int = 1) -> bytes:
    """A little-endian TIFF; its directory follows the data, once a page."""
    directory = struct.pack("<H", len(entries))
    directory += b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    start, size = 8 + len(data), len(directory) + 4
    following = [start + size * (page + 1) for page in range(pages - 1)]
    return (
        b"II*\0"
        + struct.pack("<I", start)
        + data
        + b"".join(directory + struct.pack("<I", place) for place in [*following, 0])
    )


def encapsulated(code: bytes, syntax: str, pixels: np.ndarray = GRAY, photometric: str = "MONOCHROME2") -> bytes:
    return dicom(pixels, photometric, syntax=syntax, secrets={}, PixelData=encapsulate([code]))


def before_pixels(elements: bytes, *, deflate: bool = False) -> bytes:
    """A DICOM image with further elements, as they lie in a file, before its pixels."""
    data = dicom(GRAY, secrets={})
    start, place = 144 + int.from_bytes(data[140:144], "little"), data.index(b"\xe0\x7f\x10\x00")
    body = data[start:place] + elements + data[place:]
    if not deflate:
        return data[:start] + body
    compressor = zlib.compressobj(1, wbits=-zlib.MAX_WBITS)
    return deflated(compressor.compress(body) + compressor.flush())


def deflated(body: bytes) -> bytes:
    """A DICOM file of these deflated elements."""
    data = dicom(GRAY, syntax=DeflatedExplicitVRLittleEndian, secrets={})
    return data[: 144 + int.from_bytes(data[140:144], "little")] + body


def implicit(elements: bytes) -> bytes:
    """The same in the default syntax, where a file does not say which elements are sequences."""
    data = dicom(GRAY, secrets={}, syntax=ImplicitVRLittleEndian)
    place = data.index(b"\xe0\x7f\x10\x00")
    return data[:place] + elements + data[place:]


def fragments(count: int) -> bytes:
    """Compressed pixel data in so many pieces of nothing."""
    data, item = encapsulated(jpeg(), JPEGBaseline8Bit), b"\xfe\xff\x00\xe0"
    place = data.rindex(item)
    return data[:place] + (item + bytes(4)) * count + data[place:]


def element(group: int, number: int, vr: bytes, value: bytes) -> bytes:
    """Explicit VR, little endian, of a VR with 4 bytes of length."""
    return struct.pack("<HH2sHI", group, number, vr, 0, len(value)) + value


def palette_that_unfolds(times: int) -> bytes:
    """A segmented palette of few words that stand for 65,535 entries each."""
    elements: dict[str, object] = {}
    words = np.array([0, 1, 7] + [1, 65535, 7] * times, "<u2").tobytes()
    for name in ("Red", "Green", "Blue"):
        elements[f"{name}PaletteColorLookupTableDescriptor"] = [256, 0, 16]
        elements[f"Segmented{name}PaletteColorLookupTableData"] = words
    return dicom(GRAY, "PALETTE COLOR", secrets={}, **elements)


def huge_j2k() -> bytes:
    stream = BytesIO()
    Image.new("L", (8, 8), 90).save(stream, "JPEG2000", no_jp2=True)
    data = bytearray(stream.getvalue())
    data[8:16] = data[24:32] = struct.pack(">II", HUGE, HUGE)  # image and tile
    return bytes(data)


def rle(data: bytes, segments: int = 1) -> bytes:
    return struct.pack("<16I", segments, *[64] * segments, *[0] * (15 - segments)) + data


def items(count: int, number: int = 0x9230) -> bytes:
    """A sequence of empty ones."""
    return element(0x5200, number, b"SQ", b"\xfe\xff\x00\xe0\0\0\0\0" * count)


def zeros(mebibytes: int, wbits: int) -> bytes:
    """So many of zeros, deflated; made of one part that is repeated."""
    compressor = zlib.compressobj(9, wbits=wbits)
    start = compressor.compress(b"") + compressor.flush(zlib.Z_FULL_FLUSH)
    part = compressor.compress(bytes(1 << 20)) + compressor.flush(zlib.Z_FULL_FLUSH)
    return start + part * mebibytes


GRAY_TIFF = {256: 8, 257: 8, 258: 8, 259: 1, 262: 1, 273: 8, 277: 1, 278: 8, 279: 64}
ZEROS = zeros(300, zlib.MAX_WBITS)
ROWS = zlib.compress(bytes(72))
EMPTY = struct.pack("<HH2sH", 9, 0x1001, b"LO", 0)
WEBP_SIZE = b"\xfe\x3f\0" * 2

BOMBS: dict[str, tuple[Callable[[], bytes], str]] = {
    "dicom jpeg": (lambda: encapsulated(frame(0xC0), JPEGBaseline8Bit), "65,500 x 65,500 of 1 samples"),
    "dicom jpeg extended": (lambda: encapsulated(frame(0xC1), JPEGExtended12Bit), "65,500 x 65,500"),
    "dicom jpeg lossless": (lambda: encapsulated(frame(0xC3), JPEGLosslessSV1), "65,500 x 65,500"),
    "dicom jpeg-ls": (lambda: encapsulated(frame(0xF7), JPEGLSLossless), "65,500 x 65,500"),
    "dicom jpeg 2000": (lambda: encapsulated(huge_j2k(), JPEG2000Lossless), "65,500 x 65,500"),
    "dicom scans": (
        lambda: encapsulated(progressive(2000, 200), JPEGBaseline8Bit, np.zeros((200, 200), np.uint8)),
        "a JPEG of 2,005 scans",
    ),
    "dicom rle": (lambda: encapsulated(rle(b"\x81\x07" * (4 << 20)), RLELossless), ""),
    "dicom rle segments": (lambda: encapsulated(rle(b"\x81\x07", 15), RLELossless), "RLE header"),
    "dicom deflated": (lambda: deflated(zeros(8192, -zlib.MAX_WBITS)), "take more than the limit of 285,212,672"),
    "dicom deflated elements": (lambda: before_pixels(EMPTY * 600_000, deflate=True), "more than 500,000 separate"),
    "dicom elements": (lambda: before_pixels(EMPTY * 600_000), "more than 500,000 separate"),
    "dicom items": (lambda: before_pixels(items(2 << 20)), "sequences of 16,777,216 bytes"),
    "dicom implicit items": (
        lambda: implicit(struct.pack("<HHI", 0x5200, 0x9230, 16 << 20) + b"\xfe\xff\x00\xe0\0\0\0\0" * (2 << 20)),
        "sequences of 16,777,216 bytes",
    ),
    "dicom two sequences": (
        lambda: before_pixels(items(600 << 10, 0x9229) + items(600 << 10)),
        "sequences of 9,830,400 bytes",
    ),
    "dicom fragments": (lambda: fragments(600_000), "more than 500,000 separate"),
    "dicom palette": (lambda: palette_that_unfolds(10_000), "a segmented palette of more than 65,536 entries"),
    "jpeg scans": (lambda: progressive(2000, 4000), "a JPEG of 2,005 scans"),
    "jpeg padding": (lambda: b"\xff\xd8" + b"\xff" * 600_000, "more than 500,000 separate"),
    "png data": (lambda: png(8, 8, ZEROS), ""),
    "png text": (lambda: png(8, 8, ROWS, (b"zTXt", b"a\0\0" + ZEROS)), "too large"),
    "png profile": (lambda: png(8, 8, ROWS, (b"iCCP", b"a\0\0" + ZEROS)), "too large"),
    "png chunks": (lambda: png(8, 8, ROWS, *[(b"abCd", b"")] * 300_000), "more than 500,000 separate"),
    "png interlaced": (lambda: png(HUGE, HUGE, ZEROS, interlace=1), "too many pixels: 4,290,250,000"),
    "tiff pages": (lambda: tiff(GRAY_TIFF, bytes(64), 1_000), "1000 frames in one TIFF"),
    "tiff tile": (
        lambda: tiff({**GRAY_TIFF, 259: 8, 322: 65520, 323: 32000, 324: 8, 325: len(ZEROS)}, ZEROS),
        "too many pixels: 65,520 x 32,000",
    ),
    "tiff strip": (lambda: tiff({**GRAY_TIFF, 259: 8, 278: 2**31 - 1, 279: len(ZEROS)}, ZEROS), ""),
    "bmp": (lambda: rle_bmp(65_500, 1_360), "more than 20,000,000 pixels"),
    "webp": (lambda: webp(b"VP8X" + struct.pack("<I", 10) + bytes(4) + WEBP_SIZE), "too many pixels: 268,402,689"),
}
"""What makes the file, and what its refusal says; nothing where it is read at no cost."""


def rle_bmp(width: int, height: int) -> bytes:
    """A row of one pixel each, the rest of it left to the reader."""
    header = struct.pack("<IiiHHIIiiII", 40, width, height, 1, 8, 1, 0, 0, 0, 256, 0)
    head = struct.pack("<2sIHHI", b"BM", 0, 0, 0, 54 + 1024)
    return head + header + bytes(1024) + b"\x01\x07\0\0" * height


def webp(chunks: bytes) -> bytes:
    return b"RIFF" + struct.pack("<I", len(chunks) + 12) + b"WEBP" + chunks + b"VP8L\0\0\0\0"
