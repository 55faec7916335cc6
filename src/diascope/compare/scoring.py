"""What one run's predictions say: scores, confusion matrix and ROC curves at one of its checkpoints."""

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

import diascope.metrics as metrics
from diascope.core.errors import RunError
from diascope.metrics import RocCurve, Scores
from diascope.runs.record import RunRecord, predicted_classes

Checkpoint = Literal["last", "best"]
Side = Literal["validation", "test"]


@dataclass(frozen=True)
class Place:
    """What runs are judged on, and with which of their weights."""

    side: Side = "validation"
    checkpoint: Checkpoint = "last"


VALIDATION = Place()


@dataclass(frozen=True)
class Evaluation:
    """One run, judged on one side at one checkpoint."""

    images: int
    scores: Scores
    confusion: NDArray[np.int64]  # (K, K), row = true class, column = predicted class
    roc: dict[str, RocCurve]  # of the positive class of two, of every class of more; undefined ones left out


def judged_runs(runs: Iterable[RunRecord], place: Place = VALIDATION) -> list[RunRecord]:
    """The finished runs; on the test side those of them that were judged there with the weights of this checkpoint."""
    done = [run for run in runs if run.state == "done"]
    return done if place.side == "validation" else [run for run in done if place.checkpoint in tested(run)]


def tested(run: RunRecord) -> set[str]:
    """The checkpoints with which a finished run was judged on the test side."""
    table = run.predictions
    return set(table["checkpoint"][table["side"] == "test"])


def evaluate(
    run: RunRecord, checkpoint: Checkpoint, classes: tuple[str, ...], positive: str, side: str = "validation"
) -> Evaluation:
    """Judge a finished run; RunError if its predictions are missing, damaged or of other classes."""
    labels, probabilities = _arrays(run, checkpoint, side, classes)
    number = classes.index(positive)
    drawn = [number] if len(classes) == 2 else range(len(classes))
    curves = {classes[k]: metrics.roc_curve(labels, probabilities, k) for k in drawn}
    return Evaluation(
        images=len(labels),
        scores=metrics.scores(labels, probabilities, number),
        confusion=metrics.confusion_matrix(labels, probabilities, number),
        roc={name: curve for name, curve in curves.items() if curve is not None},
    )


def _arrays(
    run: RunRecord, checkpoint: Checkpoint, side: str, classes: tuple[str, ...]
) -> tuple[NDArray[np.int64], NDArray[np.float64]]:
    """Labels (N,) and probabilities (N, K) in the study's class order."""
    table = run.predictions
    where, remedy = str(run.folder / "predictions.csv"), f"delete the folder {run.folder} and run the study again"
    if set(predicted_classes(table)) != set(classes):
        found = ", ".join(predicted_classes(table))
        raise RunError(f"its classes are {found}, the study's are {', '.join(classes)}", where=where, remedy=remedy)
    rows: Any = table[(table["checkpoint"] == checkpoint) & (table["side"] == side)]
    if len(rows) == 0:
        raise RunError(f"it holds no prediction of checkpoint {checkpoint}, {side}", where=where, remedy=remedy)
    numbers = {name: number for number, name in enumerate(classes)}
    labels = np.array([numbers[label] for label in rows["label"]], dtype=np.int64)
    return labels, rows[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
