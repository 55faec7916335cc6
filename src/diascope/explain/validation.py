"""What a run said of its validation side, from its predictions.csv, and the cases that are worth a look."""

from dataclasses import dataclass
from typing import Literal

import numpy as np
from numpy.typing import NDArray

from diascope.core.errors import RunError
from diascope.metrics import predicted_classes
from diascope.runs.record import RunRecord

Kind = Literal["right", "wrong", "least-sure"]
Checkpoint = Literal["best", "last"]


@dataclass(frozen=True, eq=False)
class ValidationPredictions:
    """N validation images: paths, groups (None without), class numbers (N,), probabilities (N, K) in class order."""

    paths: list[str]
    groups: list[str] | None
    labels: NDArray[np.int64]
    probabilities: NDArray[np.float64]
    positive: int

    @property
    def predicted(self) -> NDArray[np.int64]:
        return predicted_classes(self.probabilities, self.positive)


@dataclass(frozen=True)
class Case:
    """An image that is shown: its row among the judged ones, and why."""

    kind: Kind
    row: int


def read_validation(
    run: RunRecord, checkpoint: Checkpoint, classes: tuple[str, ...], positive: str
) -> ValidationPredictions:
    """The run's predictions of its validation side, in the order of the paths. Raises RunError where there are none."""
    table = run.predictions
    rows = table[(table["checkpoint"] == checkpoint) & (table["side"] == "validation")].sort_values("path")
    columns = [f"p_{name}" for name in classes]
    if rows.empty or not set(columns) <= set(rows):
        what = f"it holds no predictions of {', '.join(classes)} by the {checkpoint} epoch on the validation side"
        remedy = f"delete the folder {run.folder} and run the study again: it trains what is missing"
        raise RunError(what, where=str(run.folder / "predictions.csv"), remedy=remedy)
    paths = rows["path"].tolist()
    groups = [group or f"image {path}" for group, path in zip(rows["group"], paths, strict=True)]
    return ValidationPredictions(
        paths,
        groups if (rows["group"] != "").any() else None,
        np.array([classes.index(label) for label in rows["label"]], dtype=np.int64),
        rows[columns].to_numpy(dtype=np.float64),
        classes.index(positive),
    )


def pick_cases(judged: ValidationPredictions, count: int) -> list[Case]:
    """Of each class at most `count` wrong, right and least sure images; no image twice, no group twice in one kind.

    Right and wrong are the surest ones: the highest and the lowest probability of the true class. Least sure are those
    of the others whose two most probable classes lie closest together, right or wrong, however sure they still are.
    """
    truth = judged.probabilities[np.arange(len(judged.labels)), judged.labels]
    first, second = np.sort(judged.probabilities, axis=1)[:, :-3:-1].T
    right = judged.predicted == judged.labels
    everyone = np.ones(len(right), dtype=bool)
    taken: set[int] = set()
    found: list[Case] = []
    for number in range(judged.probabilities.shape[1]):
        of_class = judged.labels == number
        wanted: tuple[tuple[Kind, NDArray[np.bool_], NDArray[np.float64]], ...] = (
            ("right", right, -truth),
            ("wrong", ~right, truth),
            ("least-sure", everyone, first - second),
        )
        for kind, members, order in wanted:
            rows = [int(row) for row in np.argsort(order, kind="stable") if (of_class & members)[row]]
            chosen = _one_a_group([row for row in rows if row not in taken], judged.groups)[:count]
            taken |= set(chosen)
            found += [Case(kind, row) for row in chosen]
    return found


def spread(rows: NDArray[np.int64], count: int) -> NDArray[np.int64]:
    """At most `count` of the rows, evenly spread over them: the order of paths goes through the classes' folders."""
    if len(rows) <= count:
        return rows
    return rows[np.linspace(0, len(rows) - 1, count).round().astype(np.int64)]


def _one_a_group(rows: list[int], groups: list[str] | None) -> list[int]:
    if groups is None:
        return rows
    seen: dict[str, int] = {}
    for row in rows:
        seen.setdefault(groups[row], row)
    return list(seen.values())
