"""What is known of a metric, in one record: words, range, value, interval, and its values without each case."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Literal

import numpy as np

from diascope.metrics.arrays import Counts, Flags, Judged, Reals
from diascope.metrics.units import Limits, Units

MACRO = "; for more than two classes the mean over classes, each against the rest"


@dataclass(frozen=True)
class Question:
    """What an interval is computed from."""

    judged: Judged
    units: Units
    draws: int
    seed: int

    @property
    def everyone(self) -> Flags:
        return np.ones(len(self.judged.labels), dtype=bool)

    @property
    def rarest(self) -> int:
        """Units with an image of the class that has fewest."""
        return min(self.units.count(self.judged.labels == k) for k in range(self.judged.classes))


@dataclass(frozen=True)
class Metric:
    """One metric. `low` and `high` bound its range, None where it has no bound; `best` is its value at its best.

    `value`: None where it is undefined. `limits`: those of its interval, where it has a value; or, in place of a
    method, why it has no interval. `left_out`: its values (C,) without each case, from the case (0, 1, ...) of each
    image (N,), NaN where they are undefined, or None where no closed form holds; a metric without it is computed
    again without each case. `of_class`: its value for one class against the rest.
    """

    label: str  # in tables and on axes
    meaning: str
    low: float | None
    high: float | None
    best: float
    value: Callable[[Judged], float | None]
    limits: Callable[[Question, float], Limits] | str = "none"
    left_out: Callable[[Judged, Counts], Reals | None] | None = None
    of_class: Callable[[Judged, int], float | None] | None = None
    needs: str = "images"  # without which it is undefined
    spelled_out: str = ""  # in sentences, where that is not the label
    share_of: Literal["cases", "positives", "negatives"] | None = None  # a share of so many, whatever is predicted

    @property
    def lower_is_better(self) -> bool:
        """Whether of two values the smaller is the better; False also where the best one lies between others."""
        return self.best == self.low

    @property
    def compares(self) -> bool:
        """Whether arms can be judged by it: one end of its range is the best, and it has an interval."""
        return self.best in (self.low, self.high) and callable(self.limits)


def macro(values: list[float | None]) -> float | None:
    """The mean; None if one is: an average over whichever classes are defined would differ in meaning by fold."""
    defined = [value for value in values if value is not None]
    return sum(defined) / len(defined) if len(defined) == len(values) else None


def ratio_left_out(part: Flags | Counts | Reals, whole: Flags | Counts | Reals, cases: Counts) -> Reals:
    """sum(part) / sum(whole), each (N,), without each case (C,); NaN or infinite where no whole is left."""
    parts, wholes = np.bincount(cases, part), np.bincount(cases, whole)
    with np.errstate(divide="ignore", invalid="ignore"):
        ratios: Reals = (parts.sum() - parts) / (wholes.sum() - wholes)
    return ratios
