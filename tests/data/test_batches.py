"""Batches: every image once, an order that (seed, epoch) decides, and pixels that arrive as they were."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diascope.config import AugmentationConfig
from diascope.core.errors import DataError
from diascope.data.batches import EvaluationBatches, TrainingBatches, balanced_order, subset_rows

CPU = torch.device("cpu")


def images(count: int, channels: int = 1) -> np.ndarray:
    """Every image is filled with its own number."""
    numbers = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return np.broadcast_to(numbers, (count, 4, 6, channels)).copy()


def training(count: int, batch_size: int, seed: int = 0) -> TrainingBatches:
    rows = np.arange(count)
    return TrainingBatches(images(count), rows % 2, rows, batch_size=batch_size, seed=seed, device=CPU)


def augmented(pixels: np.ndarray, rows: np.ndarray | None = None, **section) -> TrainingBatches:
    rows = np.arange(len(pixels)) if rows is None else rows
    config = AugmentationConfig.model_validate(section)
    labels = np.arange(len(pixels))
    return TrainingBatches(pixels, labels, rows, batch_size=4, seed=0, device=CPU, augmentation=config)


def noise(count: int = 11, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, 12, 10, channels), dtype=np.uint8)


def everything(batches: TrainingBatches, epoch: int) -> tuple[np.ndarray, np.ndarray]:
    """All images (N, H, W, C) and classes of an epoch, in its order."""
    images, targets = zip(*batches(epoch), strict=True)
    return torch.cat(images).permute(0, 2, 3, 1).numpy(), torch.cat(targets).numpy()


def order(batches: TrainingBatches, epoch: int) -> list[int]:
    return [round(pixel * 255) for batch, _ in batches(epoch) for pixel in batch[:, 0, 0, 0].tolist()]


@given(count=st.integers(1, 40), batch_size=st.integers(1, 12), seed=st.integers(0, 5), epoch=st.integers(0, 3))
def test_every_image_comes_exactly_once_in_full_batches_but_the_last(count, batch_size, seed, epoch):
    batches = training(count, batch_size, seed)
    assert sorted(order(batches, epoch)) == list(range(count))
    sizes = [len(targets) for _, targets in batches(epoch)]
    assert sizes == [batch_size] * (count // batch_size) + [count % batch_size] * (count % batch_size > 0)


def test_the_order_is_a_pure_function_of_seed_and_epoch():
    batches = training(40, 8)
    first, second = order(batches, 0), order(batches, 1)
    assert order(batches, 0) == first == order(training(40, 8), 0)
    assert second != first
    assert order(training(40, 8, seed=1), 0) != first


def test_the_batch_size_does_not_change_the_order():
    assert order(training(40, 8), 3) == order(training(40, 7), 3)


def test_labels_stay_with_their_images():
    for batch, targets in training(40, 7)(2):
        assert torch.equal((batch[:, 0, 0, 0] * 255).round().long() % 2, targets)


def test_pixels_arrive_as_channels_last_floats_from_0_to_1():
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (5, 4, 6, 3), dtype=np.uint8)
    rows = np.array([4, 1, 2])
    ((batch, targets),) = EvaluationBatches(pixels, np.arange(5), rows, device=CPU, batch_size=8)
    assert batch.shape == (3, 3, 4, 6)
    assert batch.dtype == torch.float32
    assert batch.is_contiguous(memory_format=torch.channels_last)
    np.testing.assert_array_equal(batch.permute(0, 2, 3, 1).numpy(), pixels[rows].astype(np.float32) / 255)
    assert targets.tolist() == [4, 1, 2]


def test_a_read_only_memory_map_is_read_without_loading_it(tmp_path):
    np.save(tmp_path / "pixels.npy", images(12))
    pixels = np.load(tmp_path / "pixels.npy", mmap_mode="r")
    batches = TrainingBatches(pixels, np.arange(12), np.arange(12), batch_size=5, seed=0, device=CPU)
    assert sorted(order(batches, 0)) == list(range(12))


def test_evaluation_keeps_the_order_of_the_rows_each_time():
    rows = np.array([7, 3, 9, 0, 1])
    batches = EvaluationBatches(images(10), np.arange(10), rows, device=CPU, batch_size=2)
    for _ in range(2):
        assert torch.cat([targets for _, targets in batches]).tolist() == rows.tolist()


def test_the_subset_is_fixed_sorted_and_drawn_from_the_training_rows():
    rows = np.arange(100, 200)
    chosen = subset_rows(rows, 30, seed=4)
    assert len(chosen) == len(set(chosen)) == 30
    assert set(chosen) <= set(rows)
    assert (np.diff(chosen) > 0).all()
    np.testing.assert_array_equal(chosen, subset_rows(rows, 30, seed=4))
    assert set(chosen) != set(subset_rows(rows, 30, seed=5))
    np.testing.assert_array_equal(subset_rows(rows, 500, seed=4), rows)


def test_a_side_without_images_is_an_error():
    with pytest.raises(DataError, match="without images"):
        EvaluationBatches(images(3), np.arange(3), np.array([], dtype=np.int64), device=CPU)


SECTION = {
    "rotation": 20,
    "shift": 0.2,
    "horizontal_flip": 0.5,
    "noise": 0.1,
    "erasing": {"range": 0.3, "probability": 0.5},
}


def test_an_augmentation_changes_the_images_after_scaling_and_not_their_order():
    pixels = noise()
    plain, order_before = everything(augmented(pixels), 0)
    mirrored, order_after = everything(augmented(pixels, horizontal_flip=1.0), 0)
    np.testing.assert_array_equal(order_before, order_after)
    np.testing.assert_array_equal(plain, pixels[order_before].astype(np.float32) / 255)
    np.testing.assert_array_equal(mirrored, plain[:, :, ::-1])


@pytest.mark.parametrize("channels", [1, 3])
def test_an_epoch_is_the_same_however_the_run_was_cut(channels):
    pixels = noise(channels=channels)
    through = augmented(pixels, **SECTION)
    epochs = [everything(through, epoch) for epoch in range(3)]
    next(through(1))  # stopped within an epoch: the next one does not care
    for again in (through, augmented(pixels, **SECTION)):
        images, targets = everything(again, 2)
        np.testing.assert_array_equal(images, epochs[2][0])
        np.testing.assert_array_equal(targets, epochs[2][1])
    assert (epochs[1][0] != epochs[2][0]).any()


def test_two_epochs_at_once_do_not_disturb_each_other():
    batches = augmented(noise(), **SECTION)
    expected = everything(batches, 0)[0]
    interleaved = [first for (first, _), _ in zip(batches(0), batches(1), strict=True)]
    np.testing.assert_array_equal(torch.cat(interleaved).permute(0, 2, 3, 1).numpy(), expected)


def test_only_rows_of_the_training_side_are_seen():
    pixels = noise(30)
    rows = np.array([3, 5, 8, 13, 21])
    images, targets = everything(augmented(pixels, rows, horizontal_flip=1.0), 0)
    assert sorted(targets) == rows.tolist()
    np.testing.assert_array_equal(images, pixels[targets][:, :, ::-1].astype(np.float32) / 255)


def test_augmented_images_are_channels_last_floats_from_0_to_1():
    for batch, _ in augmented(noise(channels=3), **SECTION)(0):
        assert batch.dtype == torch.float32
        assert batch.is_contiguous(memory_format=torch.channels_last)
        assert 0 <= batch.min() <= batch.max() <= 1


def balanced(labels: np.ndarray, rows: np.ndarray, seed: int = 0) -> TrainingBatches:
    return TrainingBatches(images(len(labels)), labels, rows, batch_size=7, seed=seed, device=CPU, sampler="balanced")


def test_the_balanced_sampler_draws_each_class_equally_often_from_the_training_side_alone():
    labels = np.array([0] * 60 + [1] * 9 + [2] * 3)
    rows = np.concatenate([np.arange(10, 60), np.arange(60, 67), [70, 71]])
    seen = np.array(order(balanced(labels, rows), 0))
    assert len(seen) == len(rows)
    assert set(seen) <= set(rows)
    counts = np.bincount(labels[seen])
    assert counts.max() - counts.min() <= 1
    times = np.bincount(seen, minlength=72)
    for label in range(3):  # no image comes again before all others of its class have come
        of_class = times[rows[labels[rows] == label]]
        assert of_class.max() - of_class.min() <= 1


def test_the_balanced_sampler_mixes_the_classes_and_depends_on_seed_and_epoch_alone():
    labels = np.repeat([0, 1], [50, 10])
    batches = balanced(labels, np.arange(60))
    first = order(batches, 0)
    assert order(balanced(labels, np.arange(60)), 0) == first
    assert order(batches, 1) != first
    assert order(balanced(labels, np.arange(60), seed=1), 0) != first
    halves = labels[first[:30]].mean(), labels[first[30:]].mean()
    assert max(halves) - min(halves) < 0.4


def test_the_balanced_sampler_needs_no_classes_numbered_from_zero():
    labels = np.array([4, 4, 4, 7])
    chosen = labels[balanced_order(labels, np.random.default_rng(0))]
    assert sorted(chosen) == [4, 4, 7, 7]


@given(
    labels=st.lists(st.integers(0, 4), min_size=1, max_size=60),
    seed=st.integers(0, 9),
)
def test_balanced_counts_differ_by_one_at_most_for_any_labels(labels, seed):
    chosen = np.array(labels)[balanced_order(np.array(labels), np.random.default_rng(seed))]
    counts = np.unique(chosen, return_counts=True)[1]
    assert len(chosen) == len(labels)
    assert set(chosen) == set(labels)
    assert counts.max() - counts.min() <= 1


def test_which_class_gets_what_is_left_over_changes():
    labels = np.array([0, 0, 1])
    ones = {int(labels[balanced_order(labels, np.random.default_rng(seed))].sum()) for seed in range(20)}
    assert ones == {1, 2}
