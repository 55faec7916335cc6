"""Intervals of shares: Wilson (1927), for groups at an effective number of images (Korn and Graubard 1998)."""

from dataclasses import dataclass

import numpy as np

from diascope.core.statistics import wilson
from diascope.metrics.arrays import Flags, Reals
from diascope.metrics.units import Limits, Units


@dataclass(frozen=True)
class Share:
    """A share of images, the limits of its interval, and where it comes from: hits (N,) among members (N,)."""

    value: float
    limits: Limits
    hits: Flags
    members: Flags


def proportion(hits: Flags, members: Flags, units: Units) -> Share | None:
    """The share of hits among the members; None without a member."""
    if not members.any():
        return None
    hits = hits & members
    value = int(hits.sum()) / int(members.sum())
    n = units.count(members)
    method = "Wilson" if units.groups is None else "Wilson, effective number of images"
    if units.groups is not None and n < 2:
        return Share(value, Limits(None, None, n, method), hits, members)
    low, high = wilson(value, effective_images(hits, members, units), units.critical(n))
    return Share(value, Limits(low, high, n, method), hits, members)


def effective_images(hits: Flags, members: Flags, units: Units) -> float:
    """How many independent images would tell as much as these: their number over the design effect (Kish 1965).

    Where all or none are hits no design effect can be seen: then each group counts as one image.
    """
    images = float(members.sum())
    if units.groups is None:
        return images
    value = hits.sum() / images
    if value in (0, 1):
        return float(units.count(members))
    residuals = units.of(members).sums((hits - value)[members])[:, 0]
    variance = clustered_variance(residuals / images)
    return min(images, value * (1 - value) / variance) if variance > 0 else images


def clustered_variance(of_units: Reals) -> float:
    """The variance of the sum of units' values (units,) whose sum is 0, from their spread."""
    return float(of_units @ of_units) * len(of_units) / (len(of_units) - 1)


def mean_of_shares(shares: list[Share], units: Units) -> Limits:
    """Limits of the mean of shares, from each one's own limits (MOVER: Zou and Donner 2008; Newcombe 1998).

    Shares whose members are other images are independent, but for groups that hold members of both.
    """
    n = units.count(np.logical_or.reduce([share.members for share in shares]))
    method = "MOVER of Wilson limits"
    if any(share.limits.low is None for share in shares):
        return Limits(None, None, n, method)
    middle = float(np.mean([share.value for share in shares]))
    below = np.array([share.value - (share.limits.low or 0.0) for share in shares])
    above = np.array([(share.limits.high or 0.0) - share.value for share in shares])
    together = _correlations(shares, units)
    low = middle - float(np.sqrt(max(0.0, below @ together @ below))) / len(shares)
    high = middle + float(np.sqrt(max(0.0, above @ together @ above))) / len(shares)
    return Limits(max(0.0, low), min(1.0, high), n, method)


def _correlations(shares: list[Share], units: Units) -> Reals:
    """How the shares vary together over units (shares, shares); ones and zeros where each image is a unit."""
    alone = np.eye(len(shares))
    if units.groups is None:
        return alone
    sums = units.sums(*[(share.hits - share.value * share.members) / share.members.sum() for share in shares])
    spread = np.sqrt((sums**2).sum(axis=0))
    together = sums.T @ sums / np.where(spread > 0, spread, 1) / np.where(spread > 0, spread, 1)[:, None]
    correlations: Reals = np.where(alone > 0, 1.0, together)
    return correlations
