"""An estimated difference or mean with its variance, interval and p-value; several sources of noise, each with its df.

Where the variance is a sum of parts that were estimated with few and with many degrees of freedom (seeds, images), the
critical value t* has t*² = Σ share_k t_k², after Howe (1974) and Graybill and Wang (1980): each part is multiplied
with its own quantile. Satterthwaite's (1946) single df was measured to err too often with three to five seeds.

Where it is not known which of several variances is the right one, all of them are kept (Candidates), and at every level
the most cautious one counts: it need not be the same at 95% as at the level of p.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np
from numpy.typing import NDArray

LEVEL = 0.05
ROUNDING = 1e-12  # scores and differences that are closer are equal
Floats = NDArray[np.float64]


@dataclass(frozen=True)
class Components:
    """Variances of one run's differences: between seeds, between cases, and of what is left (seed x case).

    With one seed `seed` is None and `case` holds the rest as well.
    """

    seed: float | None
    case: float
    residual: float

    def of_mean(self, seeds: float, cases: float) -> float:
        """Variance of the mean over so many seeds and cases."""
        return (self.seed or 0.0) / seeds + self.case / cases + self.residual / (seeds * cases)


@dataclass(frozen=True)
class Estimate:
    """`sources`: share of the variance and degrees of freedom of each of its parts; the shares sum to one."""

    value: float
    variance: float
    sources: tuple[tuple[float, float], ...]
    components: Components | None = None

    @property
    def error(self) -> float:
        """The standard error."""
        return float(np.sqrt(self.variance))

    @property
    def df(self) -> float:
        """The degrees of freedom of the t distribution that has the same 97.5% quantile."""
        from scipy.optimize import brentq
        from scipy.stats import t

        if len(self.sources) == 1:
            return self.sources[0][1]
        low, high = (choose(df for _, df in self.sources) for choose in (min, max))
        critical = self.quantile()
        if low == high or critical >= t.ppf(0.975, low):
            return low
        return (
            float(brentq(lambda df: t.ppf(0.975, df) - critical, low, high)) if critical > t.ppf(0.975, high) else high
        )

    def quantile(self, level: float = LEVEL) -> float:
        """The critical value: how many standard errors the two-sided (1 - level) interval reaches to each side."""
        return float(critical_value(np.array([s for s, _ in self.sources]), [df for _, df in self.sources], level))

    def reach(self, level: float = LEVEL) -> float:
        """Half the width of the two-sided (1 - level) interval."""
        return self.quantile(level) * self.error

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        reach = self.reach(level)
        return self.value - reach, self.value + reach

    def p_value(self, null: float = 0.0) -> float:
        """Two-sided p: the level at which the interval would just reach `null`. Needs a variance above 0."""
        from scipy.optimize import brentq
        from scipy.special import stdtr

        ratio = abs(self.value - null) / self.error
        if ratio == 0:
            return 1.0
        ends = [max(2 * float(stdtr(df, -ratio)), 1e-300) for share, df in self.sources if share > 0]
        low, high = min(ends), max(ends)
        if high / low < 1 + 1e-9 or self.quantile(low) < ratio:
            return low
        log_p = brentq(lambda x: self.quantile(float(np.exp(x))) - ratio, np.log(low) - 1e-9, np.log(high) + 1e-9)
        return float(min(1.0, np.exp(log_p)))

    def p_within(self, margin: float) -> float:
        """p of two one-sided tests (Schuirmann 1987) that the truth lies within ±margin; small: it does."""
        nearest = max(self.p_value(margin), self.p_value(-margin)) / 2
        return nearest if abs(self.value) < margin else 1 - nearest


@dataclass(frozen=True)
class Candidates:
    """Estimates of one value whose variances differ; whatever is asked, the answer is the most cautious of theirs.

    So p is at most 5% exactly where the 95% interval leaves out the null. `members` have variances above 0.
    """

    members: tuple[Estimate, ...]

    @property
    def value(self) -> float:
        return self.members[0].value

    @property
    def widest(self) -> Estimate:
        """The one that the 95% interval is from."""
        return max(self.members, key=Estimate.reach)

    @property
    def variance(self) -> float:
        return self.widest.variance

    @property
    def components(self) -> Components | None:
        return self.widest.components

    def reach(self, level: float = LEVEL) -> float:
        return max(member.reach(level) for member in self.members)

    def interval(self, level: float = LEVEL) -> tuple[float, float]:
        reach = self.reach(level)
        return self.value - reach, self.value + reach

    def p_value(self, null: float = 0.0) -> float:
        return max(member.p_value(null) for member in self.members)

    def p_within(self, margin: float) -> float:
        return max(member.p_within(margin) for member in self.members)


def most_cautious(estimates: Sequence[Estimate | None], value: float) -> Estimate | Candidates | None:
    """All that have a variance, as one, of `value`; without one, an estimate of variance 0; None of none."""
    found = [replace(each, value=value) for each in estimates if each is not None]
    varying = tuple(each for each in found if each.error >= ROUNDING)
    if len(varying) > 1:
        return Candidates(varying)
    return varying[0] if varying else replace(found[0], variance=0.0) if found else None


def critical_value(shares: Floats, dfs: list[float], level: float = LEVEL) -> Floats:
    """Critical values (...) of variances whose parts have `shares` (..., k) and degrees of freedom `dfs` (k)."""
    from scipy.special import stdtrit

    found: Floats = np.sqrt(np.asarray(shares) @ (np.asarray(stdtrit(dfs, level / 2)) ** 2))
    return found
