"""Windows, look-up tables, signs and depths of gray DICOM images, against the formulas of the standard."""

from typing import Any

import numpy as np
import pytest
from dicom_files import dicom, look_up_table
from dicom_formulas import CT, deep, gray, linear, linear_exact, sigmoid
from pydicom import Dataset
from pydicom.uid import ExplicitVRBigEndian, ExplicitVRLittleEndian, ImplicitVRLittleEndian

from diascope.core.errors import DataError
from diascope.data.readers import decode


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


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_padding_has_no_part_in_the_spread(syntax: str) -> None:
    values = np.array([[-2000, -2000, -1990], [0, 500, 1000]], dtype=np.int16)
    assert np.array_equal(
        gray(dicom(values, syntax=syntax, PixelPaddingValue=-2000, PixelPaddingRangeLimit=-1990)), deep(values / 1000)
    )
    assert gray(dicom(values, syntax=syntax, PixelPaddingValue=-2000))[0].tolist() == [0, 0, 0]


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


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian, ExplicitVRBigEndian])
def test_tables_in_either_order_of_bytes(syntax: str) -> None:
    voi = look_up_table([0, 1000, 4095], 1, 12, packed=True)
    if syntax == ExplicitVRBigEndian:
        voi[0]["LUTData"].value = np.frombuffer(voi[0].LUTData, "<u2").astype(">u2").tobytes()
    values = np.array([[1, 2, 3]], dtype=np.uint16)
    data = dicom(values, bits=12, syntax=syntax, VOILUTSequence=voi)
    assert np.array_equal(gray(data), deep(np.array([[0, 1000, 4095]]) / 4095))


@pytest.mark.parametrize("syntax", [ExplicitVRLittleEndian, ImplicitVRLittleEndian])
def test_a_table_that_begins_below_zero(syntax: str) -> None:
    values = np.array([[-20, -10, -9, 5]], dtype=np.int16)
    voi = look_up_table([0, 100, 4095], -10, 12)
    assert np.array_equal(
        gray(dicom(values, syntax=syntax, VOILUTSequence=voi)), deep(np.array([[0, 0, 100, 4095]]) / 4095)
    )


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


@pytest.mark.filterwarnings("ignore:Invalid value for VR DS")  # pydicom, when it writes the file
@pytest.mark.parametrize("value", ["NaN", "inf", "-inf", "1e400"])
@pytest.mark.parametrize("name", ["RescaleSlope", "RescaleIntercept", "WindowCenter", "WindowWidth"])
def test_numbers_that_are_not_finite_are_refused(name: str, value: str) -> None:
    """They would make a flat image, silently."""
    usual = {"RescaleSlope": "1", "RescaleIntercept": "0", "WindowCenter": "2000", "WindowWidth": "3000"}
    with pytest.raises(DataError, match="not finite"):
        decode(dicom(CT, bits=12, **(usual | {name: value})), 1)


@pytest.mark.parametrize(
    ("slope", "intercept", "reason"),
    [("1e307", "0", "not finite"), ("1", "1e300", "every pixel the same"), ("0", "5", "every pixel the same")],
)
def test_numbers_that_leave_nothing_of_an_image_are_refused(slope: str, intercept: str, reason: str) -> None:
    with pytest.raises(DataError, match=reason):
        decode(dicom(CT, bits=12, RescaleSlope=slope, RescaleIntercept=intercept), 1)
