"""Whole groups -> parts of wanted sizes, so that each class is spread as the parts' shares say.

Greedy, large groups first: each goes where its classes are missing most, relative to what the part should hold. Groups
of one image come last and fill what is left exactly. A part that lacks a class gets one of its last groups. Unlike
scikit-learn's StratifiedGroupKFold the parts may differ in size (a test side beside folds, a holdout of 15%).
"""

from math import ceil

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Shares = NDArray[np.float64]
_Held = list[tuple[int, int]]  # the classes of a group, and how many images of each


def assign(counts: Counts, shares: Shares, rng: Generator) -> Counts:
    """Part (G,) of each group, from `counts` (G, K) of its images in each class and the `shares` (S,) that sum to 1.

    The result is random among equals, and does not depend on anything but the arguments.
    """
    parts = _Parts(counts, shares)
    chosen = np.full(len(counts), -1, dtype=np.int64)
    sizes = counts.sum(axis=1)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-sizes[order], kind="stable")]
    lots = rng.random(len(counts))
    for group in order[sizes[order] > 1].tolist():
        held = [(label, images) for label, images in enumerate(counts[group].tolist()) if images]
        best = parts.best(held)
        along = np.cumsum(shares[best])  # a large part wins more of the draws between equals
        chosen[group] = best[int(np.searchsorted(along, lots[group] * along[-1], side="right"))]
        parts.add(held, int(chosen[group]))
    for label in range(counts.shape[1]):
        single = order[(sizes[order] == 1) & (counts[order, label] == 1)]
        chosen[single] = rng.permutation(parts.fill(len(single), label))
    return chosen


class _Parts:
    """What each part should hold of each class, and what it has so far. Lists, not arrays: these loops are short."""

    def __init__(self, counts: Counts, shares: Shares) -> None:
        self._targets: list[list[float]] = (shares[:, None] * counts.sum(axis=0)).tolist()  # (S, K)
        self._have = [[0] * counts.shape[1] for _ in shares]
        self._waiting: list[int] = (counts > 0).sum(axis=0).tolist()  # groups of each class still to be placed

    def best(self, held: _Held) -> list[int]:
        """The parts for a group of several images, more than one if they are equally good.

        First those that lack a class and would else get none; then those where it fits; then by what is missing.
        """
        urgent = [label for label, _ in held if self._waiting[label] <= self._lacking(label)]
        scores = [self._score(part, held, urgent) for part in range(len(self._have))]
        return [part for part, score in enumerate(scores) if score == max(scores)]

    def add(self, held: _Held, part: int) -> None:
        for label, images in held:
            self._have[part][label] += images
            self._waiting[label] -= 1

    def fill(self, singles: int, label: int) -> Counts:
        """Parts (singles,) for groups of one image of one class: first those that have none, then what is missing."""
        have = np.array([part[label] for part in self._have])
        targets = np.array([part[label] for part in self._targets])
        wanted = np.maximum(targets - have, 0)
        least = (have == 0).astype(np.int64)
        if singles <= least.sum():
            return np.flatnonzero(least)[:singles]
        exact = (wanted / wanted.sum() if wanted.sum() > 0 else targets / targets.sum()) * singles
        given = np.maximum(np.floor(exact).astype(np.int64), least)
        while given.sum() > singles:  # the least that a part needs was more than its share: the best supplied gives one
            given[np.argmax(np.where(given > least, given - exact, -np.inf))] -= 1
        for part in np.argsort(given - exact, kind="stable")[: singles - given.sum()]:
            given[part] += 1
        return np.repeat(np.arange(len(given)), given)

    def _lacking(self, label: int) -> int:
        return sum(part[label] == 0 for part in self._have)

    def _score(self, part: int, held: _Held, urgent: list[int]) -> tuple[bool, bool, float]:
        have, targets = self._have[part], self._targets[part]
        needed = any(have[label] == 0 for label in urgent)
        if all(have[label] + images <= ceil(targets[label]) for label, images in held):
            missing = sum((targets[label] - have[label]) * images for label, images in held)
            return needed, True, round(missing / sum(targets[label] * images for label, images in held), 9)
        over = sum(_excess(have[label] + images, targets[label]) for label, images in held)
        before = sum(_excess(have[label], targets[label]) for label, _ in held)
        return needed, False, round(before - over, 9)


def _excess(have: int, target: float) -> float:
    return max(have - target, 0.0) ** 2
