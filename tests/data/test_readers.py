"""Readers: right pixels from every kind of file, oracles computed by hand; a reason for whatever cannot be read."""

import struct
import zlib
from collections.abc import Callable
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image, ImageFile
from real_data import REAL, needs_real_data

from diascope.core.errors import DataError
from diascope.data.decoded import with_channels
from diascope.data.readers import decode, read_image
from diascope.data.resize import resize


def encode(image: Image.Image, form: str, **options: Any) -> bytes:
    stream = BytesIO()
    image.save(stream, form, **options)
    return stream.getvalue()


def gray(*rows: list[int], dtype: type = np.uint8) -> Image.Image:
    return Image.fromarray(np.array(rows, dtype=dtype))


def tiff(values: np.ndarray, *, bits: int = 16, white: int = 1, orientation: int = 1, data: bytes = b"") -> bytes:
    """A little-endian gray TIFF of one strip, written by hand."""
    height, width = values.shape
    data = data or values.astype(f"<u{bits // 8}").tobytes()
    entries = {256: width, 257: height, 258: bits, 259: 1, 262: white, 273: 0, 274: orientation, 277: 1, 278: height}
    entries[279] = len(data)
    entries[273] = 8 + 2 + 12 * len(entries) + 4
    directory = b"".join(struct.pack("<HHII", tag, 4, 1, value) for tag, value in sorted(entries.items()))
    return b"II*\0" + struct.pack("<IH", 8, len(entries)) + directory + b"\0\0\0\0" + data


def png_of_size(width: int, height: int) -> bytes:
    """A PNG that claims a size and holds next to nothing."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))

    header = struct.pack(">IIBBBBB", width, height, 8, 0, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b"\0")) + chunk(b"IEND", b"")


DEEP = np.array([[0, 257, 1000], [40000, 65535, 7]], dtype=np.uint16)


@pytest.mark.parametrize("form", ["PNG", "TIFF"])
def test_16_bits_keep_their_scale(form: str) -> None:
    pixels = read_image(encode(Image.fromarray(DEEP), form), 1)
    assert pixels.dtype == np.uint16
    assert pixels.shape == (2, 3, 1)
    assert np.array_equal(pixels[:, :, 0], DEEP)
    assert resize(pixels, 2, 3, "stretch")[:, :, 0].tolist() == [[0, 1, 4], [156, 255, 0]]  # v / 257, rounded


def test_16_bits_repeat_for_three_channels() -> None:
    pixels = read_image(encode(Image.fromarray(DEEP), "PNG"), 3)
    assert np.array_equal(pixels, np.repeat(DEEP[:, :, None], 3, axis=2))


def test_tiff_that_stores_white_as_zero_is_turned_around() -> None:
    assert np.array_equal(read_image(tiff(DEEP, white=0), 1)[:, :, 0], 65535 - DEEP)
    shallow = np.array([[0, 10, 255]], dtype=np.uint8)
    assert np.array_equal(read_image(tiff(shallow, bits=8, white=0), 1)[:, :, 0], 255 - shallow)


def test_cmyk_becomes_rgb() -> None:
    """Full cyan and no black is (0, 255, 255); Adobe's JPEG stores CMYK inverted, which must not show."""
    image = Image.new("CMYK", (16, 16), (255, 0, 0, 0))
    for form, tolerance in (("JPEG", 3), ("TIFF", 0)):
        pixels = read_image(encode(image, form), 3).astype(int)
        assert np.abs(pixels - [0, 255, 255]).max() <= tolerance


def test_palette_with_alpha_lies_over_black() -> None:
    image = Image.new("P", (2, 1))
    image.putpalette([255, 0, 0, 0, 0, 255])
    image.putpixel((1, 0), 1)
    data = encode(image, "PNG", transparency=bytes([128, 255]))
    assert read_image(data, 3).tolist() == [[[128, 0, 0], [0, 0, 255]]]
    assert read_image(data, 1).tolist() == [[[38], [29]]]  # 0.299 * 128, 0.114 * 255


@pytest.mark.parametrize(
    ("image", "options", "expected"),
    [
        (gray([5, 9]), {"transparency": 9}, [5, 0]),
        (Image.fromarray(np.array([[[200, 128], [100, 0]]], np.uint8)), {}, [100, 0]),  # 200 * 128 / 255
        (Image.new("RGBA", (2, 1), (90, 90, 90, 255)), {}, [90, 90]),
        (Image.new("1", (2, 1), 1), {}, [255, 255]),
        (gray([3, 250]), {}, [3, 250]),
    ],
)
def test_gray_alpha_and_single_bits(image: Image.Image, options: dict[str, Any], expected: list[int]) -> None:
    assert read_image(encode(image, "PNG", **options), 1)[0, :, 0].tolist() == expected


UPRIGHT = [[1, 2, 3], [4, 5, 6]]
STORED = {  # how a camera stores UPRIGHT, by EXIF's definition of each orientation
    1: [[1, 2, 3], [4, 5, 6]],
    2: [[3, 2, 1], [6, 5, 4]],
    3: [[6, 5, 4], [3, 2, 1]],
    4: [[4, 5, 6], [1, 2, 3]],
    5: [[1, 4], [2, 5], [3, 6]],
    6: [[3, 6], [2, 5], [1, 4]],
    7: [[6, 3], [5, 2], [4, 1]],
    8: [[4, 1], [5, 2], [6, 3]],
    99: [[1, 2, 3], [4, 5, 6]],  # nonsense turns nothing
}


@pytest.mark.parametrize("orientation", STORED)
def test_exif_orientation_is_applied(orientation: int) -> None:
    exif = Image.Exif()
    exif[0x0112] = orientation
    data = encode(gray(*STORED[orientation]), "PNG", exif=exif)
    assert read_image(data, 1)[:, :, 0].tolist() == UPRIGHT


@pytest.mark.parametrize("bits", [8, 16])
def test_tiff_is_turned_once(bits: int) -> None:
    pixels = read_image(tiff(np.array(STORED[6]), bits=bits, orientation=6), 1)
    assert pixels[:, :, 0].tolist() == UPRIGHT


def test_rotated_jpeg_stands_upright() -> None:
    exif = Image.Exif()
    exif[0x0112] = 6
    stored = np.zeros((16, 32), dtype=np.uint8)
    stored[:, :16] = 255  # the left half is the top when turned by 90 degrees clockwise
    pixels = read_image(encode(Image.fromarray(stored), "JPEG", quality=95, exif=exif), 1)
    assert pixels.shape == (32, 16, 1)
    assert pixels[:14].min() > 250
    assert pixels[18:].max() < 5


def test_junk_exif_does_not_cost_the_image() -> None:
    exif = b"Exif\0\0MM\0*\0\0\0\x08\0\x01\x01\x12\0\x02\0\0\0\x04abcd\0\0\0\0"
    assert read_image(encode(Image.new("L", (8, 8), 77), "JPEG", exif=exif), 1).min() == 77


def test_a_phone_photo_with_a_preview_is_its_first_picture() -> None:
    data = encode(Image.new("RGB", (8, 8), (9, 9, 9)), "MPO", save_all=True, append_images=[Image.new("RGB", (8, 8))])
    assert decode(data, 3).pixels.max() == 9


def picture() -> Image.Image:
    blocks = np.random.default_rng(0).integers(0, 256, (6, 6, 3))
    return Image.fromarray(np.kron(blocks, np.ones((16, 16, 1))).astype(np.uint8))


@pytest.mark.parametrize(
    ("form", "options"),
    [
        ("JPEG", {}),
        ("JPEG", {"progressive": True}),
        ("PNG", {}),
        ("BMP", {}),
        ("TIFF", {}),
        ("TIFF", {"compression": "tiff_lzw"}),
        ("WEBP", {}),
        ("WEBP", {"lossless": True}),
    ],
)
@pytest.mark.filterwarnings("ignore:.*(Truncated File Read|Corrupt EXIF)")  # Pillow says so, and then raises
def test_truncated_files_are_never_padded(form: str, options: dict[str, Any]) -> None:
    data = encode(picture(), form, **options)
    whole = read_image(data, 3)
    refused = 0
    for length in range(0, len(data), max(1, len(data) // 60)):
        reason = why_not(data[:length], whole)
        refused += reason != ""
        assert not reason or "truncated" in reason or "not a JPEG" in reason or "empty" in reason
    assert refused > 50


def why_not(data: bytes, whole: np.ndarray) -> str:
    """Why these bytes cannot be read; empty if they give the whole picture."""
    try:
        pixels = read_image(data, 3)
    except DataError as error:
        return str(error)
    assert np.array_equal(pixels, whole)  # nothing but what holds no pixels may be missing
    return ""


def test_a_truncated_jpeg_says_where_it_ends(tmp_path: Path) -> None:
    data = encode(picture(), "JPEG")
    (tmp_path / "a.jpg").write_bytes(data[:-300])
    with pytest.raises(DataError, match=rf"a\.jpg: truncated: the file ends after {len(data) - 300:,} bytes"):
        read_image(tmp_path / "a.jpg", 1)
    assert not ImageFile.LOAD_TRUNCATED_IMAGES


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (b"", r"empty file \(0 bytes\)"),
        (b"This is a text", "not a JPEG, PNG, TIFF, BMP, WebP or DICOM image: it begins with b'This'"),
        (b"\x89PNG\r\n\x1a\n", "damaged or truncated PNG: its 8 bytes"),
        (b"RIFF\0\0\0\0WEBP", "damaged or truncated"),
        (b"\0" * 128 + b"DICM" + b"\0" * 100, "DICOM file"),
        (b"\x08\0\x05\0CS\x0a\0ISO_IR 192", "perhaps a DICOM file without its preamble"),
        (encode(Image.new("L", (4, 4)), "GIF"), "begins with b'GIF8"),
        (encode(Image.fromarray(np.zeros((4, 4), np.float32)), "TIFF"), "floating point"),
        (encode(Image.fromarray(np.zeros((4, 4), np.int32)), "TIFF"), "integer"),
        (tiff(np.zeros((2, 2)), bits=12, data=bytes(6)), "12 bits a pixel"),
        (encode(Image.new("LAB", (4, 4)), "TIFF"), "colour mode LAB"),
        (encode(Image.new("L", (4, 4)), "TIFF", save_all=True, append_images=[Image.new("L", (4, 4))]), "2 frames"),
        (
            png_of_size(10_000, 9_000),
            "^too many pixels: 10,000 x 9,000 = 90,000,000, .* limit of 89,478,485; shrink it$",
        ),
        (png_of_size(60_000, 60_000), "^too many pixels: 3,600,000,000, .* limit of 89,478,485; shrink it$"),
    ],
)
def test_what_cannot_be_read_has_a_reason(data: bytes, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        read_image(data, 1)


@pytest.mark.filterwarnings("default")
def test_an_image_of_too_many_pixels_is_no_warning_but_one_error(tmp_path: Path, recwarn) -> None:
    (tmp_path / "huge.png").write_bytes(png_of_size(10_000, 9_000))
    with pytest.raises(DataError) as refused:
        read_image(tmp_path / "huge.png", 1)
    assert str(refused.value).endswith("huge.png: " + str(refused.value.what) + "; shrink it")
    assert not recwarn.list


def test_a_missing_file_is_named(tmp_path: Path) -> None:
    with pytest.raises(DataError, match=r"gone\.png: no such file"):
        read_image(tmp_path / "gone.png", 1)


def test_channels_are_weighted_as_pillow_does() -> None:
    colour = np.random.default_rng(0).integers(0, 256, (9, 9, 3), dtype=np.uint8)
    assert np.array_equal(with_channels(colour, 1)[:, :, 0], np.asarray(Image.fromarray(colour).convert("L")))
    deep = with_channels(np.array([[[65535, 0, 0], [0, 65535, 0]]], dtype=np.uint16), 1)
    assert deep[0, :, 0].tolist() == [19595, 38469]  # 0.299 and 0.587 of white


def test_stretch_is_exactly_pillows_bilinear() -> None:
    pixels = np.random.default_rng(1).integers(0, 256, (75, 100, 1), dtype=np.uint8)
    expected = Image.fromarray(pixels[:, :, 0]).resize((32, 24), Image.Resampling.BILINEAR)
    assert np.array_equal(resize(pixels, 24, 32, "stretch")[:, :, 0], np.asarray(expected))


def test_pad_centres_over_black() -> None:
    white = np.full((10, 20, 3), 255, dtype=np.uint8)
    padded = resize(white, 16, 16, "pad")
    assert padded[4:12].min() == 255
    assert padded[:4].max() == padded[12:].max() == 0
    assert resize(np.full((3, 900, 1), 255, np.uint8), 16, 16, "pad").sum() == 255 * 16  # one row is left of it


def test_crop_takes_the_centre() -> None:
    pixels = np.zeros((10, 30, 1), dtype=np.uint8)
    pixels[:, 10:20] = 200
    assert resize(pixels, 10, 10, "crop").min() == 200
    assert resize(np.transpose(pixels, (1, 0, 2)), 10, 10, "crop").min() == 200
    deep = pixels.astype(np.uint16) * 257
    assert resize(deep, 10, 10, "crop").min() == 200


@pytest.mark.parametrize("policy", ["stretch", "pad", "crop"])
@pytest.mark.parametrize("dtype", [np.uint8, np.uint16])
def test_every_policy_gives_the_size_asked_for(policy: Any, dtype: Callable[[int], int]) -> None:
    for height, width in ((1, 1), (1, 50), (50, 1), (33, 47)):
        resized = resize(np.full((height, width, 3), dtype(0), dtype=dtype), 8, 12, policy)  # type: ignore[arg-type]
        assert resized.shape == (8, 12, 3)
        assert resized.dtype == np.uint8


@needs_real_data
def test_real_images_are_what_the_lab_fed_to_keras() -> None:
    for file in sorted((REAL / "skin/benign").glob("*.jpg"))[:50]:
        with Image.open(file) as image:
            expected = image.convert("L").resize((128, 128), Image.Resampling.BILINEAR)
        assert np.array_equal(resize(read_image(file, 1), 128, 128, "stretch")[:, :, 0], np.asarray(expected))
