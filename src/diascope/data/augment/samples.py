"""What augmentation does to images: sweeps of each transformation's strength, and random samples."""

from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diascope.config import AugmentationConfig
from diascope.data.augment import build_augmentation
from diascope.data.augment.sheets import Row

Pixels = NDArray[np.uint8]
_CPU = torch.device("cpu")


@dataclass(frozen=True)
class Sweep:
    """A row of task 3a's sheet: a transformation, the strengths to show, and how a strength is written."""

    name: str
    remark: str
    key: str
    values: tuple[float, ...]
    caption: str = "{:g}"


_TENTHS = (0.1, 0.2, 0.3, 0.4, 0.5, 0.6, 0.7, 0.8)
SWEEPS = (
    Sweep("Down-scaling", "share of the size", "downscale", _TENTHS),
    Sweep("Rotation", "degrees", "rotation", (10, 20, 30, 40, 50, 60, 70, 80, 90), "{:g}°"),
    Sweep("Intensity", "percentiles", "intensity", (2, 5, 8, 10, 12, 15, 18, 20)),
    Sweep("Horizontal shift", "share of the width", "horizontal_shift", (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4), "{:+g}"),
    Sweep("Vertical shift", "share of the height", "vertical_shift", (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4), "{:+g}"),
    Sweep("Zoom", "change of size", "zoom", (-0.5, -0.3, -0.1, 0.1, 0.3, 0.5, 1), "{:+.0%}"),
    Sweep("Shear", "degrees", "shear", (-45, -30, -15, 15, 30, 45), "{:+g}°"),
    Sweep("Blur", "sigma in pixels", "blur", (0.5, 1, 1.5, 2, 3, 4, 6, 8)),
    Sweep("Contrast", "relative change", "contrast", (-0.8, -0.5, -0.2, 0.2, 0.5, 1), "{:+.0%}"),
    Sweep("Brightness", "added, of 0 to 1", "brightness", (-0.4, -0.2, -0.1, 0.1, 0.2, 0.4), "{:+g}"),
    Sweep("Noise", "SD, of 0 to 1", "noise", (0.02, 0.05, 0.1, 0.2, 0.3, 0.4)),
    Sweep("Erasing", "share of the area", "erasing", (0.02, 0.05, 0.1, 0.2, 0.33, 0.5)),
)
_FLIPS = {
    "horizontal": {"horizontal_flip": 1.0},
    "vertical": {"vertical_flip": 1.0},
    "both": {"horizontal_flip": 1.0, "vertical_flip": 1.0},
}


def sweep_rows(pixels: Pixels, config: AugmentationConfig, seed: int) -> list[Row]:
    """One image (H, W, C): a row for each transformation, the image itself first; filled as `config` has it."""
    how = {name: getattr(config, name) for name in ("fill", "fill_value", "interpolation")}
    flips = [(name, _changed(pixels, {**how, **flip}, seed)) for name, flip in _FLIPS.items()]
    rows = [_sweep_row(sweep, pixels, how, seed) for sweep in SWEEPS]
    return [*rows[:3], Row("Flips", "left and right,\ntop and bottom", [("original", pixels), *flips]), *rows[3:]]


def sample_rows(images: list[Pixels], names: list[str], config: AugmentationConfig, seed: int, draws: int) -> list[Row]:
    """A row for each image: itself, and what the first `draws` epochs of a training with this seed make of it."""
    batch = _to_batch(np.stack(images))
    rows: list[list[tuple[str, Pixels]]] = [[("original", image)] for image in images]
    augmentation = build_augmentation(config)
    for epoch in range(draws if augmentation is not None else 0):
        assert augmentation is not None
        size = (batch.shape[2], batch.shape[3])
        changes = augmentation.epoch(len(images), size, seed=seed, epoch=epoch, device=_CPU)
        for row, image in zip(rows, _to_pixels(changes(batch, 0)), strict=True):
            row.append((str(epoch + 1), image))
    return [Row(name, "", row) for name, row in zip(names, rows, strict=True)]


def _sweep_row(sweep: Sweep, pixels: Pixels, how: dict[str, object], seed: int) -> Row:
    pictures = [("original", pixels)]
    for value in sweep.values:
        caption = f"{value:g}-{100 - value:g}" if sweep.key == "intensity" else sweep.caption.format(value)
        pictures.append((caption, _changed(pixels, {**how, sweep.key: [value, value]}, seed)))
    return Row(sweep.name, sweep.remark, pictures)


def _changed(pixels: Pixels, section: dict[str, object], seed: int) -> Pixels:
    augmentation = build_augmentation(AugmentationConfig.model_validate(section))
    assert augmentation is not None
    changes = augmentation.epoch(1, pixels.shape[:2], seed=seed, epoch=0, device=_CPU)
    return _to_pixels(changes(_to_batch(pixels[None]), 0))[0]


def _to_batch(images: Pixels) -> Tensor:
    return torch.tensor(images).permute(0, 3, 1, 2).float() / 255


def _to_pixels(batch: Tensor) -> list[Pixels]:
    return list((batch * 255).round().byte().permute(0, 2, 3, 1).numpy())
