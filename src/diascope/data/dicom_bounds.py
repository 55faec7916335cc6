"""What the parts of a DICOM file may unfold to: its deflated elements, sequences, palettes and compressed frames.

Each is bounded by what is described outside of it: a compressed frame by Rows, Columns and SamplesPerPixel.
"""

import re
import zlib
from collections.abc import Iterator
from struct import unpack_from

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.dataelem import RawDataElement
from pydicom.filereader import read_dataset
from pydicom.uid import (
    UID,
    DeflatedExplicitVRLittleEndian,
    ExplicitVRLittleEndian,
    JPEG2000TransferSyntaxes,
    JPEGLSTransferSyntaxes,
    JPEGTransferSyntaxes,
    RLELossless,
)

from diascope.data.bounds import in_pieces, jpeg_segments, refuse_many_scans
from diascope.errors import DataError

_MOST_INFLATED = 272 << 20  # bytes: 89 million pixels of three colours, and what describes them
_MOST_SEQUENCE = 8 << 20  # bytes of a sequence; pydicom makes an object of every 8 of them
_MOST_ENTRIES = 65536  # of a look-up table (PS3.3 C.7.6.3.1.5)
_DISCRETE, _LINEAR = 0, 1  # segments of a palette (C.7.9.2)
_SIZE = re.compile(rb"\xff\x4f\xff\x51")  # SOC and SIZ of JPEG 2000 (ITU-T T.800, A.5.1)
_FRAMES = {*range(0xC0, 0xD0), 0xDE, 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF of JPEG, DHP, and SOF of JPEG-LS

Sizes = Iterator[tuple[int, int, int]]


def parsed(data: bytes, tags: list[str], *, stop_before_pixels: bool = False) -> Dataset:
    """The elements `tags` of a file, inflated where it is deflated."""
    stream = in_pieces(data)
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    syntax = meta.get("TransferSyntaxUID")
    if syntax == DeflatedExplicitVRLittleEndian:
        data = _inflated(data, stream.tell())
    dataset = dcmread(in_pieces(data), specific_tags=list(tags), stop_before_pixels=stop_before_pixels)
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    for element in dataset.values():
        if isinstance(element, RawDataElement) and element.VR == "SQ" and element.length > _MOST_SEQUENCE:
            raise DataError(f"a sequence of {element.length:,} bytes, more than the limit of {_MOST_SEQUENCE:,}")
    return dataset


def _inflated(data: bytes, start: int) -> bytes:
    """The file as one that is not deflated, so that pydicom does not inflate it without a limit."""
    stream = zlib.decompressobj(-zlib.MAX_WBITS)
    elements = stream.decompress(data[start:], _MOST_INFLATED)
    if stream.unconsumed_tail:
        raise DataError(f"its deflated elements take more than the limit of {_MOST_INFLATED:,} bytes")
    if not stream.eof:
        raise DataError(f"truncated: the file ends after {len(data):,} bytes, before its deflated elements do")
    plain = ExplicitVRLittleEndian.encode().ljust(len(DeflatedExplicitVRLittleEndian), b"\0")
    return data[:start].replace(DeflatedExplicitVRLittleEndian.encode(), plain) + elements


def refuse_other_size(code: bytes, syntax: UID, dataset: Dataset) -> None:
    """Raise DataError for a compressed frame that is not of the size, or the colours, that the file describes."""
    if syntax == RLELossless:
        _refuse_other_segments(code, dataset)
        return
    described = int(dataset.Rows), int(dataset.Columns), int(dataset.SamplesPerPixel)
    for size in _sizes(code, syntax):
        if size != described:
            rows, columns, samples = size
            what = f"its compressed pixels are {columns:,} x {rows:,} of {samples} samples"
            raise DataError(f"{what}, where {described[1]:,} x {described[0]:,} of {described[2]} are described")
    if syntax in JPEGTransferSyntaxes:
        refuse_many_scans(code)


def _sizes(code: bytes, syntax: UID) -> Sizes:
    """Rows, columns and samples by every header of a frame in it."""
    if syntax in JPEG2000TransferSyntaxes:
        for found in _SIZE.finditer(code):
            right, lower, left, upper = unpack_from(">4I", code, found.start() + 8)
            yield lower - upper, right - left, unpack_from(">H", code, found.start() + 40)[0]
    elif syntax in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes):
        for marker, held in jpeg_segments(code):
            if marker in _FRAMES:
                yield unpack_from(">xHHB", held)


def _refuse_other_segments(code: bytes, dataset: Dataset) -> None:
    """RLE has a segment for every byte of a pixel, each after the one before (PS3.5 G.5)."""
    expected = int(dataset.SamplesPerPixel) * int(dataset.BitsAllocated) // 8
    count, *starts = unpack_from("<16I", code)
    ends = [*starts[1:expected], len(code)]
    if count != expected or starts[0] < 64 or any(start >= end for start, end in zip(starts, ends, strict=False)):
        raise DataError(f"its RLE header does not describe {expected} segments within {len(code):,} bytes")


def refuse_large_palette(dataset: Dataset) -> None:
    """Raise DataError for a segmented palette that unfolds to more entries than one may have."""
    for colour in ("Red", "Green", "Blue"):
        words = dataset.get(f"Segmented{colour}PaletteColorLookupTableData")
        if words is not None:
            wide = int(dataset.RedPaletteColorLookupTableDescriptor[2]) > 8
            order = "<" if dataset.original_encoding[1] else ">"
            _refuse_unfolding(np.frombuffer(words, f"{order}u2" if wide else "u1").tolist())


def _refuse_unfolding(words: list[int]) -> None:
    entries = place = 0
    while place + 1 < len(words):
        kind, length = words[place : place + 2]
        entries += length
        place += 2 + (length if kind == _DISCRETE else 1)
        if kind not in (_DISCRETE, _LINEAR) or entries > _MOST_ENTRIES:
            raise DataError(f"a segmented palette of more than {_MOST_ENTRIES:,} entries, or of indirect segments")
