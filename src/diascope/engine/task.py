"""One training to do, and the images that it may see."""

from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.config import RunConfig
from diascope.data.store import open_array
from diascope.features import FeatureSource

ARM = "arm:"  # before the name of an arm whose runs others begin with


@dataclass(frozen=True)
class RunData:
    """The images of one run: where the decoded pixels are, and the two sides that it may see.

    Behind a frozen backbone, `features` are what it makes of the images, and `copies` what it makes of augmented ones.
    """

    pixels: Path | NDArray[np.uint8]  # (N, H, W, C) uint8, or the .npy file that holds them
    paths: list[str]
    labels: NDArray[np.int64]  # (N,) numbers of classes
    groups: list[str] | None
    classes: tuple[str, ...]
    training: NDArray[np.int64]  # row numbers
    validation: NDArray[np.int64]
    features: FeatureSource | NDArray[Any] | None = None
    copies: FeatureSource | NDArray[Any] | None = None
    bits: int = 16  # that deep gray images were taken to use


def arrays_of(data: RunData) -> dict[str, Path | FeatureSource | NDArray[Any]]:
    """The arrays of a run, by the names that RunData has for them."""
    named = {"pixels": data.pixels, "features": data.features, "copies": data.copies}
    return {name: source for name, source in named.items() if source is not None}


def start_folder(config: RunConfig, folder: Path) -> Path | None:
    """The folder of the run whose weights the run in `folder` begins with."""
    told = config.training.start_from
    if told is None:
        return None
    if told.startswith(ARM):
        return folder.parent.parent / told.removeprefix(ARM) / folder.name
    return Path(told.format(fold=config.fold, seed=config.seed))


@dataclass(frozen=True)
class RunTask:
    """One training to do: arm x fold x seed, resolved, with its data and its folder.

    `continues` is the identity of the same run with fewer epochs, which its folder may hold and which it goes on from.
    `start` is the folder of the run whose weights it begins with, and `after` the identity that must be done there
    first, where that run is one of the same study.
    """

    arm: str
    config: RunConfig
    run_id: str
    folder: Path
    data: RunData
    continues: str | None = None
    start: Path | None = None
    after: str | None = None

    @property
    def epochs(self) -> int:
        """How many there will be, unless it stops early; a logistic regression is fitted at once."""
        return 1 if self.config.model.head == "logistic" else self.config.training.epochs

    @property
    def name(self) -> str:
        return f"{self.arm}/fold{self.config.fold}-seed{self.config.seed}"


def open_pixels(source: Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The decoded images (N, H, W, C), memory-mapped. Raises DataError where they are gone or were changed."""
    return open_array(source) if isinstance(source, Path) else source
