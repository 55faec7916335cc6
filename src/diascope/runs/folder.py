"""The folder of one run: its files, written so that a crash leaves the old version or the new one, never half of it."""

import csv
import json
import os
from collections.abc import Iterable, Mapping, Sequence
from io import StringIO
from pathlib import Path
from typing import Any
from uuid import uuid4

HISTORY_COLUMNS = (
    "epoch",
    "learning_rate",
    "training_loss",
    "training_accuracy",
    "training_eval_loss",
    "training_eval_accuracy",
    "validation_loss",
    "validation_accuracy",
    "seconds",
)


def run_path(study: Path, arm: str, fold: int, seed: int) -> Path:
    """Where a study keeps the run of one arm, fold and seed."""
    return study / "runs" / arm / f"fold{fold}-seed{seed}"


def write_atomic(path: Path, content: str | bytes) -> None:
    """Replace the file `path` as a whole; after a crash it holds the old content or the new."""
    path.parent.mkdir(parents=True, exist_ok=True)
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        with temporary.open("wb") as file:
            file.write(content.encode() if isinstance(content, str) else content)
            file.flush()
            os.fsync(file.fileno())
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    _sync_folder(path.parent)


def write_json(path: Path, tree: Any) -> None:
    """Replace `path` by `tree` as readable JSON."""
    write_atomic(path, json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


class RunFolder:
    """The files of one run, by name."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.config, self.provenance = path / "config.json", path / "provenance.json"
        self.history, self.predictions = path / "history.csv", path / "predictions.csv"
        self.checkpoint = path / "checkpoint.pt"
        self.last, self.best = path / "last.safetensors", path / "best.safetensors"
        self.error, self.done = path / "error.txt", path / "done.json"

    def clear(self) -> None:
        """Remove the files of an earlier run, the mark that it is done first."""
        for file in (self.done, self.checkpoint, self.history, self.predictions, self.last, self.best, self.error):
            file.unlink(missing_ok=True)

    def run_id(self) -> str | None:
        """The identity of the run that was begun here; None where there is none, or its file is damaged."""
        try:
            found = json.loads(self.config.read_text(encoding="utf-8")).get("run_id")
        except (OSError, ValueError, AttributeError):
            return None
        return found if isinstance(found, str) else None

    def append_history(self, row: Mapping[str, float]) -> None:
        """Add one epoch's row, on disk when this returns."""
        new = not self.history.exists()
        with self.history.open("a", encoding="utf-8", newline="") as file:
            writer = csv.DictWriter(file, HISTORY_COLUMNS, lineterminator="\n")
            if new:
                writer.writeheader()
            writer.writerow(row)
            file.flush()
            os.fsync(file.fileno())

    def keep_history(self, epochs: int) -> bool:
        """Cut the history back to its first `epochs` rows; False, and nothing is changed, if it has fewer."""
        lines = self.history.read_text(encoding="utf-8").splitlines(keepends=True) if self.history.exists() else []
        kept = lines[: epochs + 1]
        if len(kept) < epochs + 1 or not kept[-1].endswith("\n"):
            return False
        if kept != lines:
            write_atomic(self.history, "".join(kept))
        return True

    def write_predictions(self, classes: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
        """Rows are (checkpoint, side, path, group, label, probability of each class in order)."""
        text = StringIO()
        writer = csv.writer(text, lineterminator="\n")
        writer.writerow(["checkpoint", "side", "path", "group", "label", *(f"p_{name}" for name in classes)])
        writer.writerows(rows)
        write_atomic(self.predictions, text.getvalue())


def _sync_folder(folder: Path) -> None:
    if os.name == "nt":  # Windows cannot open a folder; its renames are journalled
        return
    descriptor = os.open(folder, os.O_RDONLY)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
