"""DICOM pixels of colours, frames and pydicom's own files, against formulas of the standard; and what is refused."""

import logging
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path

import numpy as np
import pydicom
import pytest
from dicom_files import SECRETS, dicom, look_up_table
from dicom_formulas import CT, deep, gray, linear
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from diascope.core.errors import DataError
from diascope.data.dicom import Encoding, encoding
from diascope.data.readers import decode, read_image
from diascope.data.silence import silence

WHEEL = Path(pydicom.__file__).parent / "data"
FILES = WHEEL / "test_files"
# Colours


COLOURS = np.array([[[255, 0, 0], [0, 255, 0]], [[0, 0, 255], [90, 120, 200]]], dtype=np.uint8)


def to_ybr(rgb: np.ndarray) -> np.ndarray:
    """PS3.3 C.7.6.3.1.2."""
    matrix = np.array([[0.299, 0.587, 0.114], [-0.1687, -0.3313, 0.5], [0.5, -0.4187, -0.0813]])
    return np.clip(np.rint(rgb @ matrix.T + [0, 128, 128]), 0, 255).astype(np.uint8)


def test_rgb_and_ybr_full() -> None:
    assert np.array_equal(decode(dicom(COLOURS, "RGB"), 3).pixels, COLOURS)
    assert np.abs(decode(dicom(to_ybr(COLOURS), "YBR_FULL"), 3).pixels.astype(int) - COLOURS).max() <= 2
    planes = np.ascontiguousarray(COLOURS.transpose(2, 0, 1)).reshape(COLOURS.shape)
    assert np.array_equal(decode(dicom(planes, "RGB", PlanarConfiguration=1), 3).pixels, COLOURS)


def test_rgb_of_16_bits_keeps_them() -> None:
    wide = COLOURS.astype(np.uint16) * 257
    assert np.array_equal(decode(dicom(wide, "RGB"), 3).pixels, wide)
    twelve = COLOURS.astype(np.uint16) * 16
    assert np.array_equal(decode(dicom(twelve, "RGB", bits=12), 3).pixels, deep(twelve / 4095))


def test_colour_becomes_gray_as_of_any_other_file() -> None:
    stream = BytesIO()
    Image.fromarray(COLOURS).save(stream, "PNG")
    assert np.array_equal(decode(dicom(COLOURS, "RGB"), 1).pixels, read_image(stream.getvalue(), 1))


def test_palette() -> None:
    places = np.array([[0, 1], [2, 1]], dtype=np.uint8)
    names = ("Red", "Green", "Blue")
    entries = ([0, 65535, 10], [300, 0, 20], [65535, 77, 30])
    elements = {f"{name}PaletteColorLookupTableDescriptor": [3, 0, 16] for name in names}
    elements |= {
        f"{name}PaletteColorLookupTableData": np.array(cells, "<u2").tobytes()
        for name, cells in zip(names, entries, strict=True)
    }
    pixels = decode(dicom(places, "PALETTE COLOR", **elements), 3)
    assert np.array_equal(pixels.pixels, np.array(entries).T[places])
    assert pixels.mode == "PALETTE COLOR"


# Frames


FRAMES = np.arange(24, dtype=np.uint8).reshape(3, 2, 4)


def test_several_frames_need_a_choice() -> None:
    data = dicom(FRAMES, NumberOfFrames=3)
    with pytest.raises(DataError, match=r"3 frames in one DICOM file; choose one as data\.frame"):
        decode(data, 1)
    for frame in (1, 2, 3):
        assert np.array_equal(decode(data, 1, frame).pixels[:, :, 0], FRAMES[frame - 1])
    with pytest.raises(DataError, match="asks for frame 4, but the file holds 3"):
        decode(data, 1, 4)
    assert np.array_equal(decode(dicom(FRAMES[0]), 1, 1).pixels[:, :, 0], FRAMES[0])


def test_other_files_have_one_frame() -> None:
    stream = BytesIO()
    Image.new("L", (4, 4)).save(stream, "PNG")
    assert decode(stream.getvalue(), 1, 1).pixels.shape == (4, 4, 1)
    with pytest.raises(DataError, match="only DICOM files can hold several"):
        decode(stream.getvalue(), 1, 2)


# pydicom's own files


def raw(name: str, dtype: str) -> tuple[Dataset, np.ndarray]:
    """The bytes of an uncompressed file, as numbers."""
    dataset = pydicom.dcmread(FILES / name)
    values = np.frombuffer(dataset.PixelData, dtype)[: dataset.Rows * dataset.Columns]
    return dataset, values.reshape(dataset.Rows, dataset.Columns).astype(float)


@pytest.mark.parametrize(
    ("name", "dtype"),
    [
        ("MR_small.dcm", "<i2"),
        ("MR_small_implicit.dcm", "<i2"),
        ("MR_small_bigendian.dcm", ">i2"),
        ("MR_small_padded.dcm", "<i2"),
        ("examples_overlay.dcm", "<u2"),
    ],
)
def test_windows_of_pydicoms_files(name: str, dtype: str) -> None:
    dataset, values = raw(name, dtype)
    center, width = (np.atleast_1d(dataset[tag].value)[0] for tag in ("WindowCenter", "WindowWidth"))
    assert "VOILUTSequence" not in dataset
    values = values * float(dataset.get("RescaleSlope", 1)) + float(dataset.get("RescaleIntercept", 0))
    expected = deep(linear(values, float(center), float(width)))
    assert expected.std() > 1000
    assert np.array_equal(gray((FILES / name).read_bytes()), expected)


def test_signed_ct_without_a_window() -> None:
    dataset, values = raw("CT_small.dcm", "<i2")
    assert "WindowCenter" not in dataset
    padding = dataset.get("PixelPaddingValue")
    inside = values if padding is None else values[values != int(padding)]
    expected = deep((values - inside.min()) / (inside.max() - inside.min()))
    assert np.array_equal(gray((FILES / "CT_small.dcm").read_bytes()), expected)


@pytest.mark.parametrize("number", ["6154", "6247", "6278"])
def test_inverted_radiographs_of_pydicom(number: str) -> None:
    (file,) = FILES.glob(f"dicomdirtests/**/{number}")
    dataset = pydicom.dcmread(file)
    values = np.frombuffer(dataset.PixelData, "<u2").reshape(dataset.Rows, dataset.Columns) & 0xFFF
    center, width = (np.atleast_1d(dataset[tag].value)[0] for tag in ("WindowCenter", "WindowWidth"))
    assert dataset.PhotometricInterpretation == "MONOCHROME1"
    densities = values * float(dataset.RescaleSlope) + float(dataset.RescaleIntercept)
    assert np.array_equal(gray(file.read_bytes()), deep(1 - linear(densities, float(center), float(width))))


@pytest.mark.parametrize("codec", ["RLE", "jp2klossless", "jpeg_ls_lossless"])
def test_lossless_files_give_the_pixels_of_the_plain_one(codec: str) -> None:
    plain = gray((FILES / "MR_small.dcm").read_bytes())
    assert np.array_equal(gray((FILES / f"MR_small_{codec}.dcm").read_bytes()), plain)


@pytest.mark.parametrize(
    "name",
    ["SC_rgb_rle.dcm", "SC_rgb_jpeg_gdcm.dcm", "SC_ybr_full_422_uncompressed.dcm", "SC_rgb_dcmtk_+eb+cy+np.dcm"],
)
def test_every_kind_of_colour_file_shows_the_same_bars(name: str) -> None:
    """One picture of ten bars, as DCMTK and GDCM saved it; lossy ones differ at edges."""
    whole = decode((FILES / "SC_rgb_rle.dcm").read_bytes(), 3).pixels.astype(int)
    assert whole[5, 50].tolist() == [255, 0, 0]  # the first is red
    assert whole[15, 50].tolist() == [255, 128, 128]
    pixels = decode((FILES / name).read_bytes(), 3).pixels.astype(int)
    assert np.median(np.abs(pixels - whole)) <= 1
    assert np.abs(pixels[5::10, 50] - whole[5::10, 50]).max() <= 5  # within the bars


def test_every_file_of_pydicoms_is_read_or_refused_in_one_sentence(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    outcomes = {file: _outcome(file) for file in sorted(WHEEL.rglob("*")) if file.is_file() and file.suffix != ".py"}
    read = [file for file, outcome in outcomes.items() if outcome is None]
    assert len(read) > 60
    for file, outcome in outcomes.items():
        if outcome is not None:
            assert 10 < len(outcome) < 300, file
            assert "\n" not in outcome
    assert not caplog.records


def _outcome(file: Path) -> str | None:
    """None for a file that is read, else why it is not."""
    try:
        pixels = decode(file.read_bytes(), 3).pixels
    except DataError as error:
        return str(error)
    assert pixels.ndim == 3
    assert pixels.shape[2] == 3
    return None


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("MR_truncated.dcm", "truncated: 8,130 of 8,192 bytes of pixel data"),
        ("test-SR.dcm", "without pixel data: it is of the kind Comprehensive SR Storage"),
        ("rtplan.dcm", "without pixel data: it is of the kind RT Plan Storage"),
        ("rtdose.dcm", "15 frames in one DICOM file"),
        ("dicomdirtests/DICOMDIR", "it is of the kind Media Storage Directory Storage"),
        ("ExplVR_LitEndNoMeta.dcm", "without its preamble"),
        ("JPEG2000-embedded-sequence-delimiter.dcm", "its compressed pixels are 3,722,445,056 x 1,024 of 1 samples"),
    ],
)
def test_refusals_of_pydicoms_files(name: str, reason: str) -> None:
    outcome = _outcome(FILES / name)
    assert outcome is not None
    assert reason in outcome


# What cannot be read faithfully


@pytest.mark.parametrize(
    ("data", "reason"),
    [
        (dicom(CT, PixelData=None), "without pixel data: it is of the kind Secondary Capture Image Storage"),
        (dicom(CT, BitsStored=None), "incomplete: no BitsStored"),
        (dicom(CT, WindowCenter=0, WindowWidth=0), "its window is 0 wide"),
        (dicom(CT, WindowCenter=0, WindowWidth=0.5), "its window is 0.5 wide"),
        (dicom(CT, WindowCenter=0, WindowWidth=9, VOILUTFunction="QUAXENBERG"), "not one of LINEAR, LINEAR_EXACT"),
        (
            dicom(CT, RescaleSlope=0, RescaleIntercept=0),
            "slope 0 and intercept 0 make every pixel the same",
        ),
        (dicom(CT, bits=12, HighBit=15), "12 bits stored of 16, the highest at 15"),
        (dicom(CT, "YBR_PARTIAL_422"), "photometric interpretation is not one of MONOCHROME1"),
        (dicom(COLOURS, "MONOCHROME2"), "3 samples a pixel, which is not MONOCHROME2"),
        (dicom(COLOURS.astype(np.int16), "RGB"), "signed numbers as colours"),
        (dicom(CT, VOILUTSequence=look_up_table([1, 2], 0, 40)), "look-up table"),
        (dicom(CT, Rows=1), "16 bytes of pixel data, where 8 are described"),
        (dicom(CT, Rows=3), "truncated: 16 of 24 bytes"),
        (dicom(CT, Rows=60000, Columns=60000), "too many pixels: 60,000 x 60,000"),
        (dicom(CT, syntax=MPEG2MPML, PixelData=encapsulate([b"\0" * 8])), "MPEG2 Main Profile / Main Level"),
    ],
)
def test_refusals(data: bytes, reason: str) -> None:
    with pytest.raises(DataError) as caught:
        decode(data, 1)
    assert reason in str(caught.value)
    assert not any(secret in str(caught.value) for secret in SECRETS.values())


def test_floating_point_pixels_are_refused() -> None:
    dataset = pydicom.dcmread(BytesIO(dicom(CT)))
    del dataset.PixelData
    dataset.FloatPixelData = np.zeros(8, np.float32).tobytes()
    dataset.BitsAllocated = 32
    stream = BytesIO()
    dataset.save_as(stream)
    with pytest.raises(DataError, match="floating point pixels"):
        decode(stream.getvalue(), 1)


def jpeg_dicom() -> bytes:
    picture = np.kron(np.random.default_rng(0).integers(0, 256, (6, 6)), np.ones((8, 8))).astype(np.uint8)
    stream = BytesIO()
    Image.fromarray(picture).save(stream, "JPEG")
    data = dicom(picture, syntax=JPEGBaseline8Bit, PixelData=encapsulate([stream.getvalue()]))
    assert np.array_equal(gray(data), read_image(stream.getvalue(), 1)[:, :, 0])
    return data


@pytest.mark.parametrize(
    "file",
    [None, "MR_small.dcm", "MR_small_RLE.dcm", "MR_small_jp2klossless.dcm", "MR_small_jpeg_ls_lossless.dcm",
     "SC_rgb_jpeg_gdcm.dcm", "image_dfl.dcm"],
)  # fmt: skip
def test_truncated_files_are_never_padded(file: str | None) -> None:
    data = jpeg_dicom() if file is None else (FILES / file).read_bytes()
    whole = decode(data, 3).pixels
    refused = 0
    for length in (*range(0, len(data), max(1, len(data) // 40)), len(data) - 20, len(data) - 2):
        try:
            assert np.array_equal(decode(data[:length], 3).pixels, whole)  # nothing but what holds no pixels is missing
        except DataError:
            refused += 1
    assert refused > 35


def test_damaged_pixel_data_are_refused_without_words_of_the_file() -> None:
    data = bytearray((FILES / "SC_rgb_jpeg_gdcm.dcm").read_bytes())
    start = data.find(b"\xff\xd8\xff")
    data[start + 30 : start + 400] = b"\xff\x00" * 185
    with pytest.raises(DataError) as caught:
        decode(bytes(data), 3)
    assert caught.value.__cause__ is None
    assert "JPEG Lossless" in str(caught.value)


# Codecs


def test_one_changed_byte_that_makes_a_decoder_panic_is_a_fault_of_the_file() -> None:
    """pylibjpeg-rle counts past the end of its frame and panics; so does a run longer than the image."""
    data = bytearray((FILES / "MR_small_RLE.dcm").read_bytes())
    data[1544] = 98
    with pytest.raises(DataError, match="cannot be decoded as RLE Lossless"):
        decode(bytes(data), 1)


WITHOUT_CODECS = """
import sys
sys.modules |= dict.fromkeys(("pylibjpeg", "libjpeg", "openjpeg", "rle", "gdcm"))  # as if they were not installed
from diascope.data.readers import read_image
from diascope.data.decoded import MissingCodecError
for file in sys.argv[1:]:
    try:
        print("read", read_image(file, 1).shape)
    except MissingCodecError as error:
        print(error)
"""


def test_missing_codecs_are_named_with_the_remedy() -> None:
    """Pillow, which is always there, decodes JPEG of 8 bits, but not of 12."""
    names = ["SC_rgb_jpeg_gdcm.dcm", "MR_small_jpeg_ls_lossless.dcm", "JPGExtended.dcm", "SC_rgb_jpeg_dcmtk.dcm",
             "MR_small_RLE.dcm"]  # fmt: skip
    command = [sys.executable, "-W", "error", "-c", WITHOUT_CODECS, *(str(FILES / name) for name in names)]
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    lines = done.stdout.splitlines()
    for name, line, syntax in zip(names, lines, ("JPEG Lossless", "JPEG-LS Lossless", "JPEG Extended"), strict=False):
        assert f"{name}: compressed by {syntax}" in line
        assert line.endswith("pip install 'diascope[dicom]'")
    assert lines[3:] == ["read (100, 100, 1)", "read (64, 64, 1)"]
    assert done.stderr == ""


@pytest.mark.parametrize("syntax", [RLELossless, JPEGLosslessSV1, JPEGBaseline8Bit])
def test_codecs_of_the_extra_are_known_to_pydicom(syntax: str) -> None:
    """The extra `dicom` is what the remedy names."""
    from pydicom.pixels.decoders.base import get_decoder

    assert get_decoder(syntax).is_available


# Nothing leaks


def test_encoding_says_nothing_of_the_patient() -> None:
    data = dicom(CT, bits=12, Manufacturer="Maker", ManufacturerModelName="Model 3", syntax=ExplicitVRBigEndian)
    assert encoding(data) == Encoding("Explicit VR Big Endian", 12, "Maker Model 3")
    assert encoding((FILES / "JPEG2000.dcm").read_bytes()).compression == "JPEG 2000 Image Compression"


def test_what_pydicom_says_goes_nowhere(caplog: pytest.LogCaptureFixture) -> None:
    """Of a number that is none pydicom says what stands there: a warning, a line in the log, and an error."""
    data = dicom(CT[None], NumberOfFrames="1")
    place = data.find(b"\x28\x00\x08\x00IS") + 8
    data = data[:place] + b"7Q" + data[place + 2 :]
    caplog.set_level(logging.DEBUG)
    with pytest.warns(UserWarning, match="7Q"), pytest.raises(ValueError, match="7Q"):
        int(pydicom.dcmread(BytesIO(data)).NumberOfFrames)  # so it would say it
    caplog.clear()
    with pytest.raises(DataError) as caught:
        decode(data, 1)
    assert "7Q" not in str(caught.value)
    assert caught.value.__cause__ is caught.value.__context__ is None
    assert not caplog.records


def test_silence_of_several_threads_ends_with_the_last() -> None:
    logger = logging.getLogger("pydicom")
    before = list(warnings.filters), logger.propagate

    def quiet(number: int) -> bool:
        with silence():
            warnings.warn(f"said {number}", stacklevel=1)
            return logger.propagate

    with ThreadPoolExecutor(4) as pool:
        assert not any(pool.map(quiet, range(200)))
    assert (list(warnings.filters), logger.propagate) == before


def test_whoever_has_no_dicom_does_not_import_pydicom() -> None:
    code = "import sys, diascope.data.cache, diascope.data.index, diascope.config; assert 'pydicom' not in sys.modules"
    subprocess.run([sys.executable, "-c", code], check=True)
