"""Whether maps lie where the finding is: energy inside a known region and those of other images; the pointing game."""

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.metrics.arrays import Counts, group_numbers
from diascope.metrics.bootstrap import mean_limits
from diascope.metrics.units import Units

DRAWS = 2000
SIGNIFICANT, ROUNDING = 0.05, 1e-9
ALIKE = 0.8  # mean intersection over union of regions of different images, from which on they are no use here
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
    means of area (the region's share of the image), energy, excess (energy minus area), pointing, others (energy inside
    the regions of images of other groups) and beyond (energy minus others), with 95% intervals of the studentized
    bootstrap over groups, None for fewer than ten groups; "overlap", the mean intersection over union of regions of
    different groups; and for "all" p, two-sided, of the same maps with the regions dealt out anew among the groups, and
    the verdict that it allows.
    "sentence" says what may be said of them.

    A map that lies in the middle of every image lies inside most regions, whatever the network saw. So it is not the
    area that says what chance would give, but the regions of other images.
    """
    energy = [energy_inside(one, region) for one, region in zip(maps, regions, strict=True)]
    hits = [pointing(one, region) for one, region in zip(maps, regions, strict=True)]
    parts = {"all": np.ones(len(maps), dtype=bool), "right": right, "wrong": ~right}
    numbers = np.arange(len(maps)) if groups is None else group_numbers(groups, len(maps))
    drawn = np.array([value is not None for value in energy], dtype=bool)
    values = np.array([value or 0.0 for value in energy])
    points = np.array([value or 0.0 for value in hits])
    area = regions.mean(axis=(1, 2)) if len(regions) else np.zeros(0)
    crossed, overlap = _crossed(maps, regions)
    found: dict[str, Any] = {}
    for name, members in parts.items():
        rows = members & drawn
        units = Units(len(rows), None if groups is None else numbers).of(rows)
        found[name] = {
            "images": int(members.sum()),
            "empty": int((members & ~drawn).sum()),
            "area": float(area[rows].mean()) if rows.any() else None,
            "energy": _mean(values[rows], units, seed, least=0),
            "excess": _mean((values - area)[rows], units, seed, least=-1),
            "pointing": _mean(points[rows], units, seed, least=0),
            **_against_others(crossed[np.ix_(rows, rows)], overlap[np.ix_(rows, rows)], numbers[rows], units, seed),
        }
    told = found["all"]
    enough = told["beyond"]["low"] is not None
    told["p"] = _permutation_p(crossed[np.ix_(drawn, drawn)], numbers[drawn], seed) if enough else None
    told["verdict"] = _verdict(told)
    return found | {"sentence": _sentence(told)}


def _crossed(maps: NDArray[np.float32], regions: NDArray[np.bool_]) -> tuple[Floats, Floats]:
    """(N, N): the share of each map's energy inside each region, and how far regions overlap (over their union)."""
    positive = np.maximum(maps.reshape(len(maps), -1), 0)
    inside = regions.reshape(len(regions), -1).astype(np.float32)
    totals = positive.sum(axis=1, dtype=np.float64)
    shares = (positive @ inside.T) / np.where(totals > 0, totals, 1)[:, None]
    both, sizes = inside @ inside.T, inside.sum(axis=1)
    return shares.astype(np.float64), (both / np.maximum(1, sizes[:, None] + sizes - both)).astype(np.float64)


def _against_others(energy: Floats, overlap: Floats, groups: Counts, units: Units, seed: int) -> dict[str, Any]:
    """Energy (N, N) of each map inside each region against the regions of other groups."""
    others = groups[:, None] != groups
    if not others.any():
        nothing = {"value": None, "low": None, "high": None}
        return {"others": None, "beyond": nothing, "overlap": None}
    chance = float(energy[others].mean())
    own = energy.diagonal()
    # What each image adds to the difference: of the mean over pairs it is a part as a map and as a region.
    counts = others.sum(axis=1)
    as_map, as_region = (energy * others).sum(axis=1) / counts, (energy * others).sum(axis=0) / counts
    limits = mean_limits(2 + own - as_map - as_region + chance, units, draws=DRAWS, seed=seed)
    value = float(own.mean()) - chance
    low, high = (None if limit is None else limit - 2 for limit in (limits.low, limits.high))
    return {
        "others": chance,
        "beyond": {"value": value, "low": low, "high": high},
        "overlap": float(overlap[others].mean()),
    }


def _permutation_p(energy: Floats, groups: Counts, seed: int) -> float:
    """Two-sided, of the mean energy inside the own region: whole groups change regions, in the order of their images.

    A group that is given fewer regions than it has images takes them in turn.
    """
    random = np.random.default_rng(seed)
    members = [np.flatnonzero(groups == group) for group in np.unique(groups)]
    sizes = np.array([len(own) for own in members])
    given = np.stack([np.resize(own, sizes.max()) for own in members])  # (groups, most images of one)
    taken = np.arange(sizes.max()) < sizes[:, None]
    images, observed = given[taken], energy.diagonal().mean()
    dealt = np.array([energy[images, given[random.permutation(len(members))][taken]].mean() for _ in range(DRAWS - 1)])
    above, below = (dealt >= observed - ROUNDING).sum(), (dealt <= observed + ROUNDING).sum()
    return float(min(1.0, 2 * (1 + min(above, below)) / DRAWS))


def _verdict(row: dict[str, Any]) -> str | None:
    """more, less, not shown or cannot be told, by the permutation test; None for too few images."""
    if row["p"] is None:
        return None
    if row["p"] < SIGNIFICANT:
        return "more" if row["beyond"]["value"] > 0 else "less"
    return "cannot be told" if row["overlap"] > ALIKE else "not shown"


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
    energy, beyond = row["energy"], row["beyond"]
    if energy["value"] is None:
        return f"All {row['images']} maps are empty: there is no energy that could lie anywhere."
    said = (
        f"{energy['value']:.1%} of the energy of the maps lies inside the known regions of "
        f"{row['images'] - row['empty']} images, which take up {row['area']:.1%} of them"
    )
    if row["p"] is None:
        return f"{said}; these are too few images, or groups of them, to compare with the regions of other images."
    said += f", and {row['others']:.1%} inside the regions of other images"
    limits = f"difference {_signed(beyond['value'])}, {_p_words(row['p'])} by permutation"
    if row["verdict"] == "more":
        return f"{said} ({limits}): the network looks there more than with the regions of other images."
    if row["verdict"] == "less":
        return f"{said} ({limits}): less than with the regions of other images; the network looks elsewhere."
    if row["verdict"] == "cannot be told":
        return (
            f"{said} ({limits}): whether the network looks there cannot be told, since the regions of different images "
            f"are nearly the same (they share {row['overlap']:.0%} of their union)."
        )
    return f"{said} ({limits}): not shown to differ from the regions of other images."


def _p_words(p: float) -> str:
    return "p < .001" if p < 0.001 else f"p = {p:.3f}".replace("0.", ".")


def _signed(value: float) -> str:
    return f"{value:+.1%}".replace("-", "−").replace("%", " points")
