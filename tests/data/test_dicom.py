"""DICOM pixels against formulas of the standard, computed here with NumPy; and what is refused, in which words."""

import logging
import subprocess
import sys
import warnings
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pydicom
import pytest
from dicom_files import SECRETS, dicom, look_up_table
from PIL import Image
from pydicom import Dataset
from pydicom.encaps import encapsulate
from pydicom.uid import (
    MPEG2MPML,
    ExplicitVRBigEndian,
    ExplicitVRLittleEndian,
    JPEGBaseline8Bit,
    JPEGLosslessSV1,
    RLELossless,
)

from diascope.data import dicom as dicom_module
from diascope.data.dicom import Encoding, encoding
from diascope.data.readers import MissingCodecError, decode, read_image
from diascope.data.silence import silence
from diascope.errors import DataError

WHEEL = Path(pydicom.__file__).parent / "data"
FILES = WHEEL / "test_files"
CT = np.array([[0, 1, 100, 1023], [1024, 1500, 2048, 4095]], dtype=np.uint16)


def gray(data: bytes) -> np.ndarray:
    return decode(data, 1).pixels[:, :, 0]


def deep(shown: np.ndarray) -> np.ndarray:
    """0 to 1 as 16 bits."""
    return np.rint(np.clip(shown, 0, 1) * 65535).astype(np.uint16)


def linear(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, with y from 0 to 1."""
    inside = ((values - (center - 0.5)) / max(width - 1, 1e-300)) + 0.5
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    return np.where(values <= low, 0, np.where(values > high, 1, inside))


def linear_exact(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.2."""
    inside = (values - center) / width + 0.5
    return np.where(values <= center - width / 2, 0, np.where(values > center + width / 2, 1, inside))


def sigmoid(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.1."""
    return 1 / (1 + np.exp(-4 * (values - center) / width))


# Windows, tables, signs and depths


@pytest.mark.parametrize("function", [None, "LINEAR", "LINEAR_EXACT", "SIGMOID"])
@pytest.mark.parametrize(("center", "width"), [(40, 400), (1000.5, 1.5), (-600, 1500)])
def test_windows_of_hounsfield_units(function: str | None, center: float, width: float) -> None:
    formula = {"LINEAR_EXACT": linear_exact, "SIGMOID": sigmoid}.get(function or "", linear)
    elements = {} if function is None else {"VOILUTFunction": function}
    window = {"WindowCenter": center, "WindowWidth": width}
    data = dicom(CT, bits=12, RescaleSlope=1, RescaleIntercept=-1024, **window, **elements)
    with np.errstate(over="ignore"):
        assert np.array_equal(gray(data), deep(formula(CT.astype(float) - 1024, center, width)))


def test_monochrome1_is_inverted_after_the_window() -> None:
    window = {"WindowCenter": 1000, "WindowWidth": 2000}
    shown = linear(CT.astype(float), 1000, 2000)
    assert np.array_equal(gray(dicom(CT, "MONOCHROME1", bits=12, **window)), deep(1 - shown))
    eight = np.array([[0, 10, 255]], dtype=np.uint8)
    assert gray(dicom(eight, "MONOCHROME1")).tolist() == [[255, 245, 0]]


def test_signed_numbers() -> None:
    values = np.array([[-2048, -1000, 0], [40, 1000, 2047]], dtype=np.int16)
    data = dicom(values, bits=12, RescaleSlope=2, RescaleIntercept=10, WindowCenter=40, WindowWidth=400)
    assert np.array_equal(gray(data), deep(linear(values * 2.0 + 10, 40, 400)))


def test_bits_above_those_stored_do_not_count() -> None:
    """Old files keep overlays there (PS3.5 8.1.1)."""
    window = {"WindowCenter": 2048, "WindowWidth": 4096}
    assert np.array_equal(gray(dicom(CT | 0xF000, bits=12, **window)), gray(dicom(CT, bits=12, **window)))


def test_a_falling_slope_turns_values_not_the_window() -> None:
    data = dicom(CT, bits=12, RescaleSlope=-1, RescaleIntercept=4095, WindowCenter=2000, WindowWidth=500)
    assert np.array_equal(gray(data), deep(linear(4095 - CT.astype(float), 2000, 500)))


def test_the_first_of_several_windows_counts() -> None:
    data = dicom(CT, bits=12, WindowCenter=[500, 2000], WindowWidth=[100, 4000])
    assert np.array_equal(gray(data), deep(linear(CT.astype(float), 500, 100)))


def test_eight_bits_without_a_window_stay_as_they_are() -> None:
    values = np.array([[3, 77, 200]], dtype=np.uint8)
    pixels = gray(dicom(values))
    assert pixels.dtype == np.uint8
    assert np.array_equal(pixels, values)
    signed = np.array([[-128, 0, 127]], dtype=np.int8)
    assert gray(dicom(signed)).tolist() == [[0, 128, 255]]
    six = np.array([[0, 21, 63]], dtype=np.uint8)
    assert gray(dicom(six, bits=6)).tolist() == [[0, 85, 255]]


@pytest.mark.parametrize("elements", [{}, {"WindowCenter": "", "WindowWidth": ""}, {"RescaleSlope": 3}])
def test_more_bits_without_a_window_are_spread_from_the_smallest_to_the_largest(elements: dict[str, Any]) -> None:
    values = np.array([[100, 150], [200, 300]], dtype=np.uint16)
    assert np.array_equal(gray(dicom(values, **elements)), deep((values - 100.0) / 200))
    assert not gray(dicom(np.full((2, 2), 700, np.uint16), **elements)).any()


def test_padding_has_no_part_in_the_spread() -> None:
    values = np.array([[-2000, -2000, -1990], [0, 500, 1000]], dtype=np.int16)
    assert np.array_equal(
        gray(dicom(values, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)), deep(values / 1000)
    )
    assert gray(dicom(values, PixelPaddingValue=-2000))[0].tolist() == [0, 0, 0]


def test_an_odd_number_of_bytes_is_padded_and_no_second_frame() -> None:
    assert gray(dicom(np.array([[77]], dtype=np.uint8))).tolist() == [[77]]


def test_32_bits() -> None:
    values = np.array([[5, 2**31], [2**32 - 1, 7]], dtype=np.uint32)
    assert np.array_equal(gray(dicom(values)), deep((values - 5.0) / (2**32 - 6)))


@pytest.mark.parametrize("packed", [False, True])
def test_modality_table_and_voi_table(packed: bool) -> None:
    """Tables of 300 entries, the second with 8 bits; values beyond an end take its entry (C.11.1.1, C.11.2.1.1)."""
    first_table = [min(4095, 13 * number) for number in range(300)]
    second_table = [number * 255 // 299 for number in range(300)]
    values = np.array([[0, 90, 100, 110], [200, 395, 400, 4000]], dtype=np.uint16)
    modality = look_up_table(first_table, 100, 12, packed=packed)
    voi = look_up_table(second_table, 1000, 8, packed=packed)
    middle = np.array(first_table)[np.clip(values.astype(int) - 100, 0, 299)]
    expected = np.array(second_table)[np.clip(middle - 1000, 0, 299)] / 255
    window = {"WindowCenter": 5, "WindowWidth": 5}  # the table counts, where both are given
    data = dicom(values, bits=12, ModalityLUTSequence=modality, VOILUTSequence=voi, **window)
    assert np.array_equal(gray(data), deep(expected))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ExplicitVRBigEndian])
def test_tables_in_either_order_of_bytes(syntax: str) -> None:
    voi = look_up_table([0, 1000, 4095], 1, 12, packed=True)
    if syntax == ExplicitVRBigEndian:
        voi[0]["LUTData"].value = np.frombuffer(voi[0].LUTData, "<u2").astype(">u2").tobytes()
    values = np.array([[1, 2, 3]], dtype=np.uint16)
    data = dicom(values, bits=12, syntax=syntax, VOILUTSequence=voi)
    assert np.array_equal(gray(data), deep(np.array([[0, 1000, 4095]]) / 4095))


def test_a_table_that_begins_below_zero() -> None:
    values = np.array([[-20, -10, -9, 5]], dtype=np.int16)
    voi = look_up_table([0, 100, 4095], -10, 12)
    assert np.array_equal(gray(dicom(values, VOILUTSequence=voi)), deep(np.array([[0, 0, 100, 4095]]) / 4095))


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


def test_frames_of_enhanced_images_have_windows_of_their_own() -> None:
    def group(sequence: str, **elements: object) -> Dataset:
        item, found = Dataset(), Dataset()
        for name, value in elements.items():
            setattr(item, name, value)
        setattr(found, sequence, [item])
        return found

    frames = np.stack([CT, CT])
    shared = group("PixelValueTransformationSequence", RescaleSlope=2, RescaleIntercept=-7)
    own = [group("FrameVOILUTSequence", WindowCenter=100 * k, WindowWidth=900) for k in (1, 9)]
    groups = {"SharedFunctionalGroupsSequence": [shared], "PerFrameFunctionalGroupsSequence": own}
    data = dicom(frames, bits=12, NumberOfFrames=2, **groups)
    for frame, center in ((1, 100), (2, 900)):
        shown = linear(CT * 2.0 - 7, center, 900)
        assert np.array_equal(decode(data, 1, frame).pixels[:, :, 0], deep(shown))


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
        ("JPEG2000-embedded-sequence-delimiter.dcm", "cannot be decoded as JPEG 2000 Image Compression"),
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
        (dicom(CT, RescaleSlope=0, RescaleIntercept=0), "rescale slope is 0"),
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


def test_a_missing_codec_is_named_with_the_remedy(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    class Bare:
        is_available = False

    monkeypatch.setattr(dicom_module, "get_decoder", lambda syntax: Bare())
    file = tmp_path / "a.dcm"
    file.write_bytes((FILES / "SC_rgb_jpeg_gdcm.dcm").read_bytes())
    with pytest.raises(
        MissingCodecError, match=r"a\.dcm: compressed by JPEG Lossless.*pip install 'diascope\[dicom\]'"
    ):
        read_image(file, 1)


def test_a_codec_that_is_only_half_there_is_named_too(monkeypatch: pytest.MonkeyPatch) -> None:
    """Pillow is always there, but decodes neither 12-bit JPEG nor all of JPEG 2000."""

    class Half:
        is_available = True
        missing_dependencies = ("pylibjpeg - requires pylibjpeg>=2.0",)

    def failing(*arguments: object, **options: object) -> None:
        raise RuntimeError(SECRETS["PatientName"])

    monkeypatch.setattr(dicom_module, "get_decoder", lambda syntax: Half())
    monkeypatch.setattr(dicom_module, "pixel_array", failing)
    with pytest.raises(MissingCodecError) as caught:
        decode((FILES / "JPGExtended.dcm").read_bytes(), 1)
    assert SECRETS["PatientName"] not in str(caught.value)


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
