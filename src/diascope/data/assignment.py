"""Whole groups -> parts of wanted sizes, so that each class is spread as the parts' shares say.

Greedy, large groups first: each goes where its classes are missing most, relative to what the part should hold. Groups
of one image come last and fill what is left exactly. A part that lacks a class gets one of its last groups. Unlike
scikit-learn's StratifiedGroupKFold the parts may differ in size (a test side beside folds, a holdout of 15%).
"""

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

Counts = NDArray[np.int64]
Targets = NDArray[np.float64]


def assign(counts: Counts, shares: NDArray[np.float64], rng: Generator) -> Counts:
    """Part (G,) of each group, from `counts` (G, K) of its images in each class and the `shares` (S,) that sum to 1.

    The result is random among equals, and does not depend on anything but the arguments.
    """
    targets = shares[:, None] * counts.sum(axis=0)  # (S, K)
    have = np.zeros_like(targets)
    part = np.full(len(counts), -1, dtype=np.int64)
    sizes = counts.sum(axis=1)
    order = rng.permutation(len(counts))
    order = order[np.argsort(-sizes[order], kind="stable")]
    waiting = (counts > 0).sum(axis=0)  # groups of each class that are still to be placed
    for group in order[sizes[order] > 1].tolist():
        part[group] = _choose(counts[group], have, targets, waiting, shares, rng)
        have[part[group]] += counts[group]
        waiting -= counts[group] > 0
    for label in range(counts.shape[1]):
        single = order[(sizes[order] == 1) & (counts[order, label] == 1)]
        part[single] = rng.permutation(_fill(len(single), have[:, label], targets[:, label]))
    return part


def _choose(
    group: Counts, have: Targets, targets: Targets, waiting: Counts, shares: NDArray[np.float64], rng: Generator
) -> int:
    """The part for a group of several images: one that must have it, else one where it fits, by relative deficit."""
    held = group > 0
    lacking = (have == 0) & held  # (S, K)
    needed = lacking[:, waiting <= lacking.sum(axis=0)].any(axis=1)
    deficit = (targets - have) @ group / (targets @ group)
    fits = ((have + group <= np.ceil(targets)) | ~held).all(axis=1)
    over = (np.maximum(have + group - targets, 0) ** 2 - np.maximum(have - targets, 0) ** 2).sum(axis=1)
    if needed.any():
        score = np.where(needed, deficit, -np.inf)
    elif fits.any():
        score = np.where(fits, deficit, -np.inf)
    else:
        score = -over
    best = np.flatnonzero(score >= score.max() - 1e-9)
    return int(best[0] if len(best) == 1 else rng.choice(best, p=shares[best] / shares[best].sum()))


def _fill(singles: int, have: Targets, targets: Targets) -> Counts:
    """Parts (singles,) for groups of one image of one class: first whoever has none, then whoever lacks most."""
    wanted = np.maximum(targets - have, 0)
    minimum = (have == 0).astype(np.int64)
    if singles <= minimum.sum():
        return np.flatnonzero(minimum)[np.argsort(-wanted[minimum == 1], kind="stable")][:singles]
    share = wanted / wanted.sum() if wanted.sum() > 0 else targets / targets.sum()
    exact = share * singles
    given = np.maximum(np.floor(exact).astype(np.int64), minimum)
    while given.sum() > singles:  # the minimum took more than its share: the best supplied part gives one back
        given[np.argmax(np.where(given > minimum, given - exact, -np.inf))] -= 1
    for place in np.argsort(given - exact, kind="stable")[: singles - given.sum()]:
        given[place] += 1
    return np.repeat(np.arange(len(given)), given)
