"""A configuration of augmentation in words: each transformation with its range."""

from collections.abc import Mapping
from typing import Any

from diascope.core.text import listed

# Each with how its range is written; a factor of 100 makes a share a percentage.
_WORDS: dict[str, tuple[str, str, float]] = {
    "rotation": ("rotation by {} degrees", "g", 1),
    "shear": ("shear by {} degrees", "g", 1),
    "zoom": ("change of size by {}%", "g", 100),
    "shift": ("shifts by {}% of height and width", "g", 100),
    "horizontal_shift": ("horizontal shift by {}% of the width", "g", 100),
    "vertical_shift": ("vertical shift by {}% of the height", "g", 100),
    "downscale": ("loss of resolution to {}% of the size", "g", 100),
    "blur": ("Gaussian blur with a sigma of {} pixels", "g", 1),
    "intensity": ("stretching of the values between percentile p and 100 − p, p {}", "g", 1),
    "contrast": ("contrast by {}%", "g", 100),
    "brightness": ("brightness by {} on the scale 0 to 1", "g", 1),
    "noise": ("Gaussian noise with an SD of {} on the scale 0 to 1", "g", 1),
    "erasing": ("erasing of a rectangle of {}% of the area", "g", 100),
}
_MOVING = ("rotation", "shear", "zoom", "shift", "horizontal_shift", "vertical_shift")


def augmentation_words(config: Mapping[str, Any]) -> str:
    """`horizontal flip of 50% of the images; rotation by −10 to 10 degrees`; empty where nothing is switched on.

    `config` is the section as plain values.
    """
    flips = [f"{way} flip of {100 * config[f'{way}_flip']:g}% of the images" for way in ("horizontal", "vertical")
             if config.get(f"{way}_flip")]  # fmt: skip
    changes = [_change(name, config[name]) for name in _WORDS if config.get(name)]
    outside = f"what comes in from outside: {_fill(config)}" if any(config.get(name) for name in _MOVING) else ""
    return "; ".join(part for part in (*flips, *changes, outside) if part)


def _change(name: str, found: Mapping[str, Any]) -> str:
    text, form, factor = _WORDS[name]
    low, high = (f"{factor * end:{form}}".replace("-", "−") for end in found["range"])
    share = "" if found["probability"] == 1 else f" (of {100 * found['probability']:g}% of the images)"
    return text.format(low if low == high else f"{low} to {high}") + share


def _fill(config: Mapping[str, Any]) -> str:
    return {
        "nearest": "the nearest pixel",
        "reflect": "the mirrored image",
        "constant": f"the value {config['fill_value']:g}",
    }[config["fill"]]


def copies_words(config: Mapping[str, Any]) -> str:
    """How images that go through a frozen backbone are changed; empty for other networks, and without augmentation.

    `config` is that of an arm.
    """
    model = config.get("model", {})
    frozen = model.get("name") == "pretrained" and (model["mode"] == "features" or model["unfreeze"] != "all")
    if not frozen or not augmentation_words(config["augmentation"]):
        return ""
    copies = model["augmented_copies"]
    if not copies:
        return "each epoch changes the images anew, and takes them through the part of the network that stays as it is"
    made = "1 changed copy is" if copies == 1 else f"{copies} changed copies are"
    taken = "that one" if copies == 1 else "one of them at random"
    return (
        f"of each image {made} made before the training, the same for all seeds, and taken through the part of the "
        f"network that stays as it is; each epoch takes {taken}"
    )


def augmented_arms(arms: Mapping[str, Any]) -> str:
    """Which arms augment and how, in sentences; arms that do the same together. `arms` are those of a summary."""
    alike: dict[str, list[str]] = {}
    for name, arm in arms.items():
        config = arm["config"]
        words = [part for part in (augmentation_words(config["augmentation"]), copies_words(config)) if part]
        alike.setdefault("; ".join(words), []).append(name)
    if list(alike) == [""]:
        return "No augmentation."
    if len(alike) == 1:
        return f"Augmentation: {next(iter(alike))}."
    told = [f"in {listed(names)}, {words or 'none'}" for words, names in alike.items()]
    return (
        f"Augmentation: {'. '.join(part[0].upper() + part[1:] if place else part for place, part in enumerate(told))}."
    )


def copied_arms(arms: Mapping[str, Any]) -> list[str]:
    """The arms whose augmented images were made once, before the training."""
    found = {name: arm["config"] for name, arm in arms.items()}
    return [name for name, config in found.items() if copies_words(config) and config["model"]["augmented_copies"]]
