"""One training to do, and the images that it may see."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diascope.config import RunConfig
from diascope.errors import RunError
from diascope.seeding import stream_seed


@dataclass(frozen=True)
class RunData:
    """The images of one run: where the decoded pixels are, and the two sides that it may see."""

    pixels: Path | NDArray[np.uint8]  # (N, H, W, C) uint8, or the .npy file that holds them
    paths: list[str]
    labels: NDArray[np.int64]  # (N,) numbers of classes
    groups: list[str] | None
    classes: tuple[str, ...]
    training: NDArray[np.int64]  # row numbers
    validation: NDArray[np.int64]


def start_folder(config: RunConfig) -> Path | None:
    """The folder of the run whose weights a run begins with."""
    pattern = config.training.start_from
    return Path(pattern.format(fold=config.fold, seed=config.seed)) if pattern else None


def run_seed(config: RunConfig) -> int:
    """What a run's random streams derive from: its seed and its fold.

    The folds of a seed begin with weights and orders of their own: a start that fails then counts as one run that
    failed, not as all folds of a seed, and the spread over folds holds what it is taken to hold.
    """
    return config.seed if config.fold == 0 else stream_seed(config.seed, "fold", config.fold)


@dataclass(frozen=True)
class RunTask:
    """One training to do: arm x fold x seed, resolved, with its data and its folder.

    `continues` is the identity of the same run with fewer epochs, which its folder may hold and which it goes on from.
    """

    arm: str
    config: RunConfig
    run_id: str
    folder: Path
    data: RunData
    continues: str | None = None

    @property
    def start(self) -> Path | None:
        """The folder of the run whose weights this one begins with."""
        return start_folder(self.config)

    @property
    def name(self) -> str:
        return f"{self.arm}/fold{self.config.fold}-seed{self.config.seed}"


def open_pixels(source: Path | NDArray[np.uint8]) -> NDArray[np.uint8]:
    """The decoded images (N, H, W, C), memory-mapped. Raises RunError if their file is gone."""
    if not isinstance(source, Path):
        return source
    try:
        pixels: NDArray[np.uint8] = np.load(source, mmap_mode="r")
    except FileNotFoundError as error:
        what, remedy = "the decoded images are gone from the cache", "run the same command again: it decodes them anew"
        raise RunError(what, where=str(source), remedy=remedy) from error
    return pixels
