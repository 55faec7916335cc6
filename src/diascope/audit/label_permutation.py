"""Labels dealt anew to groups: what chance looks like when the images of a group belong together."""

import numpy as np
from numpy.typing import NDArray

from diascope.core.seeding import stream

Rows = NDArray[np.int64]
_COMMON = 5  # groups of one size in a fold that can change labels among themselves


class LabelPermutation:
    """Permutes labels (N,) by group, within each fold, among groups of a size.

    Sizes that few groups of a fold have are dealt together; a group then takes another's labels in turn, as many as it
    has images.
    """

    def __init__(self, labels: Rows, groups: Rows, folds: Rows) -> None:
        self._random = stream(0, "search")
        order = np.argsort(groups, kind="stable")
        sizes = np.bincount(groups)
        starts = np.cumsum(sizes) - sizes
        self._labels, self._starts, self._sizes, self._groups = labels[order], starts, sizes, groups
        self._place = np.empty(len(groups), dtype=np.int64)  # of an image within its group
        self._place[order] = np.arange(len(groups)) - np.repeat(starts, sizes)
        self._alike = _alike(sizes, folds[order][starts])

    def deal(self, times: int) -> Rows:
        """(N, times): labels dealt so many times."""
        dealt = np.empty((len(self._groups), times), dtype=np.int64)
        for time in range(times):
            source = np.arange(len(self._sizes))
            for groups in self._alike:
                source[groups] = self._random.permutation(groups)
            giver = source[self._groups]
            dealt[:, time] = self._labels[self._starts[giver] + self._place % self._sizes[giver]]
        return dealt


def _alike(sizes: Rows, folds: Rows) -> list[Rows]:
    """The groups that may change places."""
    found = []
    for fold in np.unique(folds):
        inside = np.flatnonzero(folds == fold)
        common, counts = np.unique(sizes[inside], return_counts=True)
        often = common[counts >= _COMMON]
        found += [inside[sizes[inside] == size] for size in often]
        found.append(inside[~np.isin(sizes[inside], often)])
    return [groups for groups in found if len(groups) > 1]
