"""What the parts of a DICOM file may unfold to: its deflated elements, sequences, palettes and compressed frames.

Each is bounded by what is described outside of it: a compressed frame by Rows, Columns and SamplesPerPixel.
"""

import zlib
from collections.abc import Iterator
from struct import unpack_from
from typing import BinaryIO

import numpy as np
from pydicom import Dataset, dcmread
from pydicom.datadict import dictionary_VR
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

from diascope.core.errors import DataError
from diascope.data.bounds import in_pieces, jpeg_segments, refuse_many_scans

_MOST_INFLATED = 272 << 20  # bytes: 89 million pixels of three colours, and what describes them
_MOST_SEQUENCES = 8 << 20  # bytes of all sequences; pydicom makes an object of every 8 of them
_MOST_ENTRIES = 65536  # of a look-up table (PS3.3 C.7.6.3.1.5)
_DISCRETE, _LINEAR = 0, 1  # segments of a palette (C.7.9.2)
_START, _SIZE = b"\xff\x4f", b"\xff\x51"  # SOC and SIZ of JPEG 2000, one after the other (ITU-T T.800, A.4.1)
_FRAMES = {*range(0xC0, 0xD0), 0xDE, 0xF7} - {0xC4, 0xC8, 0xCC}  # SOF of JPEG, DHP, and SOF of JPEG-LS

Sizes = Iterator[tuple[int, int, int]]


def parsed(stream: BinaryIO, tags: list[str], *, stop_before_pixels: bool = False) -> Dataset:
    """The elements `tags` of a file, inflated where it is deflated."""
    stream.seek(132)
    meta = read_dataset(stream, False, True, stop_when=lambda tag, vr, length: tag.group != 2)
    syntax = meta.get("TransferSyntaxUID")
    start = stream.tell()
    stream.seek(0)
    if syntax == DeflatedExplicitVRLittleEndian:
        stream = in_pieces(_inflated(stream.read(), start))
    dataset = dcmread(stream, specific_tags=list(tags), stop_before_pixels=stop_before_pixels)
    if syntax == DeflatedExplicitVRLittleEndian:
        dataset.file_meta.TransferSyntaxUID = syntax
    unread = [element for element in dataset.values() if isinstance(element, RawDataElement)]
    size = sum(element.length for element in unread if (element.VR or dictionary_VR(element.tag)) == "SQ")
    if size > _MOST_SEQUENCES:
        raise DataError(f"sequences of {size:,} bytes, more than the limit of {_MOST_SEQUENCES:,}")
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
        start = _codestream(code)
        if code[start : start + 4] != _START + _SIZE:
            raise DataError("its JPEG 2000 frame does not begin with its size")
        right, lower, left, upper = unpack_from(">4I", code, start + 8)
        yield lower - upper, right - left, unpack_from(">H", code, start + 40)[0]
    elif syntax in (*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes):
        for marker, held in jpeg_segments(code):
            if marker in _FRAMES:
                yield unpack_from(">xHHB", held)


def _codestream(code: bytes) -> int:
    """Where the codestream of a JPEG 2000 frame begins: at once, or in a box of a JP2 file (ITU-T T.800, annex I)."""
    place = 0
    while code[place : place + 2] != _START:
        length, kind = unpack_from(">I4s", code, place)
        header = 16 if length == 1 else 8
        if kind == b"jp2c":
            return place + header
        length = unpack_from(">Q", code, place + 8)[0] if length == 1 else length
        place += max(length, header)
    return place


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
        if kind not in (_DISCRETE, _LINEAR):
            raise DataError("a segmented palette with indirect segments, which are not read; save it with plain ones")
        if entries > _MOST_ENTRIES:
            raise DataError(f"a segmented palette of more than {_MOST_ENTRIES:,} entries")
