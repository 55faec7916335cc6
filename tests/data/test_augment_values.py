"""Changes of detail and of values, and erasing, against scipy, NumPy, Pillow and closed forms."""

import numpy as np
import pytest
from augmenting import augmented, changed, picture
from hypothesis import given, settings
from hypothesis import strategies as st
from PIL import Image
from scipy import ndimage, stats

shapes = pytest.mark.parametrize("shape", [(20, 30, 1), (31, 17, 3)])


def pillow_resize(channel: np.ndarray, size: tuple[int, int]) -> np.ndarray:
    """(H, W) float32 -> `size` (height, width), bilinear, averaging when it becomes smaller."""
    return np.asarray(Image.fromarray(channel).resize(size[::-1], Image.Resampling.BILINEAR))


@shapes
@pytest.mark.parametrize("factor", [0.5, 0.23])
def test_downscale_is_pillows_bilinear_there_and_back(shape, factor):
    image = picture(*shape)
    small = round(factor * shape[0]), round(factor * shape[1])
    expected = np.stack(
        [pillow_resize(pillow_resize(channel, small), shape[:2]) for channel in np.moveaxis(image, 2, 0).copy()], axis=2
    )
    np.testing.assert_allclose(changed(image, downscale=factor), expected, atol=1e-5)


def test_downscale_to_a_half_and_back_by_nearest_pixels_makes_even_blocks():
    blocks = changed(picture(20, 30), downscale=0.5, interpolation="nearest")[:, :, 0]
    np.testing.assert_array_equal(blocks[::2], blocks[1::2])
    np.testing.assert_array_equal(blocks[:, ::2], blocks[:, 1::2])
    assert len(np.unique(blocks)) > 100


def test_downscale_of_almost_everything_leaves_the_mean():
    image = picture(20, 30)
    tiny = changed(image, downscale=0.02)
    assert tiny.std() < 1e-6  # one pixel is left of each side
    np.testing.assert_allclose(tiny.mean(), image.mean(), atol=0.05)


@shapes
@pytest.mark.parametrize("sigma", [0.4, 1.0, 3.3])
def test_blur_is_scipys_gaussian(shape, sigma):
    image = picture(*shape)
    expected = ndimage.gaussian_filter(image, (sigma, sigma, 0), mode="nearest")
    np.testing.assert_allclose(changed(image, blur=sigma), expected, atol=1e-5)


def test_blur_of_each_image_has_a_sigma_of_its_own():
    images = np.stack([picture(number=number) for number in range(12)])
    blurred = augmented(images, blur=[0.5, 3.0])
    sharpness = np.abs(np.diff(blurred, axis=2)).mean(axis=(1, 2, 3))
    assert sharpness.max() > 3 * sharpness.min()


@shapes
@pytest.mark.parametrize("percentile", [0, 2, 20])
def test_intensity_is_numpys_percentiles_spread_over_0_to_1(shape, percentile):
    image = picture(*shape)
    low, high = np.percentile(image, [percentile, 100 - percentile])
    expected = np.clip((image - low) / (high - low), 0, 1)
    np.testing.assert_allclose(changed(image, intensity=percentile), expected, atol=1e-5)


def test_intensity_leaves_a_constant_image_as_it_is():
    flat = np.full((8, 8, 1), 0.3, np.float32)
    np.testing.assert_array_equal(changed(flat, intensity=5), flat)


@pytest.mark.parametrize("strength", [0.4, -0.5])
def test_contrast_scales_the_distances_from_the_mean_of_all_channels(strength):
    image = picture(12, 9, 3)
    expected = image.mean() + (1 + strength) * (image - image.mean())
    np.testing.assert_allclose(changed(image, contrast=strength), np.clip(expected, 0, 1), atol=1e-6)


@pytest.mark.parametrize("strength", [0.3, -0.3])
def test_brightness_is_added(strength):
    image = picture(12, 9, 3)
    np.testing.assert_allclose(changed(image, brightness=strength), np.clip(image + strength, 0, 1), atol=1e-6)


def test_contrast_comes_before_brightness():
    image = picture(12, 9)
    expected = image.mean() + 1.5 * (image - image.mean()) + 0.1
    both = changed(image, contrast=0.5, brightness=0.1)
    np.testing.assert_allclose(both, np.clip(expected, 0, 1), atol=1e-6)


def gray(count: int, height: int = 30, width: int = 31, channels: int = 1) -> np.ndarray:
    return np.full((count, height, width, channels), 0.5, np.float32)


def test_noise_is_normal_with_the_sd_that_was_asked_for_and_independent():
    noise = (augmented(gray(20, channels=3), noise=[0.05, 0.05]) - 0.5) / 0.05
    assert stats.kstest(noise.ravel(), "norm").pvalue > 1e-3
    assert abs(np.mean(noise[1:] * noise[:-1])) < 5 / np.sqrt(noise.size)  # from image to image
    assert abs(np.mean(noise[:, 1:] * noise[:, :-1])) < 5 / np.sqrt(noise.size)  # from row to row
    assert abs(np.mean(noise[..., 1:] * noise[..., :-1])) < 5 / np.sqrt(noise.size * 2 / 3)  # from channel to channel
    assert noise.reshape(20, -1).std(axis=1).min() > 0.9


def rectangles(erased: np.ndarray) -> list[tuple[int, int, int, int]]:
    """Top, left, height and width of what is erased in images (B, H, W, 1) of ones, each filled wholly."""
    found = []
    for image in erased[..., 0]:
        rows, columns = np.flatnonzero((image == 0).any(1)), np.flatnonzero((image == 0).any(0))
        top, left, height, width = rows[0], columns[0], len(rows), len(columns)
        assert (image[top : top + height, left : left + width] == 0).all()
        assert (image == 0).sum() == height * width
        found.append((top, left, height, width))
    return found


def test_erasing_covers_its_share_of_the_area_anywhere_in_the_image():
    found = np.array(rectangles(augmented(np.ones((300, 40, 60, 1), np.float32), erasing=[0.1, 0.1])))
    tops, lefts, heights, widths = found.T
    np.testing.assert_allclose((heights * widths).mean(), 240, rtol=0.03)
    aspects = heights / widths
    assert 0.25 < aspects.min() < 0.4
    assert 2.5 < aspects.max() < 4
    assert tops.min() == lefts.min() == 0
    assert (tops + heights).max() == 40
    assert (lefts + widths).max() == 60
    middles = (lefts + widths / 2).mean(), (tops + heights / 2).mean()
    np.testing.assert_allclose(middles, (30, 20), atol=2.5)


@settings(max_examples=40, deadline=None)
@given(height=st.integers(1, 40), width=st.integers(1, 40), area=st.floats(0, 0.9), seed=st.integers(0, 9))
def test_erasing_stays_inside_and_near_its_area_for_any_size(height, width, area, seed):
    erased = augmented(np.ones((3, height, width, 1), np.float32), seed=seed, erasing=[area, area])
    hidden = (erased == 0).mean(axis=(1, 2, 3))
    assert hidden.max() <= min(1, area + (height + width) / (height * width))


def test_erasing_fills_with_fill_value_in_all_channels():
    erased = augmented(np.zeros((5, 9, 8, 3), np.float32), erasing=[0.3, 0.3], fill_value=0.25)
    assert set(np.unique(erased)) == {0, np.float32(0.25)}
    assert (erased[..., 0] == erased[..., 2]).all()
