"""Phantoms: drawn skin lesions and femur X-rays whose truth is known. The embedded data set.

Image i of a set depends on the kind, the settings and i alone, so that a larger set extends a smaller one. Images
come in groups (a lesion, a patient): those of one group share the object and differ in pose, light, noise and hairs.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from math import floor
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray
from PIL import Image

from diascope.config import PhantomConfig
from diascope.core.seeding import stream
from diascope.data.phantoms import bone, shortcuts, skin

VERSION = "1"  # goes up whenever the same settings draw other pixels; part of the cache's key

Kind = Literal["skin", "bone"]
CLASSES: dict[Kind, tuple[str, str]] = {"skin": ("nevus", "melanoma"), "bone": ("normal", "fractured")}  # positive last
CENTRE = skin.CENTRE  # true signs lie within this distance of the middle, planted marks outside, in sides of the image

_KIND_NUMBER: dict[Kind, int] = {"skin": 0, "bone": 1}
_OBJECT, _SIGNS, _SHOT, _MARK = range(4)  # what a stream is for: nuisance and label never share one


@dataclass(frozen=True)
class Phantom:
    """One drawn image and its truth."""

    pixels: NDArray[np.uint8]  # (size, size, 3) for skin, (size, size, 1) for bone
    mask: NDArray[np.bool_] | None  # (size, size): the lesion; None for bone
    box: tuple[float, float, float, float] | None  # left, top, right, bottom of the fracture in pixels
    label: str
    group: str
    mark: str | None  # the class whose mark is planted; None without a shortcut

    @property
    def marked(self) -> bool:
        """Whether a mark is planted and agrees with the label."""
        return self.mark == self.label


def phantom_table(kind: Kind, config: PhantomConfig) -> list[dict[str, str]]:
    """One row per image: path, label, group and, where a shortcut is planted, the class of the mark."""
    return [_row(kind, config, i) for i in range(config.images)]


def draw(kind: Kind, config: PhantomConfig, i: int) -> Phantom:
    """Image `i`, a pure function of its arguments; `config.images` has no part in it."""
    number = i // config.images_per_group
    positive = _positive(config, number)
    mark = _mark(config, kind, i)
    marks = _stream(config, kind, _MARK, i, 1)
    size = shortcuts.magnification(config.shortcut, bool(mark), marks)
    item = _stream(config, kind, _OBJECT, number)
    signs = _stream(config, kind, _SIGNS, number)
    shot = _stream(config, kind, _SHOT, i)
    mask: NDArray[np.bool_] | None = None
    box: bone.Box | None = None
    if kind == "skin":
        shown = skin.draw_signs(positive, config.difficulty, signs)
        image, mask = skin.draw_skin(config.size, shown, skin.draw_lesion(item), shot, size)
    else:
        visibility = bone.draw_visibility(config.difficulty, signs) if positive else None
        image, box = bone.draw_bone(config.size, visibility, bone.draw_femur(item), shot, size)
    if mark is not None:
        image = shortcuts.plant(image, config.shortcut, mark, marks)
    pixels = np.rint(np.clip(image, 0, 1) * 255).astype(np.uint8)
    row = _row(kind, config, i)
    return Phantom(pixels, mask, box, row["label"], row["group"], row.get("mark"))


def truth(kind: Kind, config: PhantomConfig, i: int) -> tuple[NDArray[np.bool_] | None, bone.Box | None]:
    """Mask and box of image `i`, as `draw` gives them, at a fifth of its cost."""
    number = i // config.images_per_group
    positive = _positive(config, number)
    size = shortcuts.magnification(config.shortcut, bool(_mark(config, kind, i)), _stream(config, kind, _MARK, i, 1))
    item, shot = _stream(config, kind, _OBJECT, number), _stream(config, kind, _SHOT, i)
    if kind == "skin":
        shown = skin.draw_signs(positive, config.difficulty, _stream(config, kind, _SIGNS, number))
        return skin.draw_mask(config.size, shown, skin.draw_lesion(item), shot, size), None
    return None, bone.draw_box(config.size, bone.draw_femur(item), shot, size) if positive else None


def write(kind: Kind, config: PhantomConfig, folder: Path, progress: Callable[[int, int], None] | None = None) -> None:
    """Draw the set into a folder: PNG files, manifest.csv, and the truth as masks/ (skin) and boxes.csv (bone).

    Boxes are given as fractions of width and height.
    """
    rows = phantom_table(kind, config)
    boxes: list[dict[str, str | float]] = []
    for i, row in enumerate(rows):
        phantom = draw(kind, config, i)
        _save(phantom.pixels, folder / row["path"])
        if phantom.mask is not None:
            _save(phantom.mask[..., None].astype(np.uint8) * 255, folder / "masks" / row["path"])
        if phantom.box is not None:
            boxes.append({"path": row["path"], **_fractions(phantom.box, config.size)})
        if progress is not None:
            progress(i + 1, len(rows))
    _write_csv(folder / "manifest.csv", rows)
    if boxes:
        _write_csv(folder / "boxes.csv", boxes)


def _row(kind: Kind, config: PhantomConfig, i: int) -> dict[str, str]:
    number = i // config.images_per_group
    label = CLASSES[kind][_positive(config, number)]
    row = {"path": f"{label}/{i:05d}.png", "label": label, "group": f"{kind}-{number:05d}"}
    mark = _mark(config, kind, i)
    return row if mark is None else {**row, "mark": CLASSES[kind][mark]}


def _positive(config: PhantomConfig, group: int) -> bool:
    """Groups of the positive class are spread evenly among the others: every second one at a prevalence of 0.5."""
    return floor((group + 1) * config.prevalence) > floor(group * config.prevalence)


def _mark(config: PhantomConfig, kind: Kind, i: int) -> bool | None:
    """Whether the planted mark is the positive class's; None without a shortcut."""
    if config.shortcut == "none":
        return None
    agrees = _stream(config, kind, _MARK, i, 0).random() < config.rate
    return _positive(config, i // config.images_per_group) == agrees


def _stream(config: PhantomConfig, kind: Kind, *numbers: int) -> Generator:
    return stream(config.seed, "phantom", _KIND_NUMBER[kind], *numbers)


def _fractions(box: bone.Box, size: int) -> dict[str, float]:
    left, top, right, bottom = (edge / size for edge in box)
    return {
        "x_center": (left + right) / 2,
        "y_center": (top + bottom) / 2,
        "width": right - left,
        "height": bottom - top,
    }


def _save(pixels: NDArray[np.uint8], path: Path) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    Image.fromarray(pixels if pixels.shape[2] == 3 else pixels[..., 0]).save(path)


def _write_csv(path: Path, rows: list[dict[str, str]] | list[dict[str, str | float]]) -> None:
    with path.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, fieldnames=list(rows[0]))
        writer.writeheader()
        writer.writerows(rows)
