"""Augmentation in words: every transformation, its range as drawn, and which arms do it."""

import pytest

from diascope.config import AugmentationConfig
from diascope.config.augmentation import LIMITS
from diascope.report.augmentation_words import augmentation_words, augmented_arms, copied_arms, copies_words


def _plain(**section: object) -> dict[str, object]:
    return AugmentationConfig.model_validate(section).model_dump(mode="json")


@pytest.mark.parametrize(
    ("section", "words"),
    [
        ({}, ""),
        ({"fill": "reflect"}, ""),
        ({"horizontal_flip": 0.5, "vertical_flip": 1},
         "horizontal flip of 50% of the images; vertical flip of 100% of the images"),
        ({"rotation": 10}, "rotation by −10 to 10 degrees; what comes in from outside: the nearest pixel"),
        ({"shift": [0.1, 0.2], "fill": "constant", "fill_value": 0.5},
         "shifts by 10 to 20% of height and width; what comes in from outside: the value 0.5"),
        ({"blur": {"range": 2, "probability": 0.3}},
         "Gaussian blur with a sigma of 0 to 2 pixels (of 30% of the images)"),
        ({"downscale": 0.5}, "loss of resolution to 50 to 100% of the size"),
        ({"intensity": [5, 5]}, "stretching of the values between percentile p and 100 − p, p 5"),
    ],
)  # fmt: skip
def test_words(section: dict[str, object], words: str) -> None:
    assert augmentation_words(_plain(**section)) == words


@pytest.mark.parametrize("name", [*LIMITS, "horizontal_flip", "vertical_flip"])
def test_no_transformation_goes_unsaid(name: str) -> None:
    strength = 1.0 if name.endswith("flip") else 0.5
    assert augmentation_words(_plain(**{name: strength}))


def test_arms_that_do_the_same_are_told_together() -> None:
    sections = {"a": {}, "b": {"noise": 0.1}, "c": {}}
    arms = {name: {"config": {"augmentation": _plain(**section)}} for name, section in sections.items()}
    noise = "Gaussian noise with an SD of 0 to 0.1 on the scale 0 to 1"
    assert augmented_arms(arms) == f"Augmentation: in a and c, none. In b, {noise}."
    assert augmented_arms({"a": arms["a"]}) == "No augmentation."
    assert augmented_arms({"b": arms["b"]}) == f"Augmentation: {noise}."


FROZEN = {"name": "pretrained", "mode": "features", "unfreeze": 1, "augmented_copies": 4}


@pytest.mark.parametrize(
    ("keys", "words"),
    [
        ({}, "of each image 4 changed copies are made before the training, the same for all seeds"),
        ({"augmented_copies": 1}, "of each image 1 changed copy is made before the training"),
        ({"augmented_copies": 0}, "each epoch changes the images anew, and takes them through the part of the network"),
        ({"mode": "finetune"}, "each epoch takes one of them at random"),
        ({"mode": "finetune", "unfreeze": "all"}, ""),
        ({"name": "alexnet"}, ""),
    ],
)
def test_images_behind_a_frozen_backbone_are_changed_in_another_way(keys: dict[str, object], words: str) -> None:
    config = {"model": {**FROZEN, **keys}, "augmentation": _plain(noise=0.1)}
    assert words in copies_words(config)
    assert bool(words) == bool(copies_words(config))
    assert copied_arms({"a": {"config": config}}) == (["a"] if "copies" in words or "copy" in words or "one" in words
                                                      else [])  # fmt: skip
    assert copies_words({**config, "augmentation": _plain()}) == ""


def test_arms_that_change_images_once_and_anew_are_told_apart() -> None:
    models = {"once": FROZEN, "anew": {"name": "alexnet"}}
    arms = {name: {"config": {"model": model, "augmentation": _plain(noise=0.1)}} for name, model in models.items()}
    told = augmented_arms(arms)
    assert "In anew, Gaussian noise with an SD of 0 to 0.1 on the scale 0 to 1." in told
    assert "in once, Gaussian noise with an SD of 0 to 0.1 on the scale 0 to 1; of each image 4 changed copies" in told
