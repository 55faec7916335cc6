"""Learning curves with a known course, for the tests of what is read off them."""

from pathlib import Path

import numpy as np
import pandas as pd
from numpy.typing import NDArray
from scipy.signal import lfilter

Curve = NDArray[np.float64]

BURN_IN = 60


def noise(epochs: int, sd: float, autocorrelation: float, random: np.random.Generator, curves: int = 1) -> Curve:
    """Autoregressive noise of order one, (curves, epochs), of the given SD and lag-1 autocorrelation."""
    shocks = random.normal(0, sd * np.sqrt(1 - autocorrelation**2), (curves, epochs + BURN_IN))
    drawn: Curve = lfilter([1], [1, -autocorrelation], shocks, axis=1)[:, BURN_IN:]
    return drawn


def falling(epochs: int, pace: float, start: float = 0.7, end: float = 0.4) -> Curve:
    """A loss (E,) that falls from start to end: each `pace` epochs leave 1/e of the way. 90% take 2.3 pace."""
    course: Curve = end + (start - end) * np.exp(-np.arange(epochs) / pace)
    return course


def turning(epochs: int, onset: int, start: float = 0.7, lowest: float = 0.5, end: float = 0.9) -> Curve:
    """A loss (E,) that falls in a straight line to its lowest value at epoch `onset`, and rises from there on."""
    return np.interp(np.arange(1, epochs + 1), [1, onset, epochs], [start, lowest, end])


def levelling(kind: str, epochs: int) -> Curve:
    """A loss (E,) of depth about one that levels off well before its end; benchmarks/curves.py measures more kinds."""
    time = np.arange(epochs)
    courses = {
        "exponential": np.exp(-6 * time / epochs),
        "line": np.interp(time + 1, [1, 0.5 * epochs], [1, 0]),
        "power": 1 / (time + 1),
        "turning up": np.exp(-10 * time / epochs) + np.clip(time / epochs - 0.5, 0, None),
    }
    return courses[kind]


def ninety_percent(course: Curve) -> float:
    """Where a course (E,) without noise has made 90% of its way down, in a straight line between epochs."""
    level = course.min() + 0.1 * (course[0] - course.min())
    k = int(np.argmax(course <= level))
    return float(k + 1 - (level - course[k]) / (course[k - 1] - course[k]))


def history(validation_loss: Curve, training_loss: Curve, **columns: Curve) -> pd.DataFrame:
    """A whole history around two losses (E,); accuracies rise in straight lines unless given."""
    epochs = len(validation_loss)
    table = {
        "epoch": np.arange(1, epochs + 1),
        "learning_rate": np.full(epochs, 1e-4),
        "training_loss": training_loss,
        "training_accuracy": np.linspace(0.5, 0.9, epochs),
        "training_eval_loss": training_loss,
        "training_eval_accuracy": np.linspace(0.5, 0.95, epochs),
        "validation_loss": validation_loss,
        "validation_accuracy": np.linspace(0.5, 0.8, epochs),
        "seconds": np.ones(epochs),
    }
    return pd.DataFrame({**table, **columns})


def plant(study: Path, arm: str, *histories: pd.DataFrame) -> None:
    """Give the runs of an arm in a written study folder these histories, in the order of their folders."""
    folders = sorted((study / "runs" / arm).iterdir())
    for folder, table in zip(folders, histories, strict=True):
        table.to_csv(folder / "history.csv", index=False)
