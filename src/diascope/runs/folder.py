"""The folder of one run: its files, written so that a crash leaves the old version or the new one, never half of it."""

import json
from collections.abc import Iterable, Mapping, Sequence
from pathlib import Path

from diascope.core.csv_cells import csv_text
from diascope.core.files import write_atomic

HISTORY_COLUMNS = (
    "epoch",
    "learning_rate",
    "training_loss",
    "training_accuracy",
    "training_eval_loss",
    "training_eval_accuracy",
    "validation_loss",
    "validation_accuracy",
    "validation_balanced_accuracy",
    "validation_auroc",
    "seconds",
)
ADDED_COLUMNS = ("validation_balanced_accuracy", "validation_auroc")  # which older run folders lack


def run_path(study: Path, arm: str, fold: int, seed: int) -> Path:
    """Where a study keeps the run of one arm, fold and seed."""
    return study / "runs" / arm / f"fold{fold}-seed{seed}"


class RunFolder:
    """The files of one run, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.provenance = path / "config.json", path / "provenance.json"
        self.history, self.predictions = path / "history.csv", path / "predictions.csv"
        self.checkpoint, self.previous = path / "checkpoint.pt", path / "checkpoint.previous.pt"
        self.last, self.best = path / "last.safetensors", path / "best.safetensors"
        self.statistics = path / "statistics.safetensors"  # of a backbone with random weights
        self.error, self.done = path / "error.txt", path / "done.json"

    def clear(self) -> None:
        """Remove the files of an earlier run: first the mark that it is done, last what tells whose run it was."""
        checkpoints, results = (self.checkpoint, self.previous), (self.history, self.predictions, self.last, self.best)
        origin = (self.statistics, self.provenance, self.config)
        for file in (self.done, *checkpoints, *results, self.error, *origin):
            file.unlink(missing_ok=True)

    def sweep(self) -> None:
        """Remove what a killed writer left half written. Only the one who holds the claim may do that."""
        for torn in self.path.glob(".*.tmp"):
            torn.unlink(missing_ok=True)

    def run_id(self) -> str | None:
        """The identity of the run that was begun here; None where there is none, or its file is damaged."""
        return _run_id(self.config)

    def is_done(self, run_id: str) -> bool:
        """Whether the run of this identity is finished here."""
        return _run_id(self.done) == self.run_id() == run_id

    def append_history(self, row: Mapping[str, float]) -> None:
        """Add one epoch's row. The first row needs `write_history` before it.

        The disk need not have it yet: a run that goes on writes the rows of its checkpoint anew.
        """
        with self.history.open("a", encoding="utf-8", newline="") as file:
            file.write(csv_text([[row[column] for column in HISTORY_COLUMNS]]))

    def write_history(self, rows: Iterable[Mapping[str, float]]) -> None:
        """Replace the history by a header and these rows."""
        lines = ([row[column] for column in HISTORY_COLUMNS] for row in rows)
        write_atomic(self.history, csv_text([HISTORY_COLUMNS, *lines]))

    def write_predictions(self, classes: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows are (checkpoint, side, path, group, label, probability of each class in order)."""
        header = ["checkpoint", "side", "path", "group", "label", *(f"p_{name}" for name in classes)]
        write_atomic(self.predictions, csv_text([header, *rows]))


def _run_id(file: Path) -> str | None:
    """What config.json or done.json says; None where it does not."""
    try:
        found = json.loads(file.read_text(encoding="utf-8")).get("run_id")
    except (OSError, ValueError, AttributeError):
        return None
    return found if isinstance(found, str) else None
