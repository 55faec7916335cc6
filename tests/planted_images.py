"""Data sets on disk with defects that are known, for the tests of the audit's checks."""

import csv
from collections.abc import Callable
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diascope.audit.checks import CHECKS
from diascope.audit.facts import Audited
from diascope.audit.measure import measure
from diascope.config import DataConfig, PhantomConfig, SplitConfig
from diascope.core.findings import Finding
from diascope.data import phantoms
from diascope.data.index import open_index
from diascope.data.split import make_folds

Pixels = NDArray[np.uint8]


class Planted:
    """Drawn lesions as PNG files, each of another group unless told otherwise; `add` puts others beside them."""

    def __init__(self, folder: Path, images: int = 24, per_group: int = 1) -> None:
        self.folder = folder
        folder.mkdir(parents=True, exist_ok=True)
        self.rows: list[dict[str, str]] = []
        config = PhantomConfig(images=images, images_per_group=per_group)
        for number in range(images):
            drawn = phantoms.draw("skin", config, number)
            self.add(f"{number:04d}.png", drawn.pixels, drawn.label)

    def add(self, name: str, pixels: Pixels, label: str, **options: object) -> None:
        Image.fromarray(np.ascontiguousarray(pixels).squeeze()).save(self.folder / name, **options)  # type: ignore[arg-type]
        self.rows.append({"path": name, "label": label})

    def pixels(self, number: int) -> Pixels:
        return np.asarray(Image.open(self.folder / self.rows[number]["path"]).convert("RGB"))

    def change(self, number: int, change: Callable[[Pixels], Pixels], name: str, **options: object) -> None:
        self.add(name, change(self.pixels(number)), self.rows[number]["label"], **options)

    def column(self, name: str, cell: Callable[[int], str]) -> None:
        for number, row in enumerate(self.rows):
            row[name] = cell(number)

    def manifest(self) -> Path:
        with (self.folder / "manifest.csv").open("w", newline="") as stream:
            writer = csv.DictWriter(stream, fieldnames=list(self.rows[-1]))
            writer.writeheader()
            writer.writerows(self.rows)
        return self.folder / "manifest.csv"

    def audited(self, pictures: dict[str, bytes] | None = None, *, split: bool = True, **data: object) -> Audited:
        config = DataConfig(source=str(self.manifest()), **data)  # type: ignore[arg-type]
        measured = measure(open_index(config), jobs=1)
        folds = make_folds(measured.index, SplitConfig()) if split else None
        return Audited(measured.index, measured.facts, config, folds, measured.unreadable, pictures=pictures)

    def check(self, code: str, pictures: dict[str, bytes] | None = None, **data: object) -> Finding:
        """The only finding of one check."""
        (finding,) = CHECKS[code](self.audited(pictures, **data))  # type: ignore[arg-type]
        assert finding.code == code
        return finding


def crop(pixels: Pixels, share: float = 0.05) -> Pixels:
    height, width = pixels.shape[:2]
    return pixels[
        round(height * share) : height - round(height * share), round(width * share) : width - round(width * share)
    ]


def half(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "mirrored": lambda pixels: pixels[:, ::-1],
    "upside-down": lambda pixels: pixels[::-1],
    "turned-90": lambda pixels: np.rot90(pixels),
    "turned-180": lambda pixels: np.rot90(pixels, 2),
    "turned-270": lambda pixels: np.rot90(pixels, 3),
    "cropped": crop,
    "cropped-aside": lambda pixels: pixels[: round(pixels.shape[0] * 0.95), round(pixels.shape[1] * 0.05) :],
    "resized": half,
    "recompressed": lambda pixels: pixels,
}
OPTIONS: dict[str, dict[str, object]] = {"recompressed": {"format": "JPEG", "quality": 40}}
