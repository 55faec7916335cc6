"""Augmentation within a run: only the training side is changed, and a run that was cut ends with the same weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from diascope.data.store import write_manifest
from diascope.engine import execute
from diascope.engine.sides import Sides

SETTINGS = ("augmentation={rotation: 20, shift: 0.2, horizontal_flip: 0.5, noise: 0.1, erasing: 0.3}",)


def side(batches) -> np.ndarray:
    images, _ = zip(*batches, strict=True)
    return torch.cat(images).permute(0, 2, 3, 1).numpy()


def test_validation_and_the_watched_part_of_training_are_never_augmented(make_task):
    task = make_task("arm", *SETTINGS)
    sides = Sides(task, torch.device("cpu"))
    pixels = np.load(task.data.pixels).astype(np.float32) / 255
    np.testing.assert_array_equal(side(sides.validation), pixels[30:])
    watched = side(sides.subset)
    assert all((pixels[:30] == image).all(axis=(1, 2, 3)).any() for image in watched)
    trained = side(sides.training(0))
    assert not any((pixels == image).all(axis=(1, 2, 3)).any() for image in trained)


def test_normalization_is_judged_on_batches_of_all_classes_though_files_come_class_by_class(make_task):
    labels = np.repeat([0, 1], [100, 100])
    random = np.random.default_rng(0)
    task = make_task(labels=labels, training=np.arange(180), validation=np.arange(80, 180))
    np.save(task.data.pixels, random.integers(0, 255, (200, 16, 16, 1), dtype=np.uint8))
    write_manifest(task.data.pixels.parent, {"source": "drawn", "images": 200}, ["pixels.npy"])
    sides = Sides(task, torch.device("cpu"))
    for batches in (sides.statistics, sides.subset_as_in_training()):
        assert all(0.2 < classes.float().mean() < 0.8 for _, classes in batches if len(classes) == 32)
    same = [np.unique(side(batches), axis=0) for batches in (sides.subset, sides.subset_as_in_training())]
    np.testing.assert_array_equal(*same)


@pytest.mark.parametrize("sampler", ["shuffle", "balanced"])
def test_a_run_that_was_cut_ends_with_the_same_weights(make_task, sampler):
    settings = (*SETTINGS, f"training.sampler={sampler}")
    through, cut = make_task("arm", *settings, folder="through"), make_task("arm", *settings, folder="cut")
    for _ in execute(through, device="cpu"):
        pass
    for _ in execute(cut, device="cpu"):
        break
    assert not (cut.folder / "done.json").exists()
    for _ in execute(cut, device="cpu"):
        pass
    expected, found = (load_file(task.folder / "last.safetensors") for task in (through, cut))
    assert expected.keys() == found.keys()
    for name, weights in expected.items():
        assert torch.equal(weights, found[name]), name
