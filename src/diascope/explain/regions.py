"""Whether maps lie where the finding is: energy inside a known region, and the pointing game."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.metrics.arrays import group_numbers
from diascope.metrics.bootstrap import mean_limits
from diascope.metrics.units import Units

DRAWS = 2000
Floats = NDArray[np.float64]


def energy_inside(attribution: NDArray[np.float32], region: NDArray[np.bool_]) -> float | None:
    """The share of a map's (H, W) positive values that lies in the region (Wang et al. 2020); None for an empty map."""
    positive = np.maximum(attribution, 0).astype(np.float64)
    total = positive.sum()
    return float(positive[region].sum() / total) if total > 0 else None


def pointing(attribution: NDArray[np.float32], region: NDArray[np.bool_]) -> float | None:
    """1 if the largest value lies in the region, else 0 (Zhang et al. 2016); None for an empty map.

    Of several largest values, the share that lies in it. Without the paper's tolerance of 15 pixels around a region.
    """
    top = attribution.max()
    return float(region[attribution == top].mean()) if top > 0 else None


def measure_regions(
    maps: NDArray[np.float32],
    regions: NDArray[np.bool_],
    right: NDArray[np.bool_],
    groups: Sequence[str] | None,
    *,
    seed: int = 0,
) -> dict[str, Any]:
    """Maps and regions (N, H, W), whether each image was classified rightly (N,), groups (N,) -> plain values.

    By "all", "right" and "wrong": images, empty (maps without a positive value, which count nowhere else), and the
    means of area (the region's share of the image, what chance would give), energy, excess (energy minus area) and
    pointing; energy, excess and pointing with a 95% interval of the studentized bootstrap over groups, None for fewer
    than ten groups. "sentence" says what may be said of them.
    """
    energy = [energy_inside(one, region) for one, region in zip(maps, regions, strict=True)]
    hits = [pointing(one, region) for one, region in zip(maps, regions, strict=True)]
    parts = {"all": np.ones(len(maps), dtype=bool), "right": right, "wrong": ~right}
    numbers = None if groups is None else group_numbers(groups, len(maps))
    drawn = np.array([value is not None for value in energy], dtype=bool)
    values = np.array([value or 0.0 for value in energy])
    points = np.array([value or 0.0 for value in hits])
    area = regions.mean(axis=(1, 2)) if len(regions) else np.zeros(0)
    found: dict[str, Any] = {}
    for name, members in parts.items():
        rows = members & drawn
        units = Units(len(rows), numbers).of(rows)
        found[name] = {
            "images": int(members.sum()),
            "empty": int((members & ~drawn).sum()),
            "area": float(area[rows].mean()) if rows.any() else None,
            "energy": _mean(values[rows], units, seed, least=0),
            "excess": _mean((values - area)[rows], units, seed, least=-1),
            "pointing": _mean(points[rows], units, seed, least=0),
        }
    return found | {"sentence": _sentence(found["all"])}


def _mean(values: Floats, units: Units, seed: int, *, least: float) -> dict[str, float | None]:
    """Mean and limits of values between `least` and 1."""
    if len(values) == 0:
        return {"value": None, "low": None, "high": None}
    # mean_limits is for values that are never negative; excess lies between -1 and 1, and moving it moves its limits.
    limits = mean_limits(values + 1, units, draws=DRAWS, seed=seed)
    low, high = (None if limit is None else min(1.0, max(least, limit - 1)) for limit in (limits.low, limits.high))
    return {"value": float(values.mean()), "low": low, "high": high}


def _sentence(row: dict[str, Any]) -> str:
    """What may be said of all images."""
    excess, energy = row["excess"], row["energy"]
    if energy["value"] is None:
        return f"All {row['images']} maps are empty: there is no energy that could lie anywhere."
    said = (
        f"{energy['value']:.0%} of the energy of the maps lies inside the known regions of "
        f"{row['images'] - row['empty']} images, which take up {row['area']:.0%} of them"
    )
    if excess["low"] is None or excess["high"] is None:
        return f"{said}; these are too few images for an interval."
    limits = (
        f"difference {_signed(excess['value'])}, 95% interval {_signed(excess['low'])} to {_signed(excess['high'])}"
    )
    if excess["low"] > 0:
        return f"{said} ({limits}): the network looks there more than chance would."
    if excess["high"] < 0:
        return f"{said} ({limits}): less than chance would give; the network looks elsewhere."
    return f"{said} ({limits}): not shown to differ from chance."


def _signed(value: float) -> str:
    return f"{value:+.1%}".replace("-", "−").replace("%", " points")
