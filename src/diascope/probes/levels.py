"""Columns of the manifest (device, site): within one class, does the answer lean to the class that a value mostly has?

A network that recognizes devices, and has learned which class each of them sees most, leans that way with images of
either class. Where only the mix of cases differs (a site with harder or with advanced ones: the spectrum), scores
differ as well, but in the classes' opposite directions, or in one class alone. So the lean must be in every class.
Other causes are possible, so that it alone never says more than "possible"; where the values also take along most of
what the network seems to know, it is found.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from diascope.core.text import shorten
from diascope.probes.effects import Effect, Floats, estimated, jackknife_variance
from diascope.probes.exchange import log_probabilities
from diascope.probes.subject import Measured, Subject
from diascope.probes.swapping import percent

LEVELS = (2, 10)  # fewest and most values of a column
FEWEST = 5  # images of each class within a value
APART = 1.5  # between values: ratio of the odds of a class, below which they have nothing to lean to
MUCH, SOME = 0.10, 0.05  # of the distance between classes: how far the scores lean
OF_GAIN = 0.5  # of the AUROC above chance: what must be lost within the values for a shortcut to be found
OURS = {"path", "label", "class_number", "group", "split"}  # columns of index.csv that are not the user's
TITLE = "Within columns"
_NAMED = 4  # values of a column that a sentence names


@dataclass(frozen=True)
class Column:
    """Validation images (N,) in values that can be compared: number of the value of each, and log priors (V, K).

    The priors are the classes' shares within each value on the training side, which the network could learn.
    """

    name: str
    values: Sequence[str]
    numbers: NDArray[np.int64]  # of the validation side (N,); -1 where the value cannot be compared
    priors: Floats


def probe(probed: Subject) -> list[Measured]:
    """Every column that has a few values."""
    found = [
        _of_column(probed, name, np.array(cells))
        for name, cells in probed.columns.items()
        if name not in OURS and LEVELS[0] <= len(set(cells)) <= LEVELS[1]
    ]
    facts = f"the data have no column with {LEVELS[0]} to {LEVELS[1]} values"
    return found or [Measured("levels", TITLE, facts, outcome="not applicable")]


def _of_column(probed: Subject, name: str, cells: NDArray[np.str_]) -> Measured:
    code, title = f"levels-{name}", f"Within {name}"
    column = _comparable(probed, name, cells)
    if isinstance(column, str):
        return Measured(code, title, column, outcome="not applicable")
    kept = column.numbers >= 0
    distance = _distance(probed, kept)
    if not distance > 0:
        facts = "the network's answers do not tell the classes of these images apart"
        return Measured(code, title, facts, outcome="skipped")
    of_class = [_lean(probed, column, distance, number) for number in range(len(probed.task.data.classes))]
    if any(effect is None for effect in of_class):
        return Measured(code, title, f"a class has too few {probed.unit} within the values", outcome="skipped")
    leans = [effect for effect in of_class if effect is not None]
    least = max(leans, key=lambda effect: effect.p)
    over_all, within = _auroc(probed, kept), _auroc_within(probed, column)
    lost = 1 - (within - 0.5) / (over_all - 0.5) if over_all > 0.5 else 0.0
    each = ", ".join(
        f"{called} {percent(lean.value)}" for called, lean in zip(probed.task.data.classes, leans, strict=True)
    )
    facts = (
        f"images of one class score higher for the class that their {name} ({shorten(column.values, _NAMED)}) mostly "
        f"has, by this share of the distance between the classes: {each}; the smallest lean has a 95% CI of "
        f"{percent(least.low)} to {percent(least.high)}. AUROC is {over_all:.3f} over these images and {within:.3f} "
        f"within the values"
    )
    small = min(lean.value for lean in leans)
    return Measured(
        code=code,
        title=title,
        facts=facts,
        claim=f"with images of either class it leans to the class that their {name} mostly has",
        effect=least,
        quantity=f"lean to what {name} mostly has, least of the classes",
        null=0.0,
        null_words="no lean within a class",
        much=small >= MUCH and lost >= OF_GAIN,
        some=small >= SOME,
        evidence={
            "column": name,
            "values": list(column.values),
            "leans": [lean.value for lean in leans],
            "over_all": over_all,
            "within": within,
        },
    )


def _comparable(probed: Subject, name: str, cells: NDArray[np.str_]) -> Column | str:
    """Values with images of each class whose mix of classes differs; or why there are none."""
    data, classes = probed.task.data, len(probed.task.data.classes)
    judged, seen = cells[probed.rows], cells[data.training]
    values, priors = [], []
    for value in np.unique(cells).tolist():
        counts = np.bincount(probed.labels[judged == value], minlength=classes)
        learned = np.bincount(data.labels[data.training][seen == value], minlength=classes) + 0.5
        if counts.min() >= FEWEST:
            values.append(value)
            priors.append(np.log(learned / learned.sum()))
    if len(values) < 2:
        return (
            f"the values of {name} cannot be compared: fewer than two of them have {FEWEST} validation images of each "
            "class"
        )
    table = np.stack(priors)
    if _reach(table) < np.log(APART):
        return f"the classes are mixed alike within the values of {name}, so that they say nothing of the class"
    numbers = np.full(len(judged), -1)
    for number, value in enumerate(values):
        numbers[judged == value] = number
    return Column(name, values, numbers, table)


def _reach(priors: Floats) -> float:
    """The largest difference between two values (V, K) of the log odds of two classes."""
    odds = priors[:, :, None] - priors[:, None, :]
    return float((odds.max(axis=0) - odds.min(axis=0)).max())


def _distance(probed: Subject, kept: NDArray[np.bool_]) -> float:
    """Between the classes: log odds of the true class against the others, all classes alike, times two."""
    scores, labels = log_probabilities(probed.probabilities[kept]), probed.labels[kept]
    own = scores[np.arange(len(labels)), labels]
    others = (scores.sum(axis=1) - own) / (scores.shape[1] - 1)
    return 2 * float(np.mean([(own - others)[labels == number].mean() for number in np.unique(labels)]))


def _lean(probed: Subject, column: Column, distance: float, number: int) -> Effect | None:
    """Within the class: the slope of the scores on the priors, over the priors' reach, of the distance of classes."""
    chosen = (column.numbers >= 0) & (probed.labels == number)
    scores = log_probabilities(probed.probabilities[chosen])
    scores -= scores.mean(axis=1, keepdims=True)
    priors = column.priors[column.numbers[chosen]]
    priors = priors - priors.mean(axis=1, keepdims=True)
    units, reach = probed.units[chosen], _reach(column.priors)

    def slope(kept: NDArray[np.bool_]) -> float:
        x = priors[kept] - priors[kept].mean(axis=0)
        spread = float((x**2).sum())
        return float((x * scores[kept]).sum()) / spread * reach / distance if spread > 1e-9 else float("nan")

    left = np.array([slope(units != unit) for unit in np.unique(units)])
    if len(left) < 2 or not np.isfinite(left).all():
        return None
    return estimated(slope(np.ones(len(units), dtype=bool)), [(jackknife_variance(left), len(left))])


def _auroc(probed: Subject, kept: NDArray[np.bool_]) -> float:
    """Of the kept images; of several classes the mean over pairs (Hand and Till 2001)."""
    from diascope.metrics import score

    found = score("auroc", probed.labels[kept], probed.probabilities[kept], probed.positive)
    return float("nan") if found is None else found


def _auroc_within(probed: Subject, column: Column) -> float:
    """The mean over the values, weighted by their images."""
    numbers = range(len(column.values))
    counts = [int((column.numbers == number).sum()) for number in numbers]
    each = [_auroc(probed, column.numbers == number) for number in numbers]
    return float(np.average(each, weights=counts))
