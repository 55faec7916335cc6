"""Group-sequential boundaries: how small p must be at each look so that all looks together err no more than allowed.

Alpha spending (Lan and DeMets 1983): what may be spent by a look is given, and the level of that look follows from how
the looks hang together, by the recursive integration of Armitage, McPherson and Rowe (1969). Two looks of which one
holds the runs of the other and more have the correlation sqrt(I / I'), I being the information, 1 / variance. More
seeds on the same images add less information than their number says, since the luck of the images stays: the ratio
of seeds is a lower bound of I / I', and a lower correlation never errs less (Šidák 1967, look by look). Looks that are
not nested are treated as unrelated, which is the worst case for any normal variables (Royen 2014).
"""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float64]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(240)
_FURTHEST = 8.0  # standard errors: what lies beyond has a probability of 1e-15
_CLOSEST = 0.98  # ratio of information above which looks are integrated as if it were this


@lru_cache(maxsize=4096)
def levels(spent: tuple[float, ...], ratios: tuple[float, ...]) -> tuple[float, ...]:
    """The two-sided level of each look, 0 where a look has nothing to spend.

    `spent`: the error that all looks up to each one may make together, not falling. `ratios`: the information at the
    look before, by that at this one; 0 for unrelated looks, and at the first.
    """
    from scipy.optimize import brentq
    from scipy.stats import norm

    found: list[float] = []
    before, nodes, mass = 0.0, np.zeros(1), np.ones(1)  # where the statistic is while no look has called a difference
    for upto, ratio in zip(spent, ratios, strict=True):
        share = float(np.clip(ratio, 0.0, _CLOSEST))
        mean, sd = np.sqrt(share) * nodes, float(np.sqrt(1 - share))
        allowed, before = upto - before, upto

        def excess(bound: float, allowed: float = allowed, mean: Floats = mean, sd: float = sd) -> float:
            outside = norm.sf((bound - mean) / sd) + norm.sf((bound + mean) / sd)
            return float(mass @ outside) - allowed  # noqa: B023  (called within its turn of the loop only)

        bound = float(brentq(excess, 0.0, _FURTHEST, xtol=1e-10)) if excess(_FURTHEST) < 0 else _FURTHEST
        found.append(2 * float(norm.sf(bound)) if allowed > 0 and bound < _FURTHEST else 0.0)
        points = bound * _NODES
        density = (mass @ norm.pdf((points[None] - mean[:, None]) / sd)) / sd
        nodes, mass = points, bound * _WEIGHTS * density
    return tuple(found)
