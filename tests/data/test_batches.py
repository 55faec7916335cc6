"""Batches: every image once, an order that (seed, epoch) decides, and pixels that arrive as they were."""

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

from diascope.data.batches import EvaluationBatches, TrainingBatches, subset_rows
from diascope.errors import DataError

CPU = torch.device("cpu")


def images(count: int, channels: int = 1) -> np.ndarray:
    """Every image is filled with its own number."""
    numbers = np.arange(count, dtype=np.uint8).reshape(-1, 1, 1, 1)
    return np.broadcast_to(numbers, (count, 4, 6, channels)).copy()


def training(count: int, batch_size: int, seed: int = 0) -> TrainingBatches:
    rows = np.arange(count)
    return TrainingBatches(images(count), rows % 2, rows, batch_size=batch_size, seed=seed, device=CPU)


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
