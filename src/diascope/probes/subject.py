"""What a probe gets, a finished run and its images; and what it hands back, an effect beside its null."""

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from functools import cached_property
from typing import Any, Literal

import numpy as np
import torch
from numpy.typing import NDArray

from diascope.engine import RunTask, open_pixels
from diascope.metrics import Interval, intervals, predicted_classes
from diascope.predict.predictor import Network
from diascope.probes.effects import SMALLEST_P, Effect

CENTRE = 0.4  # radius of the centre, in sides of the image
SHOWN = 4  # images in a picture of what was done

Pixels = NDArray[np.uint8]  # (N, H, W, C)
Rows = NDArray[np.int64]
Progress = Callable[[str, int, int], None]  # what is done, how many steps of it, of how many
Outcome = Literal["measured", "not applicable", "skipped"]


@dataclass(frozen=True)
class Options:
    """How to probe: `centre` is the radius of the disk around the middle that is not the rim, in sides of the image."""

    centre: float = CENTRE
    text: bool = True  # look for burned-in text, a third of a second an image


@dataclass(frozen=True)
class Measured:
    """What one probe found out, before it is judged beside the others.

    `facts` is the sentence without its judgement, `claim` what it comes to where there is a shortcut. `much`, `some`:
    whether the effect is large enough to be called found, or possible, should it not be chance. `needs` is the code of
    another probe of the run that must show the same for this one to be called found. `pictures`, by caption, are rows
    of images that show what was done.
    """

    code: str
    title: str
    facts: str
    claim: str = ""
    outcome: Outcome = "measured"
    effect: Effect | None = None
    quantity: str = ""  # what the effect is, for a table
    null: float | None = None  # what it would be without a shortcut
    null_words: str = ""
    much: bool = False
    some: bool = False
    needs: str = ""
    evidence: dict[str, Any] = field(default_factory=dict)
    pictures: dict[str, list[Pixels]] = field(default_factory=dict)


@dataclass(frozen=True, eq=False)
class Subject:
    """A finished run with its images and the user's columns; what a probe asks of its network.

    `columns` hold one cell an image, in the order of `task.data.paths`. `positive` is the number of the positive class.
    """

    task: RunTask
    columns: Mapping[str, list[str]]
    positive: int
    device: torch.device
    options: Options
    progress: Progress

    @property
    def rows(self) -> Rows:
        """The images of the validation side."""
        return self.task.data.validation

    @cached_property
    def pixels(self) -> Pixels:
        """The validation side (N, H, W, C), as the network gets it."""
        return np.ascontiguousarray(open_pixels(self.task.data.pixels)[self.rows])

    @cached_property
    def labels(self) -> NDArray[np.int64]:
        """Of the validation side (N,)."""
        return self.task.data.labels[self.rows]

    @cached_property
    def groups(self) -> NDArray[Any] | None:
        """Names of the groups of the validation side (N,); None without groups."""
        names = self.task.data.groups
        return None if names is None else np.array([names[row] for row in self.rows.tolist()])

    @cached_property
    def units(self) -> NDArray[np.int64]:
        """Numbers (N,) of what is independent: groups, or without them the images themselves."""
        if self.groups is None:
            return np.arange(len(self.rows))
        return np.unique(self.groups, return_inverse=True)[1].astype(np.int64)

    @property
    def unit(self) -> str:
        return "images" if self.groups is None else "groups"

    @cached_property
    def network(self) -> Network:
        """The run's network with the weights of the last epoch."""
        return Network.open(self.task.folder, "last", self.device)

    def predict(self, pixels: Pixels) -> NDArray[np.float64]:
        """Images (M, H, W, C) -> probabilities (M, K)."""
        return self.network.probabilities(pixels)

    @cached_property
    def probabilities(self) -> NDArray[np.float64]:
        """Of the validation side as it is, (N, K)."""
        return self.predict(self.pixels)

    def called(self, probabilities: NDArray[np.float64]) -> NDArray[np.int64]:
        """Probabilities (M, K) -> predicted classes (M,)."""
        return predicted_classes(probabilities, self.positive)

    @property
    def chance(self) -> float:
        """The balanced accuracy of a network that knows nothing."""
        return 1 / len(self.task.data.classes)

    def balanced_accuracy(self, probabilities: NDArray[np.float64], level: float = 0.95) -> Interval:
        """Of the validation side, with its interval over groups."""
        name = "balanced_accuracy"
        found = intervals(self.labels, probabilities, self.positive, groups=self.groups, names=[name], level=level)
        return found[name]

    @cached_property
    def accuracy(self) -> Interval:
        """The network's own balanced accuracy."""
        return self.balanced_accuracy(self.probabilities)

    def p_above_chance(self, probabilities: NDArray[np.float64]) -> float:
        """One-sided p of balanced accuracy: of the interval that just reaches chance, half of what lies outside."""
        low, high = np.log(SMALLEST_P), 0.0  # of 1 - level
        for _ in range(24):
            middle = (low + high) / 2
            limit = self.balanced_accuracy(probabilities, level=1 - float(np.exp(middle))).low
            low, high = (low, middle) if limit is not None and limit > self.chance else (middle, high)
        return float(np.exp(high)) / 2 if high < 0 else 1.0

    def some_of_each_class(self, most: int) -> Rows:
        """Places in the validation side, equally many of each class and at most `most` in all, groups taking turns."""
        from diascope.core.seeding import stream

        random = stream(self.task.config.seed, "probe", self.task.config.fold)
        classes = [np.flatnonzero(self.labels == number) for number in range(len(self.task.data.classes))]
        count = min(most // len(classes), *(len(places) for places in classes))
        chosen = [self._by_turns(random.permutation(places))[:count] for places in classes]
        return np.sort(np.concatenate(chosen))

    def _by_turns(self, places: Rows) -> Rows:
        """The first image of each group, then the second of each, and so on."""
        seen: dict[int, int] = {}
        turn = []
        for unit in self.units[places].tolist():
            seen[unit] = seen.get(unit, -1) + 1
            turn.append(seen[unit])
        return places[np.argsort(turn, kind="stable")]


Probe = Callable[[Subject], list[Measured]]
