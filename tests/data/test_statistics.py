"""Mean and SD of a side's pixels, against NumPy on the whole array."""

import numpy as np

from diascope.data.pixel_statistics import pixel_statistics


def test_mean_and_sd_of_the_rows_alone() -> None:
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (600, 5, 4, 3)).astype(np.uint8)
    pixels[..., 1] //= 3
    rows = random.permutation(600)[:300]
    mean, sd = pixel_statistics(pixels, rows)
    values = pixels[rows] / 255
    np.testing.assert_allclose(mean, values.mean((0, 1, 2)), rtol=1e-12)
    np.testing.assert_allclose(sd, values.std((0, 1, 2)), rtol=1e-9)
    pixels[np.setdiff1d(np.arange(600), rows)] = 0  # what is not on this side has no say
    np.testing.assert_array_equal(pixel_statistics(pixels, rows)[0], mean)
    np.testing.assert_array_equal(pixel_statistics(pixels, rows[::-1])[1], sd)


def test_a_channel_without_contrast() -> None:
    mean, sd = pixel_statistics(np.full((2, 3, 3, 1), 51, dtype=np.uint8), np.arange(2))
    assert mean.tolist() == [0.2]
    assert sd.tolist() == [1 / 255]
