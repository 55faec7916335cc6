"""Pseudo-values of a score over cases: what each case (an image, or a group of images) adds to it (Tukey 1958).

The pseudo-value of case i is N theta - (N - 1) theta(-i), where theta(-i) is the score without case i. For accuracy
with one image a case it is 1 where the image is right and 0 where not. Sums over images are left out in closed form.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diascope.compare.estimate import Floats
from diascope.metrics import REGISTRY, score
from diascope.metrics.arrays import checked

Cases = NDArray[np.int64]

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
    judged, described = checked(labels, probabilities, positive), REGISTRY[metric]
    whole = described.value(judged)
    if whole is None:
        return None
    if int(cases.max()) < 1:
        return PseudoValues(whole, None)
    left, left_out = described.left_out(judged, cases) if described.left_out else None, cases
    if left is None:
        left_out = blocks(cases)
        left = _one_by_one(metric, labels, probabilities, positive, left_out)
    if not np.isfinite(left).all():
        return PseudoValues(whole, None)
    values = len(left) * whole - (len(left) - 1) * left
    return PseudoValues(whole, values - values.mean() + whole, _strata(labels, left_out, judged.classes))


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
        found = score(metric, labels[kept], probabilities[kept], positive)
        if found is None:
            break
        left[case] = found
    return left
