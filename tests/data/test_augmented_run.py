"""Augmentation within a run: only the training side is changed, and a run that was cut ends with the same weights."""

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

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
