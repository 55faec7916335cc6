"""What is drawn: a pure function of (seed, epoch), a stream for each transformation, and the ranges as written."""

import numpy as np
import pytest
import torch
from augmenting import CPU, augmented, picture, to_batch
from hypothesis import given, settings
from hypothesis import strategies as st

from diascope.config import AugmentationConfig
from diascope.config.augmentation import LIMITS
from diascope.data.augment import build_augmentation
from diascope.data.augment.draws import STREAMS, Draws

# A strength for every transformation, and all of them at once. Both ways to shift do not go together.
EVERY = {
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "rotation": 40,
    "shear": 20,
    "zoom": 0.3,
    "shift": 0.2,
    "downscale": 0.3,
    "blur": 2,
    "intensity": 20,
    "contrast": 0.5,
    "brightness": 0.3,
    "noise": 0.1,
    "erasing": 0.3,
}
EACH = {**EVERY, "horizontal_shift": 0.2, "vertical_shift": 0.2}


def images(count: int = 11, channels: int = 1) -> np.ndarray:
    return np.stack([picture(16, 13, channels, number) for number in range(count)])


def draws(count: int = 4000, seed: int = 0, epoch: int = 0, **section) -> Draws:
    return Draws(AugmentationConfig.model_validate(section), count, seed, epoch)


def test_every_transformation_has_a_stream_of_its_own_and_is_tested_here():
    assert set(STREAMS) == set(LIMITS) | {"horizontal_flip", "vertical_flip"} == set(EACH)
    assert len(set(STREAMS.values())) == len(STREAMS)


@pytest.mark.parametrize("channels", [1, 3])
@pytest.mark.parametrize("name", EACH)
def test_equal_for_equal_seed_and_epoch_and_else_different(name, channels):
    section, before = {name: EACH[name]}, images(channels=channels)
    first = augmented(before, seed=1, epoch=2, **section)
    np.testing.assert_array_equal(first, augmented(before, seed=1, epoch=2, **section))
    assert (first != before).any()
    assert (first != augmented(before, seed=1, epoch=3, **section)).any()
    assert (first != augmented(before, seed=2, epoch=2, **section)).any()


@pytest.mark.parametrize("channels", [1, 3])
def test_the_batch_size_changes_nothing_but_rounding(channels):
    before = images(channels=channels)
    whole = augmented(before, **EVERY)
    for batch_size in (1, 4):
        np.testing.assert_allclose(augmented(before, batch_size=batch_size, **EVERY), whole, atol=2e-6)


@pytest.mark.parametrize("name", ["noise", "rotation"])
def test_the_batch_size_changes_nothing_where_only_some_images_are_chosen(name):
    section = {name: {"range": [0.1, 0.2], "probability": 0.4}}
    np.testing.assert_allclose(augmented(images(), batch_size=3, **section), augmented(images(), **section), atol=1e-6)


@pytest.mark.parametrize("name", [name for name in EACH if "flip" not in name])
def test_another_transformation_leaves_the_draws_as_they_were(name):
    others = {other: EVERY[other] for other in EVERY if other != name and "shift" not in other}
    alone, among = draws(count=50, **{name: EACH[name]}), draws(count=50, **others, **{name: EACH[name]})
    np.testing.assert_array_equal(alone.strengths(name), among.strengths(name))


def test_another_transformation_leaves_the_flips_as_they_were():
    np.testing.assert_array_equal(draws(horizontal_flip=0.5).flipped("horizontal_flip"),
                                  draws(**EVERY).flipped("horizontal_flip"))  # fmt: skip


def test_a_longer_epoch_begins_with_the_same_draws():
    np.testing.assert_array_equal(draws(count=9, shift=0.2).shifts(), draws(count=20, shift=0.2).shifts()[:9])


@pytest.mark.parametrize("name", [name for name in EACH if "flip" not in name])
def test_strengths_are_spread_evenly_over_the_range(name):
    low, high = 0.05, 0.45
    strengths = draws(**{name: [low, high]}).strengths(name)
    assert low <= strengths.min() < low + 0.01
    assert high - 0.01 < strengths.max() <= high
    np.testing.assert_allclose(np.quantile(strengths, [0.25, 0.5, 0.75]), [0.15, 0.25, 0.35], atol=0.02)


@pytest.mark.parametrize("name", [name for name in EACH if "flip" not in name])
def test_the_share_of_changed_images_is_the_probability(name):
    strengths = draws(**{name: {"range": [0.1, 0.4], "probability": 0.3}}).strengths(name, neutral=-1.0)
    assert abs((strengths != -1).mean() - 0.3) < 0.03
    assert strengths[strengths != -1].min() >= 0.1


@pytest.mark.parametrize("name", ["horizontal_flip", "vertical_flip"])
def test_the_share_of_flipped_images_is_as_written(name):
    assert abs(draws(**{name: 0.2}).flipped(name).mean() - 0.2) < 0.03
    assert draws(**{name: 1.0}).flipped(name).all()
    assert draws().flipped(name) is None


def test_both_shifts_of_an_image_are_drawn_by_themselves_but_chosen_together():
    shifts = draws(shift={"range": [-0.2, 0.2], "probability": 0.5}).shifts()
    moved = shifts != 0
    np.testing.assert_array_equal(moved[:, 0], moved[:, 1])
    assert abs(np.corrcoef(shifts[moved[:, 0]].T)[0, 1]) < 0.08
    apart = draws(horizontal_shift=[0.1, 0.2], vertical_shift=[-0.4, -0.3]).shifts()
    assert apart[:, 0].min() >= 0.1
    assert apart[:, 1].max() <= -0.3
    np.testing.assert_array_equal(draws(vertical_shift=0.1).shifts()[:, 0], 0)


@settings(max_examples=60, deadline=None)
@given(
    names=st.sets(st.sampled_from(sorted(EVERY)), min_size=1),
    fill=st.sampled_from(["nearest", "constant", "reflect"]),
    interpolation=st.sampled_from(["bilinear", "nearest"]),
    fill_value=st.floats(0, 1),
    channels=st.sampled_from([1, 3]),
    height=st.integers(1, 24),
    width=st.integers(1, 24),
    seed=st.integers(0, 3),
)
def test_whatever_is_asked_for_images_keep_shape_layout_and_range(
    names, fill, interpolation, fill_value, channels, height, width, seed
):
    section = {name: EVERY[name] for name in names}
    config = AugmentationConfig.model_validate(
        {**section, "fill": fill, "interpolation": interpolation, "fill_value": fill_value}
    )
    random = np.random.default_rng(seed)
    before = to_batch(random.integers(0, 256, (5, height, width, channels), dtype=np.uint8).astype(np.float32) / 255)
    kept = before.clone()
    changes = build_augmentation(config).epoch(5, (height, width), seed=seed, epoch=0, device=CPU)
    after = changes(before, 0)
    assert after.shape == before.shape
    assert after.dtype == torch.float32
    assert after.is_contiguous(memory_format=torch.channels_last)
    assert torch.isfinite(after).all()
    assert after.min() >= 0
    assert after.max() <= 1
    assert torch.equal(before, kept), "the images that were handed over have changed"


@pytest.mark.parametrize("section", [{}, {"horizontal_flip": 0}, {"fill": "reflect", "fill_value": 0.5}])
def test_nothing_asked_for_is_no_augmentation(section):
    assert build_augmentation(AugmentationConfig.model_validate(section)) is None
