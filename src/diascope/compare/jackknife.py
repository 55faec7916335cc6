"""Pseudo-values of a score over cases: what each case (an image, or a group of images) adds to it (Tukey 1958).

The pseudo-value of case i is N theta - (N - 1) theta(-i), where theta(-i) is the score without case i. For accuracy
with one image a case it is 1 where the image is right and 0 where not. Sums over images are left out in closed form.
"""

from dataclasses import dataclass
from math import isclose
from typing import Any

import numpy as np
from numpy.typing import NDArray

import diascope.metrics as metrics
from diascope.compare.estimate import Floats

Cases = NDArray[np.integer[Any]]

SMALLEST = float(np.finfo(np.float64).tiny)  # as in the loss of diascope.metrics
EXACT = 500  # more cases than this are left out in blocks, where there is no closed form
BLOCKS = 250


@dataclass(frozen=True, eq=False)
class Strata:
    """What was left out at a time: how many images each holds (N,), and the class that most of them are of (N,)."""

    images: Cases
    classes: Cases

    def effective(self, members: NDArray[np.bool_]) -> float:
        """How many equal ones would weigh as evenly: (Σn)² / Σn² (Kish 1965; Carter, Schnepel, Steigerwald 2017)."""
        sizes = self.images[members].astype(np.float64)
        return float(sizes.sum() ** 2 / (sizes @ sizes))

    def df(self, values: Floats) -> float:
        """Degrees of freedom of the variance of the mean of `values` (N,), at least 1.

        Each class brings its own part of the variance, known from its own cases (Satterthwaite 1946): with ten positive
        images a sensitivity has nine, however many negative ones there are.
        """
        squares = 0.0
        parts = []
        for number in range(int(self.classes.max()) + 1):
            members = self.classes == number
            count = int(members.sum())
            if count == 0:
                continue
            part = float(((values[members] - values[members].mean()) ** 2).sum()) * count / max(1, count - 1)
            parts.append(part)
            squares += part**2 / max(1.0, self.effective(members) - 1)
        return max(1.0, sum(parts) ** 2 / squares) if squares > 0 else max(1.0, len(values) - 1.0)


@dataclass(frozen=True)
class PseudoValues:
    """One run's score and its pseudo-values (N,), whose mean is the score; None where leaving a case out undoes it."""

    score: float
    values: Floats | None
    strata: Strata | None = None


def pseudo_values(
    metric: str, labels: Cases, probabilities: Floats, positive: int, cases: Cases
) -> PseudoValues | None:
    """Of one run: labels (N,), probabilities (N, K), and which case (0, 1, ...) each image belongs to, (N,).

    None where the score itself is undefined. Shifted so that their mean is the score: a jackknife's own correction of
    bias is not wanted in a comparison of scores that the report shows uncorrected.
    """
    score = metrics.score(metric, labels, probabilities, positive)
    if score is None:
        return None
    count = int(cases.max()) + 1
    if count < 2:
        return PseudoValues(score, None)
    left, left_out = _closed_form(metric, labels, probabilities, positive, cases, score), cases
    if left is None:
        left_out = blocks(cases)
        left = _one_by_one(metric, labels, probabilities, positive, left_out)
    if not np.isfinite(left).all():
        return PseudoValues(score, None)
    values = len(left) * score - (len(left) - 1) * left
    return PseudoValues(score, values - values.mean() + score, _strata(labels, left_out, probabilities.shape[1]))


def _strata(labels: Cases, cases: Cases, classes: int) -> Strata:
    count = int(cases.max()) + 1
    of_class = np.bincount(cases * classes + labels, minlength=count * classes).reshape(count, classes)
    return Strata(of_class.sum(axis=1), of_class.argmax(axis=1))


def blocks(cases: Cases) -> Cases:
    """Cases drawn together, so that at most EXACT are left out one at a time; which goes where is fixed."""
    count = int(cases.max()) + 1
    if count <= EXACT:
        return cases
    order = np.random.default_rng(count).permutation(count)
    found: Cases = order[cases] % BLOCKS
    return found


def _one_by_one(metric: str, labels: Cases, probabilities: Floats, positive: int, cases: Cases) -> Floats:
    """The score without each case; NaN where undefined."""
    left = np.full(int(cases.max()) + 1, np.nan)
    for case in range(len(left)):
        kept = cases != case
        found = metrics.score(metric, labels[kept], probabilities[kept], positive)
        if found is None:
            break
        left[case] = found
    return left


def _closed_form(
    metric: str, labels: Cases, probabilities: Floats, positive: int, cases: Cases, score: float
) -> Floats | None:
    """The score without each case, from sums; None where no closed form is known or it does not give the score."""
    if metric in _OF_COUNTS or metric in _OF_TWO_CLASSES:
        whole, left = _from_confusion(metric, labels, probabilities, positive, cases)
    elif metric in ("loss", "brier"):
        whole, left = _from_means(metric, labels, probabilities, cases)
    elif metric == "auroc" and probabilities.shape[1] == 2:
        whole, left = _from_pairs(labels == positive, probabilities[:, positive], cases)
    else:
        return None
    scale = 0.5 if metric == "brier" and probabilities.shape[1] == 2 else 1.0  # of two classes it counts one
    return left * scale if isclose(whole * scale, score, rel_tol=1e-9, abs_tol=1e-12) else None


def _from_confusion(
    metric: str, labels: Cases, probabilities: Floats, positive: int, cases: Cases
) -> tuple[float, Floats]:
    classes = probabilities.shape[1]
    count = int(cases.max()) + 1
    cell = labels * classes + metrics.predicted_classes(probabilities, positive)
    per_case = np.bincount(cases * classes**2 + cell, minlength=count * classes**2).reshape(count, classes, classes)
    total = per_case.sum(axis=0)
    left = (total - per_case).astype(np.float64)
    with np.errstate(divide="ignore", invalid="ignore"):
        if metric in _OF_COUNTS:
            of = _OF_COUNTS[metric]
            return float(of(total.astype(np.float64))), of(left)
        if classes != 2:
            return np.nan, left[:, 0, 0]
        turned = [positive, 1 - positive]
        two, both = left[:, turned][:, :, turned], total[turned][:, turned].astype(np.float64)
        rates = _OF_TWO_CLASSES[metric]
        return float(rates(*both.ravel())), rates(*np.moveaxis(two.reshape(-1, 4), 1, 0))


def _from_means(metric: str, labels: Cases, probabilities: Floats, cases: Cases) -> tuple[float, Floats]:
    truth = np.eye(probabilities.shape[1])[labels]
    if metric == "loss":
        each = -np.log(np.maximum((probabilities * truth).sum(axis=1), SMALLEST))
    else:
        each = ((probabilities - truth) ** 2).sum(axis=1)
    sums, sizes = np.bincount(cases, each), np.bincount(cases)
    return float(each.mean()), (sums.sum() - sums) / (len(each) - sizes)


def _from_pairs(is_positive: NDArray[np.bool_], ranking: Floats, cases: Cases) -> tuple[float, Floats]:
    """AUROC as the share of pairs (a positive, a negative) in the right order, ties counting half."""
    from scipy.stats import rankdata

    count = int(cases.max()) + 1
    n1, n0 = int(is_positive.sum()), int((~is_positive).sum())
    if n1 == 0 or n0 == 0:
        return np.nan, np.full(count, np.nan)
    rank = rankdata(ranking)
    wins = np.zeros(len(ranking))  # of each image, against the images of the other class
    wins[is_positive] = rank[is_positive] - rankdata(ranking[is_positive])
    wins[~is_positive] = n1 - (rank[~is_positive] - rankdata(ranking[~is_positive]))
    total = wins[is_positive].sum()
    lost = np.bincount(cases, wins, count)
    for case in np.flatnonzero(np.bincount(cases) > 1):  # pairs within a case were counted from both ends
        inside = cases == case
        if is_positive[inside].any() and not is_positive[inside].all():
            up, down = ranking[inside & is_positive], ranking[inside & ~is_positive]
            lost[case] -= (np.sign(up[:, None] - down) + 1).sum() / 2
    p1, p0 = np.bincount(cases, is_positive, count), np.bincount(cases, ~is_positive, count)
    with np.errstate(divide="ignore", invalid="ignore"):
        return float(total / (n1 * n0)), (total - lost) / ((n1 - p1) * (n0 - p0))


def _accuracy(counts: Floats) -> Any:
    return np.trace(counts, axis1=-2, axis2=-1) / counts.sum(axis=(-2, -1))


def _balanced(counts: Floats) -> Any:
    return (np.diagonal(counts, axis1=-2, axis2=-1) / counts.sum(axis=-1)).mean(axis=-1)


def _mcc(tp: Any, fn: Any, fp: Any, tn: Any) -> Any:
    return (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn))


_OF_COUNTS = {"accuracy": _accuracy, "balanced_accuracy": _balanced}
_OF_TWO_CLASSES = {
    "sensitivity": lambda tp, fn, fp, tn: tp / (tp + fn),
    "specificity": lambda tp, fn, fp, tn: tn / (tn + fp),
    "ppv": lambda tp, fn, fp, tn: tp / (tp + fp),
    "npv": lambda tp, fn, fp, tn: tn / (tn + fn),
    "f1": lambda tp, fn, fp, tn: 2 * tp / (2 * tp + fp + fn),
    "mcc": _mcc,
}
