"""What an interval counts: images, or groups of them; and how the values of units add up to a variance."""

from collections.abc import Callable
from dataclasses import dataclass, replace

import numpy as np

from diascope.metrics.arrays import Counts, Flags, Reals


@dataclass(frozen=True)
class Units:
    """The groups (N,) that images belong to, or None where each stands for itself, and the level of intervals."""

    images: int
    groups: Counts | None = None
    level: float = 0.95

    def sums(self, *values: Reals | Flags) -> Reals:
        """Values of images (N,) each -> sums over units (units, values); groups without a value sum to 0."""
        stacked = np.column_stack([np.asarray(value, dtype=np.float64) for value in values])
        if self.groups is None:
            return stacked
        return np.column_stack([np.bincount(self.groups, column) for column in stacked.T])

    def count(self, members: Flags) -> int:
        """How many units hold one of the members (N,)."""
        return int(members.sum()) if self.groups is None else len(np.unique(self.groups[members]))

    def of(self, members: Flags) -> "Units":
        """The units of some images (N,) only."""
        groups = None if self.groups is None else np.unique(self.groups[members], return_inverse=True)[1]
        return replace(self, images=int(members.sum()), groups=groups)

    def critical(self, units: int) -> float:
        """How many standard errors reach from the middle to a limit: of the normal, of Student's t for groups."""
        from scipy.special import ndtri

        return float(ndtri((1 + self.level) / 2)) if self.groups is None else student(self.level, units)


def student(level: float, units: int) -> float:
    """How many standard errors reach from the middle to a limit when so many units say how large one is."""
    from scipy.special import stdtrit

    return float(stdtrit(units - 1, (1 + level) / 2))


@dataclass(frozen=True)
class Limits:
    """An interval's ends, None where it has none, what found them, and the units they rest on."""

    low: float | None
    high: float | None
    n: int
    method: str

    def through(self, change: Callable[[float], float], method: str | None = None) -> "Limits":
        """The limits of an increasing function of what these are the limits of."""
        if self.low is None or self.high is None:
            return self
        return replace(self, low=change(self.low), high=change(self.high), method=method or self.method)
