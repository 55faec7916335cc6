"""One DICOM file -> pixels as a viewer shows them, through pydicom; and nothing of it that may name a person.

Only the elements that pixels need are parsed. Messages quote numbers and words of the standard, never a text of the
file; what pydicom says goes nowhere, since it may quote one.
"""

from collections.abc import Callable
from dataclasses import dataclass
from os import fstat

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.encaps import get_frame
from pydicom.pixels.decoders.base import get_decoder
from pydicom.pixels.processing import apply_color_lut
from pydicom.pixels.utils import get_expected_length, pixel_array
from pydicom.uid import UID, JPEG2000TransferSyntaxes, JPEGLSTransferSyntaxes, JPEGTransferSyntaxes

from diascope.core.errors import DataError
from diascope.data.bounds import MOST_WIDE_PIXELS, CountedFile, in_pieces, refuse_bomb
from diascope.data.decoded import Decoded, MissingCodecError, T, guarded, with_channels
from diascope.data.dicom_bounds import parsed, refuse_large_palette, refuse_other_size
from diascope.data.grayscale import shown
from diascope.data.image_file import open_image
from diascope.data.silence import silence

GRAY = ("MONOCHROME1", "MONOCHROME2")
COLOUR = ("RGB", "YBR_FULL", "YBR_FULL_422", "YBR_ICT", "YBR_RCT")
PALETTE = "PALETTE COLOR"

_DESCRIPTION = (
    "SOPClassUID SamplesPerPixel PhotometricInterpretation PlanarConfiguration NumberOfFrames Rows Columns "
    "BitsAllocated BitsStored HighBit PixelRepresentation"
).split()
_NEEDED = (
    *_DESCRIPTION,
    *"PixelPaddingValue PixelPaddingRangeLimit RescaleIntercept RescaleSlope ModalityLUTSequence".split(),
    *"WindowCenter WindowWidth VOILUTFunction VOILUTSequence".split(),
    *(f"{colour}PaletteColorLookupTableDescriptor" for colour in ("Red", "Green", "Blue")),
    *(f"{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *(f"Segmented{colour}PaletteColorLookupTableData" for colour in ("Red", "Green", "Blue")),
    *"SharedFunctionalGroupsSequence PerFrameFunctionalGroupsSequence".split(),
    *"PixelData FloatPixelData DoubleFloatPixelData ExtendedOffsetTable ExtendedOffsetTableLengths".split(),
)
_PIXEL_DATA = (b"\xe0\x7f\x10\x00", b"\x7f\xe0\x00\x10")  # its tag, in either order of bytes
_END = b"\xff\xd9"  # the last bytes of every JPEG, JPEG-LS and JPEG 2000 codestream
_WITH_END = {*JPEGTransferSyntaxes, *JPEGLSTransferSyntaxes, *JPEG2000TransferSyntaxes}
_CONVERT = "convert it to Explicit VR Little Endian"


@dataclass(frozen=True)
class Encoding:
    """How a DICOM file holds its pixels; no element that may name a person."""

    compression: str  # name of the transfer syntax, such as "JPEG 2000 Image Compression (Lossless Only)"
    bits: int  # stored, of a sample; 0 where the file says nothing
    scanner: str  # manufacturer and model


def decode_dicom(data: bytes, channels: int, frame: int | None = None) -> Decoded:
    """Pixels (H, W, channels) of a file with the DICM mark; uint16 where more than 8 bits are stored.

    `frame` counts from 1; it must be given for files with several. `mode` of what is returned is the photometric
    interpretation. Raises DataError, and MissingCodecError where another package would read the file.
    """

    def read() -> Decoded:
        dataset = parsed(in_pieces(data), list(_NEEDED))
        photometric = _check(dataset, data)
        index = _frame_index(dataset, frame)
        stored = _stored(dataset, index)
        if photometric in GRAY:
            pixels = shown(stored, dataset, index)[:, :, None]
        elif photometric == PALETTE:
            refuse_large_palette(dataset)
            pixels = apply_color_lut(stored, dataset)[:, :, :3]
        else:
            pixels = _full_range(stored, int(dataset.BitsStored))
        return Decoded(np.ascontiguousarray(with_channels(pixels, channels)), photometric)

    return _quietly(read, len(data))


def encoding(data: bytes) -> Encoding:
    """Of the bytes of a DICOM file, without decoding its pixels. Raises DataError where they are none."""

    def read() -> Encoding:
        tags = ["BitsStored", "Manufacturer", "ManufacturerModelName"]
        dataset = parsed(in_pieces(data), tags, stop_before_pixels=True)
        maker = " ".join(str(dataset.get(tag) or "").strip() for tag in tags[1:])
        return Encoding(_name(_syntax(dataset)) or "", int(dataset.get("BitsStored") or 0), maker.strip())

    return _quietly(read, len(data))


def group_of(file: str, tag: str) -> tuple[str, bool]:
    """The text of the element `tag`, empty where there is none, and whether the file is of an image.

    The pixels are not read. Raises OSError, and DataError for damaged files.
    """
    with open_image(file) as stream:

        def read() -> tuple[str, bool]:
            dataset = parsed(CountedFile(stream.raw), [tag, "Rows"], stop_before_pixels=True)
            return str(dataset.get(tag) or "").strip(), "Rows" in dataset

        return _quietly(read, fstat(stream.fileno()).st_size)


def _quietly(read: Callable[[], T], size: int) -> T:
    """What `read` returns, or a DataError without any of the words that pydicom has for what is damaged."""

    def damaged(error: BaseException) -> DataError:
        kind = type(error).__name__
        return DataError(f"damaged DICOM file, or not as the standard asks: {size:,} bytes ({kind})")

    with silence():
        return guarded(read, damaged)


def _check(dataset: Dataset, data: bytes) -> str:
    """The photometric interpretation of an image that can be read; DataError for whatever cannot."""
    _refuse_without_pixels(dataset, data)
    missing = [name for name in _DESCRIPTION[1:] if name in _REQUIRED and dataset.get(name) is None]
    if missing:
        raise DataError(f"a DICOM file whose description of its pixels is incomplete: no {', '.join(missing)}")
    photometric = str(dataset.PhotometricInterpretation)
    samples, bits = int(dataset.SamplesPerPixel), int(dataset.BitsStored)
    if photometric not in (*GRAY, *COLOUR, PALETTE):
        raise DataError(f"its photometric interpretation is not one of {', '.join((*GRAY, *COLOUR, PALETTE))}")
    if samples != (3 if photometric in COLOUR else 1):
        raise DataError(f"{samples} samples a pixel, which is not {photometric}")
    allocated, highest = int(dataset.BitsAllocated), int(dataset.get("HighBit", bits - 1))
    if not 1 <= bits <= allocated or highest != bits - 1:
        what = f"{bits} bits stored of {allocated}, the highest at {highest}"
        raise DataError(f"its pixels lie in their bytes as no reader expects it: {what}")
    if dataset.PixelRepresentation == 1 and photometric not in GRAY:
        raise DataError(f"signed numbers as colours ({photometric})")
    rows, columns = int(dataset.Rows), int(dataset.Columns)
    refuse_bomb(columns, rows)
    if bits > 16 and rows * columns > MOST_WIDE_PIXELS:
        raise DataError(f"more than {MOST_WIDE_PIXELS:,} pixels of {bits} bits; save it with 16")
    return photometric


_REQUIRED = {*_DESCRIPTION} - {"SOPClassUID", "PlanarConfiguration", "NumberOfFrames", "HighBit"}


def _refuse_without_pixels(dataset: Dataset, data: bytes) -> None:
    if "PixelData" in dataset:
        return
    if "FloatPixelData" in dataset or "DoubleFloatPixelData" in dataset:
        raise DataError("floating point pixels, whose black and white are unknown; save it with 8 or 16 bits a pixel")
    if any(tag in data for tag in _PIXEL_DATA):
        raise DataError(f"truncated: the file ends after {len(data):,} bytes, before its pixel data do")
    kind = _name(dataset.get("SOPClassUID") or dataset.file_meta.get("MediaStorageSOPClassUID"))
    is_one = f": it is of the kind {kind}" if kind else ""
    raise DataError(f"a DICOM file without pixel data{is_one}")


def _frame_index(dataset: Dataset, frame: int | None) -> int:
    """Counted from 0."""
    frames = int(dataset.get("NumberOfFrames") or 1)
    if frame is None and frames > 1:
        raise DataError(f"{frames:,} frames in one DICOM file; choose one as data.frame, or save one image a file")
    if frame is not None and frame > frames:
        raise DataError(f"data.frame asks for frame {frame:,}, but the file holds {frames:,}")
    return (frame or 1) - 1


def _stored(dataset: Dataset, index: int) -> NDArray[np.integer]:
    """Values of one frame as they are stored, (H, W), or (H, W, 3) red, green, blue."""
    syntax = _syntax(dataset)
    name = _name(syntax) or "an unknown transfer syntax"
    try:
        decoder = get_decoder(syntax)
    except NotImplementedError:
        raise DataError(f"its transfer syntax, {name}, is not supported; {_CONVERT}") from None
    if not decoder.is_available:
        raise MissingCodecError(name)
    if not syntax.is_encapsulated:
        _refuse_other_length(dataset)
        return pixel_array(dataset, index=index)

    def undecodable(error: BaseException) -> DataError:
        if any("pylibjpeg" in package for package in decoder.missing_dependencies):
            return MissingCodecError(name)
        return DataError(f"its pixel data cannot be decoded as {name}: damaged, or of a kind no decoder knows")

    code = get_frame(dataset.PixelData, index, number_of_frames=int(dataset.get("NumberOfFrames") or 1))
    _refuse_cut_codestream(code, syntax)
    refuse_other_size(code, syntax, dataset)
    return guarded(lambda: pixel_array(dataset, index=index), undecodable)


def _refuse_other_length(dataset: Dataset) -> None:
    expected, found = get_expected_length(dataset), len(dataset.PixelData)
    frames = int(dataset.get("NumberOfFrames") or 1)
    if found < expected:
        raise DataError(f"truncated: {found:,} of {expected:,} bytes of pixel data")
    if found > expected + 1 and found >= expected * (frames + 1) // frames:
        raise DataError(f"{found:,} bytes of pixel data, where {expected:,} are described: it may hold other frames")


def _refuse_cut_codestream(code: bytes, syntax: UID) -> None:
    """Decoders fill what is missing of a JPEG with gray."""
    if syntax in _WITH_END and not code.rstrip(b"\0\xff").endswith(_END):
        raise DataError(f"truncated: its {_name(syntax)} ends after {len(code):,} bytes, before the image is complete")


def _full_range(pixels: NDArray[np.integer], bits: int) -> NDArray[np.uint8 | np.uint16]:
    """Colours of any number of bits with all 8, or all 16."""
    top, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    if bits in (8, 16):
        return pixels.astype(dtype, copy=False)
    scaled: NDArray[np.uint8 | np.uint16] = np.rint(pixels.astype(np.float64) * (top / (2**bits - 1))).astype(dtype)
    return scaled


def _syntax(dataset: Dataset) -> UID:
    syntax = dataset.file_meta.get("TransferSyntaxUID")
    if syntax is None:
        raise DataError(f"a DICOM file that does not say how its pixels are stored (no transfer syntax); {_CONVERT}")
    return UID(syntax)


def _name(uid: UID | None) -> str | None:
    """What the standard calls it; None for what is not in the standard."""
    return None if uid is None or UID(uid).name == uid else UID(uid).name
