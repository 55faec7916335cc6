"""Accuracy within the values of the user's columns (device, site, hardware): is the class told apart there, too?

A network that tells devices apart, and knows which class each device sees most, is good over all images and no better
than chance within those of one device.
"""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from diascope.metrics import score
from diascope.probes.effects import estimated, jackknife_variance
from diascope.probes.probed import Measured, Probed

LEVELS = (2, 10)  # fewest and most values of a column
FEWEST = 5  # images of each class within a value
MUCH, SOME = 0.10, 0.05  # of balanced accuracy: what is lost within the values
OURS = {"path", "label", "class_number", "group", "split"}  # columns of index.csv that are not the user's


def probe(probed: Probed) -> list[Measured]:
    """Every column that has a few values, two or more of them with images of each class."""
    found = [
        measured
        for name, cells in probed.columns.items()
        if name not in OURS
        and (measured := _of_column(probed, name, np.array([cells[row] for row in probed.rows.tolist()]))) is not None
    ]
    if found:
        return found
    facts = (
        f"the data have no column with {LEVELS[0]} to {LEVELS[1]} values, two of them with {FEWEST} validation images "
        "of each class"
    )
    return [Measured("levels", "Within columns", facts, outcome="not applicable")]


def _of_column(probed: Probed, name: str, cells: NDArray[np.str_]) -> Measured | None:
    values = np.unique(cells)
    if not LEVELS[0] <= len(values) <= LEVELS[1]:
        return None
    usable = [value for value in values.tolist() if _is_usable(probed, cells == value)]
    if len(usable) < 2:
        return None
    kept = np.isin(cells, usable)
    units = probed.units[kept]
    whole = _lost(probed, cells, usable, kept)
    left = [_lost(probed, cells, usable, kept & (probed.units != unit)) for unit in np.unique(units)]
    differences = np.array([over_all - within for over_all, within in left])
    if len(left) < 2 or not np.isfinite(differences).all():
        return None
    over_all, within = whole
    effect = estimated(over_all - within, [(jackknife_variance(differences), len(left))])
    facts = (
        f"balanced accuracy is {over_all:.3f} over all images and {within:.3f} within the values of {name} "
        f"({_listed(usable)}): {effect.value:z.3f} lower (95% CI {effect.low:z.3f} to {effect.high:z.3f})"
    ).replace(" -", " −")
    return Measured(
        code=f"levels-{name}",
        title=f"Within {name}",
        facts=facts,
        claim=f"within {name} it tells the classes apart less well than over all",
        effect=effect,
        quantity=f"balanced accuracy lost within {name}",
        null=0.0,
        null_words="over all images",
        much=effect.value >= MUCH,
        some=effect.value >= SOME,
        evidence={"column": name, "values": usable, "over_all": over_all, "within": within},
    )


def _is_usable(probed: Probed, of_value: NDArray[np.bool_]) -> bool:
    counts = np.bincount(probed.labels[of_value], minlength=len(probed.task.data.classes))
    return bool(counts.min() >= FEWEST)


def _lost(
    probed: Probed, cells: NDArray[np.str_], usable: Sequence[str], kept: NDArray[np.bool_]
) -> tuple[float, float]:
    """Balanced accuracy over the kept images, and its mean within the values, weighted by their images."""
    within = [(_balanced(probed, kept & (cells == value)), int((kept & (cells == value)).sum())) for value in usable]
    total = sum(count for _, count in within)
    return _balanced(probed, kept), sum(value * count for value, count in within) / max(total, 1)


def _balanced(probed: Probed, kept: NDArray[np.bool_]) -> float:
    found = score("balanced_accuracy", probed.labels[kept], probed.probabilities[kept], probed.positive)
    return float("nan") if found is None else found


def _listed(values: Sequence[str]) -> str:
    return ", ".join(values[:4]) + (f" and {len(values) - 4} more" if len(values) > 4 else "")
