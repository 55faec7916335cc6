"""One image file -> pixels, through Pillow or pydicom: as stored and upright, never padded, clipped or guessed.

What comes out is what the file says: EXIF orientation applied, 16 bits kept, transparency laid over black, gray made
from colour by ITU-R 601-2 (Pillow's "L"); of DICOM what a viewer shows. What cannot be read faithfully is a DataError
that says why.
"""

import re
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, UnidentifiedImageError

from diascope.core.errors import DataError
from diascope.data.bounds import MOST_RLE_PIXELS, in_pieces, refuse_bomb, refuse_many_scans, too_many_pixels
from diascope.data.decoded import Decoded, MissingCodecError, Pixels, guarded
from diascope.data.image_file import read_image_file
from diascope.data.silence import silence

VERSION = "1"
"""Part of the cache key: another value when the same file would give other pixels."""

READS = "2"
"""Another value when files can be read that could not be before; what was refused under an older one is tried again."""

SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".tif", ".tiff", ".bmp", ".webp", ".dcm", ".dicom", ".ima"}
)
"""How the names of image files end, in lower case. DICOM files often have no such ending: see is_dicom."""

_FORMATS = ("JPEG", "PNG", "TIFF", "BMP", "WEBP")
_ORIENTATION = 0x0112
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}
_PNG = b"\x89PNG\r\n\x1a\n"
_BITS_PER_SAMPLE, _PHOTOMETRIC, _WHITE_IS_ZERO = 258, 262, 0
_TILE_WIDTH, _TILE_LENGTH = 322, 323


def read_image(source: str | Path | bytes, channels: int, frame: int | None = None, bits: int = 16) -> Pixels:
    """Pixels (H, W, channels), uint8, or uint16 where a gray file has 16 bits. `channels` is 1 or 3.

    Colour of 16 bits comes with the upper 8, as Pillow decodes it; of DICOM with all 16. `frame`, counted from 1,
    chooses one of a DICOM file that holds several. `bits` is how many of the 16 of a gray PNG or TIFF are used: their
    highest value becomes 65535, and what lies above is cut off.

    Raises DataError, with the file's path as its place, for whatever cannot be read.
    """
    return decode_image(source, channels, frame, bits).pixels


def decode_image(source: str | Path | bytes, channels: int, frame: int | None = None, bits: int = 16) -> Decoded:
    """As read_image, with the mode that the file has."""
    if isinstance(source, bytes):
        return decode(source, channels, frame, bits)
    try:
        return decode(read_image_file(source), channels, frame, bits)
    except OSError as error:
        raise DataError(os_reason(error), where=str(source), remedy=_REMEDY) from error
    except MissingCodecError as error:
        raise MissingCodecError(error.transfer_syntax, where=str(source)) from error
    except DataError as error:
        raise DataError(error.what, where=str(source), remedy=error.remedy or _REMEDY) from error


def decode(data: bytes, channels: int, frame: int | None = None, bits: int = 16) -> Decoded:
    """As read_image, from the bytes of a file."""
    if is_dicom(data):
        from diascope.data.dicom import decode_dicom  # whoever has no DICOM does not wait for pydicom

        return decode_dicom(data, channels, frame)
    if frame is not None and frame > 1:
        raise DataError(f"data.frame asks for frame {frame:,}, but only DICOM files can hold several")
    image = _loaded(data)
    mode = image.mode
    deep = mode.startswith("I;16")
    pixels = _deep_pixels(image, channels, bits) if deep else _shallow_pixels(image, channels)
    return Decoded(np.ascontiguousarray(pixels), mode)


def is_deep(beginning: bytes) -> bool:
    """Whether a file that begins so may be gray with 16 bits: a PNG that says so; a TIFF says it elsewhere."""
    if beginning.startswith(_PNG):
        return beginning[24:26] == b"\x10\x00"  # 16 bits, gray
    return beginning.startswith((b"II*\0", b"MM\0*"))


def stored_gray(data: bytes) -> tuple[NDArray[np.uint16], int | None] | None:
    """The values (H, W) of a gray PNG or TIFF of 16 bits as they are stored, and how many bits a PNG says are used.

    None for any other file. Raises DataError as decode does.
    """
    image = _loaded(data)
    if not image.mode.startswith("I;16"):
        return None
    place = data.find(b"sBIT", 0, data.find(b"IDAT")) if data.startswith(_PNG) else -1
    return np.asarray(image).astype(np.uint16), data[place + 4] if place >= 0 else None


def spread_over_16(pixels: Pixels, bits: int) -> Pixels:
    """Values of so many bits over the whole range of 16, those above cut off; 8-bit pixels stay as they are."""
    if bits == 16 or pixels.dtype == np.uint8:
        return pixels
    top = 2**bits - 1
    spread: NDArray[np.float64] = np.rint(np.minimum(pixels, top) * (65535 / top))
    return spread.astype(np.uint16)


def is_dicom(beginning: bytes) -> bool:
    """Whether a file that begins so, with 132 bytes or more, is DICOM (PS3.10 7.1)."""
    return beginning[128:132] == b"DICM"


def os_reason(error: OSError) -> str:
    """Why the system does not give the file, in its own words."""
    return (error.strerror or type(error).__name__).lower()


_REMEDY = "replace or remove the file"


def _loaded(data: bytes) -> Image.Image:
    """The image that Pillow makes of the file, its pixels decoded."""

    def load() -> Image.Image:
        image = _open(data)
        _refuse_costly(image, data)
        _refuse_several_frames(image)
        image.load()
        return image

    if not data:
        raise DataError("empty file (0 bytes)")
    return guarded(load, lambda error: DataError(_damage(error, len(data))))


def _open(data: bytes) -> Image.Image:
    try:
        with silence():  # Pillow warns of large images, which are refused here
            return Image.open(in_pieces(data), formats=_FORMATS)
    except Image.DecompressionBombError as error:  # more than twice the limit; it does not tell height and width
        pixels = re.search(r"\d+", str(error))
        raise too_many_pixels(f"{int(pixels[0]):,}" if pixels else "far") from error
    except UnidentifiedImageError as error:
        raise DataError(_what_instead(data)) from error


def _refuse_costly(image: Image.Image, data: bytes) -> None:
    """Raise DataError for an image that would take too much memory or time to decode."""
    refuse_bomb(image.width, image.height)
    tags = getattr(image, "tag_v2", {})
    refuse_bomb(tags.get(_TILE_WIDTH, 0), tags.get(_TILE_LENGTH, 0))  # a tile may be larger than its image
    if image.format in ("JPEG", "MPO"):
        refuse_many_scans(data)
    if "bmp_rle" in {tile.codec_name for tile in getattr(image, "tile", ())}:
        if image.width * image.height > MOST_RLE_PIXELS:
            raise DataError(f"a run-length encoded BMP of more than {MOST_RLE_PIXELS:,} pixels; save it as PNG")
        image.fp = BytesIO(data)  # type: ignore[attr-defined] # read byte by byte, which is not counted


_SIGNATURES = {
    b"\xff\xd8\xff": "JPEG",
    _PNG: "PNG",
    b"II*\0": "TIFF",
    b"MM\0*": "TIFF",
    b"BM": "BMP",
}
_BARE_DICOM = {b"\x02\0", b"\x08\0", b"\x10\0", b"\0\x02", b"\0\x08", b"\0\x10"}  # groups 2, 8, 16: they hold names


def _what_instead(data: bytes) -> str:
    """What a file that Pillow does not know might be."""
    name = next((name for start, name in _SIGNATURES.items() if data.startswith(start)), None)
    if data[:4] == b"RIFF" and data[8:12] == b"WEBP":
        name = "WebP"
    if name is not None:
        return f"damaged or truncated {name}: its {len(data):,} bytes hold no complete header"
    if data[:2] in _BARE_DICOM:
        return "perhaps a DICOM file without its preamble, which does not say how it is stored; save it as PS3.10 asks"
    return f"not a JPEG, PNG, TIFF, BMP, WebP or DICOM image: it begins with {data[:4]!r}"


def _refuse_several_frames(image: Image.Image) -> None:
    """A phone's MPO holds the photo first, then previews of it; any other second frame is content of its own."""
    frames = getattr(image, "n_frames", 1)
    if frames > 1 and image.format != "MPO":
        raise DataError(
            f"{frames} frames in one {image.format}: volumes and films are not supported, save one image a file"
        )


def _damage(error: BaseException, size: int) -> str:
    if "truncated" in str(error).lower():
        return f"truncated: the file ends after {size:,} bytes, before the image is complete"
    return f"damaged or truncated, {size:,} bytes ({str(error) or type(error).__name__})"


def _upright(image: Image.Image) -> Image.Image:
    """As EXIF says (TIFF was turned by Pillow when it was loaded). EXIF that cannot be read says nothing."""
    try:
        turn = _UPRIGHT.get(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # junk in place of EXIF raises nearly any exception; the pixels are whole all the same
        turn = None
    return image if turn is None else image.transpose(turn)


def _shallow_pixels(image: Image.Image, channels: int) -> NDArray[np.uint8]:
    if image.mode in {"I", "F"}:
        kind = "floating point" if image.mode == "F" else "signed or 32-bit integer"
        raise DataError(f"{kind} pixels, whose black and white are unknown; save it with 8 or 16 bits a pixel")
    image = _over_black(_upright(image))
    try:
        image = image.convert("L" if channels == 1 else "RGB")
    except ValueError as error:
        raise DataError(f"colour mode {image.mode} is not supported; save it as RGB or gray") from error
    pixels = np.asarray(image, dtype=np.uint8)
    return pixels.reshape(*pixels.shape[:2], channels)


def _over_black(image: Image.Image) -> Image.Image:
    if not image.has_transparency_data:
        return image
    rgba = image.convert("RGBA")
    black = Image.new("RGB", rgba.size)
    black.paste(rgba, mask=rgba.getchannel("A"))
    return black


def _deep_pixels(image: Image.Image, channels: int, used: int) -> Pixels:
    """16-bit gray; Pillow leaves two things of TIFF undone: fewer bits in 16, and white stored as zero."""
    tags = getattr(image, "tag_v2", {})
    bits = tags.get(_BITS_PER_SAMPLE, (16,))[0]
    if bits != 16:
        raise DataError(f"{bits} bits a pixel; save it with 8 or 16")
    pixels = spread_over_16(np.asarray(_upright(image)).astype(np.uint16), used)
    if tags.get(_PHOTOMETRIC) == _WHITE_IS_ZERO:
        pixels = 65535 - pixels
    return np.repeat(pixels[:, :, None], channels, axis=2)
