"""Where the finding lies in an image, as far as it is known: a phantom's truth, boxes.csv, or a folder of masks.

Beside the source (the manifest, or the folder of the classes) may lie

    boxes.csv   path,x_center,y_center,width,height   fractions of width and height; several rows for several boxes
    masks/      a picture for each image, under the same relative path (or the same with .png): not black is inside

A path that leaves the manifest's folder, such as ../moles/1.png, is looked for without its leading ../ parts.
"""

import csv
from collections import Counter
from functools import cached_property
from itertools import dropwhile
from os.path import isdir, isfile
from pathlib import Path, PurePosixPath

import numpy as np
from numpy.typing import NDArray

from diascope.config import DataConfig
from diascope.core.csv_cells import unguard
from diascope.core.errors import DataError
from diascope.data import phantoms
from diascope.data.index import Files, ImageIndex, PhantomNumber
from diascope.data.readers import read_image
from diascope.data.resize import resize

Mask = NDArray[np.bool_]
Box = tuple[float, float, float, float]  # left, top, right, bottom as fractions
_COLUMNS = ("path", "x_center", "y_center", "width", "height")


class Annotations:
    """The known regions of the images of an index."""

    def __init__(self, index: ImageIndex, config: DataConfig) -> None:
        self._index, self._config = index, config

    def is_known(self, row: int) -> bool:
        """Whether a region is known, told without drawing or decoding anything."""
        location = self._index.locate(row)
        if isinstance(location, PhantomNumber):
            return (
                location.kind == "skin" or self._index.classes[self._index.labels[row]] == phantoms.CLASSES["bone"][1]
            )
        return self.mask_file(row) is not None or self.named_in_boxes(row) is not None

    def region(self, row: int, size: tuple[int, int]) -> Mask | None:
        """The region (H, W) as the network sees the image, whose width and height were `size` before it was fitted."""
        location = self._index.locate(row)
        if isinstance(location, PhantomNumber):
            mask, box = phantoms.truth(location.kind, location.config, location.number)
            side = location.config.size
            if mask is not None:
                return self._fitted(mask)
            return None if box is None else self._fitted(_inside([_fractions(box, side)], (side, side)))
        file = self.mask_file(row)
        if file is not None:
            return self._fitted(read_image(file, 1)[:, :, 0] > 0)
        name = self.named_in_boxes(row)
        return None if name is None else self._fitted(_inside(self.boxes[name], size))

    def _fitted(self, mask: Mask) -> Mask | None:
        """As the images are fitted: a pixel is inside when at least half of it is, and the most covered one always.

        None for a mask of which nothing is left: it was empty, or data.resize crop cut it off.
        """
        pixels = mask.astype(np.uint8)[:, :, None] * 255
        fitted = resize(pixels, self._config.height, self._config.width, self._config.resize)[:, :, 0]
        return np.asarray(fitted >= min(128, int(fitted.max()))) if fitted.any() else None

    @cached_property
    def folder(self) -> Path | None:
        """Where boxes.csv and masks/ would lie; None where there is no such place: drawn images, an npz."""
        return Path(self._index.source).parent if isinstance(self._index.origin, Files) else None

    @cached_property
    def masks(self) -> Path | None:
        """The folder of masks, if there is one: asked once, not for each of many images."""
        place = None if self.folder is None else self.folder / "masks"
        return place if place is not None and isdir(place) else None

    def mask_place(self, row: int) -> str | None:
        """The path of an image's mask in masks/, but for its suffix; None where there is no place for one."""
        path = self._index.paths[row]
        place = _without_leading_dots(path)
        return None if Path(path).is_absolute() or (place != path and self._places[place] > 1) else place

    @cached_property
    def _places(self) -> Counter[str]:
        """How many images would have their mask in one place: of a/1.png and ../a/1.png only the first one has it."""
        return Counter(_without_leading_dots(path) for path in self._index.paths)

    def mask_file(self, row: int) -> Path | None:
        """The file of an image's mask, if there is one."""
        place = self.mask_place(row)
        if self.masks is None or place is None:
            return None
        file = self.masks / place
        return next((found for found in (file, file.with_suffix(".png")) if isfile(found)), None)

    def named_in_boxes(self, row: int) -> str | None:
        """How boxes.csv names an image, if it does."""
        names = (self._index.paths[row], self.mask_place(row))
        return next((name for name in names if name in self.boxes), None)

    @cached_property
    def boxes(self) -> dict[str, list[Box]]:
        """What boxes.csv holds, by path as written there."""
        file = None if self.folder is None else self.folder / "boxes.csv"
        if file is None or not file.is_file():
            return {}
        found: dict[str, list[Box]] = {}
        with file.open(newline="", encoding="utf-8-sig") as stream:
            reader = csv.DictReader(stream)
            missing = [name for name in _COLUMNS if name not in (reader.fieldnames or ())]
            if missing:
                remedy = f"its header has to name {','.join(_COLUMNS)}"
                raise DataError(f"has no column {', '.join(missing)}", where=str(file), remedy=remedy)
            for number, row in enumerate(reader, start=2):
                found.setdefault(unguard(row["path"]), []).append(_box(row, f"{file}, line {number}"))
        return found


def _without_leading_dots(path: str) -> str:
    return PurePosixPath(*dropwhile(lambda part: part == "..", PurePosixPath(path).parts)).as_posix()


def _box(row: dict[str, str], where: str) -> Box:
    try:
        x, y, width, height = (float(row[name]) for name in _COLUMNS[1:])
    except (TypeError, ValueError) as error:
        raise DataError(
            "a box needs four numbers", where=where, remedy="write fractions of width and height"
        ) from error
    box = (x - width / 2, y - height / 2, x + width / 2, y + height / 2)
    if not (width > 0 and height > 0 and min(box) >= -0.01 and max(box) <= 1.01):
        raise DataError("the box does not lie in the image", where=where, remedy="write fractions of width and height")
    return box


def _fractions(box: tuple[float, float, float, float], side: int) -> Box:
    left, top, right, bottom = (edge / side for edge in box)
    return left, top, right, bottom


def _inside(boxes: list[Box], size: tuple[int, int]) -> Mask:
    """A mask (height, width) of the boxes; each covers at least one pixel."""
    width, height = size
    mask = np.zeros((height, width), dtype=bool)
    for left, top, right, bottom in boxes:
        x, y = min(width - 1, max(0, round(left * width))), min(height - 1, max(0, round(top * height)))
        mask[y : max(y + 1, round(bottom * height)), x : max(x + 1, round(right * width))] = True
    return mask
