"""Flips and the affine step against scipy.ndimage, on images without symmetry: direction, centre, fill and range."""

import numpy as np
import pytest
from augmenting import augmented, changed, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import ndimage

# What scipy calls the fills. Its "reflect" is numpy's "symmetric": d c b a | a b c d | d c b a.
MODES = {"nearest": "nearest", "constant": "grid-constant", "reflect": "reflect"}
fills = pytest.mark.parametrize("fill", MODES)
shapes = pytest.mark.parametrize("shape", [(20, 30, 1), (31, 17, 3)])


def each_channel(function, image: np.ndarray) -> np.ndarray:
    return np.stack([function(channel) for channel in np.moveaxis(image, 2, 0)], axis=2)


def resample(image: np.ndarray, forward: np.ndarray, shift=(0, 0), *, mode="nearest", order=1, value=0.0) -> np.ndarray:
    """scipy's affine_transform for `forward`: (x, y) as seen from the centre -> its new place, y downwards."""
    back = np.linalg.inv(forward)[::-1, ::-1]  # scipy counts (row, column)
    centre = (np.array(image.shape[:2]) - 1) / 2
    offset = centre - back @ (centre + np.array(shift)[::-1])
    return each_channel(
        lambda channel: ndimage.affine_transform(channel, back, offset, order=order, mode=mode, cval=value), image
    )


def rotation(degrees: float) -> np.ndarray:
    """Counter-clockwise as one sees it: the x axis turns upwards, where y is negative."""
    cosine, sine = np.cos(np.deg2rad(degrees)), np.sin(np.deg2rad(degrees))
    return np.array([[cosine, sine], [-sine, cosine]])


def leaning(degrees: float) -> np.ndarray:
    """What is above the centre moves right."""
    return np.array([[1, -np.tan(np.deg2rad(degrees))], [0, 1]])


@pytest.mark.parametrize("channels", [1, 3])
def test_flips_swap_left_and_right_or_top_and_bottom(channels):
    image = picture(channels=channels)
    np.testing.assert_array_equal(changed(image, horizontal_flip=1.0), image[:, ::-1])
    np.testing.assert_array_equal(changed(image, vertical_flip=1.0), image[::-1])
    np.testing.assert_array_equal(changed(image, horizontal_flip=1.0, vertical_flip=1.0), image[::-1, ::-1])


def test_rotation_by_90_degrees_is_a_quarter_turn_counter_clockwise():
    image = picture(21, 21)
    np.testing.assert_allclose(changed(image, rotation=90), np.rot90(image), atol=1e-5)  # rot90: counter-clockwise
    np.testing.assert_allclose(changed(image, rotation=-90), np.rot90(image, -1), atol=1e-5)


@shapes
@fills
@pytest.mark.parametrize("degrees", [30, -77])
def test_rotation_is_scipys(shape, fill, degrees):
    image = picture(*shape)
    expected = each_channel(
        lambda channel: ndimage.rotate(channel, degrees, reshape=False, order=1, mode=MODES[fill]), image
    )
    np.testing.assert_allclose(changed(image, rotation=degrees, fill=fill), expected, atol=2e-5)


@shapes
@fills
@pytest.mark.parametrize("degrees", [20, -45])
def test_positive_shear_leans_to_the_right(shape, fill, degrees):
    image = picture(*shape)
    expected = resample(image, leaning(degrees), mode=MODES[fill])
    np.testing.assert_allclose(changed(image, shear=degrees, fill=fill), expected, atol=2e-5)


def test_a_vertical_line_leans_by_the_angle_to_the_right_at_its_top():
    image = np.zeros((41, 41, 1), np.float32)
    image[:, 20] = 1
    sheared = changed(image, shear=45, fill="constant")[:, :, 0]
    assert [int(sheared[row].argmax()) for row in (10, 20, 30)] == [30, 20, 10]


@shapes
@fills
@pytest.mark.parametrize("zoom", [0.3, -0.4])
def test_positive_zoom_makes_larger_about_the_centre(shape, fill, zoom):
    image = picture(*shape)
    expected = resample(image, np.eye(2) * (1 + zoom), mode=MODES[fill])
    np.testing.assert_allclose(changed(image, zoom=zoom, fill=fill), expected, atol=2e-5)


def test_zoom_by_one_half_spreads_two_dots_half_as_far_again():
    image = np.zeros((1, 41, 1), np.float32)
    image[0, [10, 30]] = 1
    larger = changed(image, zoom=0.5, fill="reflect")[0, :, 0]
    assert larger[5] == pytest.approx(1, abs=1e-5)
    assert larger[35] == pytest.approx(1, abs=1e-5)


@fills
def test_shift_moves_right_and_down_by_a_share_of_the_size(fill):
    image = picture(20, 30)
    down_right = ndimage.shift(image[:, :, 0], (2, 3), order=1, mode=MODES[fill])[:, :, None]
    np.testing.assert_allclose(changed(image, shift=0.1, fill=fill), down_right, atol=1e-5)
    right = ndimage.shift(image[:, :, 0], (0, 7.5), order=1, mode=MODES[fill])[:, :, None]
    np.testing.assert_allclose(changed(image, horizontal_shift=0.25, fill=fill), right, atol=1e-5)
    up = ndimage.shift(image[:, :, 0], (-2.5, 0), order=1, mode=MODES[fill])[:, :, None]
    np.testing.assert_allclose(changed(image, vertical_shift=-0.125, fill=fill), up, atol=1e-5)


def test_whole_pixels_of_a_shift_keep_their_values_and_the_border_is_repeated():
    image = picture(20, 30)
    moved = changed(image, horizontal_shift=0.2)
    np.testing.assert_allclose(moved[:, 6:], image[:, :-6], atol=1e-6)
    np.testing.assert_allclose(moved[:, :6], np.repeat(image[:, :1], 6, axis=1), atol=1e-6)


def test_reflect_is_numpys_symmetric():
    image = picture(20, 30)
    padded = np.pad(image, ((0, 0), (6, 0), (0, 0)), mode="symmetric")[:, :30]
    np.testing.assert_allclose(changed(image, horizontal_shift=0.2, fill="reflect"), padded, atol=1e-6)


@shapes
@fills
@settings(max_examples=25, deadline=None)
@given(
    degrees=st.floats(-180, 180),
    lean=st.floats(-50, 50),
    zoom=st.floats(-0.5, 1.5),
    shift=st.floats(-0.4, 0.4),
    value=st.floats(0, 1, width=32),
)
def test_all_of_them_are_one_step_rotation_first_and_shift_last(shape, fill, degrees, lean, zoom, shift, value):
    image = picture(*shape)
    forward = (1 + zoom) * leaning(lean) @ rotation(degrees)
    pixels = (shift * shape[1], shift * shape[0])
    expected = resample(image, forward, pixels, mode=MODES[fill], value=value)
    section = {"rotation": degrees, "shear": lean, "zoom": zoom, "shift": shift, "fill": fill, "fill_value": value}
    np.testing.assert_allclose(changed(image, **section), expected, atol=2e-4)


def test_interpolation_nearest_makes_no_new_values():
    image = picture(20, 30)
    turned = changed(image, rotation=31, interpolation="nearest")
    assert set(turned.ravel()) <= set(image.ravel())
    expected = resample(image, rotation(31), order=0)
    assert (turned == expected).mean() > 0.99  # ties may fall to either side


def test_flips_come_before_the_rotation():
    image = picture(21, 21)
    both = changed(image, rotation=90, horizontal_flip=1.0)
    np.testing.assert_allclose(both, np.rot90(image[:, ::-1]), atol=1e-5)


def test_an_image_that_is_not_chosen_keeps_its_bits():
    images = np.stack([picture(number=number) for number in range(40)])
    some = augmented(images, rotation={"range": [10, 20], "probability": 0.5})
    same = (some == images).all(axis=(1, 2, 3))
    assert 8 < same.sum() < 32
    alone = np.stack([changed(image, rotation=15) for image in images])
    assert (np.abs(some - images)[~same].max(axis=(1, 2, 3)) > 0.05).all()
    assert np.abs(some - alone)[~same].mean() < np.abs(some - images)[~same].mean()
