"""How well a fact tells the classes apart: the AUROC that a small model reaches on groups that it has not learned from.

The model is a ridge regression of the class on a few columns. Folds hold whole groups. The AUROC is taken within each
fold, where scores of one model are compared, and averaged by the pairs of images that each fold compares; its interval
counts groups by their influences (LeDell et al. 2015). Chance is what the same gives when labels are dealt anew to the
groups of each fold: the folds' models share most of what they learned, so that no formula for one model would hold.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diascope.audit.label_permutation import LabelPermutation
from diascope.core.seeding import stream
from diascope.data.assignment import assign
from diascope.data.index import ImageIndex
from diascope.metrics.delong import area_influences
from diascope.metrics.limits import logit_limits
from diascope.metrics.proportions import clustered_variance
from diascope.metrics.units import Units, student

Reals = NDArray[np.float64]
Rows = NDArray[np.int64]

FOLDS = 5
FEWEST_GROUPS = 10  # of a class: with fewer no interval is worth its name
MOST_IMAGES = 3_000  # these give intervals of +-0.02; more would only cost time
LEVEL = 0.95
_PENALTY = 2.0
_DEALS, _DEALS_EACH = 499, 50  # of labels: this many, and more where many facts share one level of error
_ENOUGH = 10  # deals that do as well as the truth: then it is chance, and no more are needed (Besag and Clifford 1991)
_AT_ONCE = 100


@dataclass(frozen=True)
class Association:
    """The AUROC of the class that is told best, its 95% interval, and the one-sided p-value of its being chance."""

    auroc: float
    low: float
    high: float
    p: float
    told: int  # number of the class that is told best from the rest; of two, the positive one
    images: int
    groups: int


@dataclass(frozen=True, eq=False)
class Sample:
    """The images that are looked at: rows of the index; labels, numbers of groups, and folds of each."""

    rows: Rows
    labels: Rows
    groups: Rows
    folds: Rows
    asked: tuple[int, ...]  # the classes that are set against the rest

    def associate(self, features: Reals, among: int = 1) -> Association:
        """What these columns (N, F), a row an image of this sample, say of the class; one of so many facts."""
        truth = self._one_hot(self.labels[:, None])
        scores = self._scores(features, truth)
        areas = self._areas(scores, truth)[0]
        best = int(areas.argmax())
        p = self._chance(features, float(areas[best]), max(_DEALS, _DEALS_EACH * among))
        low, high = self._limits(scores[:, 0, best], truth[:, 0, best] > 0, float(areas[best]))
        # The interval is of the models as they are; it may not exclude what the test of chance does not.
        low, high = (low if p < (1 - LEVEL) / 2 else min(low, 0.5)), max(high, 0.5)
        return Association(
            float(areas[best]), low, high, p, self.asked[best], len(self.labels), int(self.groups.max()) + 1
        )

    def _one_hot(self, labels: Rows) -> Reals:
        """Labels (N, D) of D deals -> (N, D, A): whether an image is of each class that is asked for."""
        return np.asarray(labels[:, :, None] == np.array(self.asked), dtype=np.float64)

    def _scores(self, features: Reals, classes: Reals) -> Reals:
        """What a ridge regression on the other folds says of each image, for (N, D, A) at once."""
        scores = np.empty_like(classes)
        for fold in range(self.folds.max() + 1):
            judged = self.folds == fold
            middle = features[~judged].mean(axis=0)
            learned, flat = features[~judged] - middle, classes[~judged].reshape((~judged).sum(), -1)
            products = learned.T @ learned + _PENALTY * np.eye(features.shape[1])
            weights = np.linalg.solve(products, learned.T @ (flat - flat.mean(axis=0)))
            scores[judged] = ((features[judged] - middle) @ weights).reshape(-1, *classes.shape[1:])
        rounded: Reals = scores.round(9)  # equal columns score equally, whatever the rounding
        return rounded

    def _areas(self, scores: Reals, classes: Reals) -> Reals:
        """AUROC (D, A), over the folds; scores and classes are (N, D, A)."""
        total, pairs = np.zeros(scores.shape[1:]), np.zeros(scores.shape[1:])
        for fold in range(self.folds.max() + 1):
            judged = self.folds == fold
            inside = classes[judged]
            of_class = inside.sum(axis=0)
            total += _rank_sums(scores[judged], inside) - of_class * (of_class + 1) / 2
            pairs += of_class * (len(inside) - of_class)
        areas: Reals = total / pairs
        return areas

    def _chance(self, features: Reals, reached: float, deals: int) -> float:
        """How often labels dealt anew are told as well, the best class each time."""
        dealer = LabelPermutation(self.labels, self.groups, self.folds)
        as_good = done = 0
        while done < deals and as_good < _ENOUGH:
            many = min(_AT_ONCE, deals - done)
            dealt = self._one_hot(dealer.deal(many))
            as_good += int((self._areas(self._scores(features, dealt), dealt).max(axis=1) >= reached - 1e-12).sum())
            done += many
        return (as_good + 1) / (done + 1)

    def _limits(self, scores: Reals, is_class: NDArray[np.bool_], area: float) -> tuple[float, float]:
        influences = np.zeros(len(scores))
        parts = [self.folds == fold for fold in range(self.folds.max() + 1)]
        pairs = np.array([float(is_class[part].sum() * (~is_class[part]).sum()) for part in parts])
        for part, weight in zip(parts, pairs / pairs.sum(), strict=True):
            if weight > 0:
                influences[part] = weight * area_influences(is_class[part], scores[part])
        units = Units(len(scores), self.groups)
        of_units = units.sums(influences)[:, 0]
        rarest = min(units.count(is_class), units.count(~is_class))
        critical = student(1 - (1 - LEVEL) / len(self.asked), rarest)
        limits = logit_limits(area, clustered_variance(of_units) ** 0.5, critical, rarest, len(of_units), "")
        return limits.low or 0.0, 1.0 if limits.high is None else limits.high


def _rank_sums(values: Reals, members: Reals) -> Reals:
    """Sums over the members of the ranks of values (n, D, A), ties counting their mean rank, (D, A)."""
    from scipy.stats import rankdata

    flat, chosen = (np.ascontiguousarray(array.reshape(len(array), -1).T) for array in (values, members))
    order = flat.argsort(axis=1)
    ranked = np.take_along_axis(flat, order, axis=1)
    sums = np.take_along_axis(chosen, order, axis=1) @ np.arange(1.0, len(values) + 1)
    tied = (ranked[:, 1:] == ranked[:, :-1]).any(axis=1)
    if tied.any():
        sums[tied] = (rankdata(flat[tied], axis=1) * chosen[tied]).sum(axis=1)
    found: Reals = sums.reshape(values.shape[1:])
    return found


def take_sample(index: ImageIndex, images: int = MOST_IMAGES) -> Sample | None:
    """All images of the index, or whole groups at random up to so many; None where no class has groups enough."""
    names = np.array(index.paths if index.groups is None else index.groups)
    _, member, sizes = np.unique(names, return_inverse=True, return_counts=True)
    rows = np.arange(len(index))
    if len(index) > images:
        order = stream(0, "subset").permutation(len(sizes))
        chosen = np.zeros(len(sizes), dtype=bool)
        chosen[order[np.cumsum(sizes[order]) <= images]] = True
        rows = np.flatnonzero(chosen[member])
    labels, member = index.labels[rows], np.unique(member[rows], return_inverse=True)[1]
    counts = np.zeros((member.max(initial=0) + 1, len(index.classes)), dtype=np.int64)
    np.add.at(counts, (member, labels), 1)
    asked = _asked(index, counts)
    if not asked:
        return None
    folds = assign(counts, np.full(FOLDS, 1 / FOLDS), stream(0, "fold"))[member]
    return Sample(rows, labels, member, folds, asked)


def _asked(index: ImageIndex, counts: Rows) -> tuple[int, ...]:
    """The classes with groups enough of their own and of the rest; of two classes the positive one alone."""
    enough = [
        min((counts[:, k] > 0).sum(), (counts.sum(axis=1) > counts[:, k]).sum()) >= FEWEST_GROUPS
        for k in range(len(index.classes))
    ]
    wanted = [index.classes.index(index.positive)] if len(index.classes) == 2 else range(len(index.classes))
    return tuple(k for k in wanted if enough[k])
