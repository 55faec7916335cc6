"""The checkpoint of a run: {run_id, state, history}, written atomically, with the one before it kept until then."""

import io
import struct
import zlib
from pathlib import Path
from pickle import UnpicklingError
from time import perf_counter
from typing import Any
from zipfile import BadZipFile, ZipFile

import torch

from diascope.core.files import write_atomic
from diascope.engine.task import RunTask
from diascope.runs.folder import RunFolder
from diascope.training.state import TrainingState


def save_checkpoint(
    folder: RunFolder, task: RunTask, state: TrainingState, history: list[dict[str, float]]
) -> tuple[float, float]:
    """Returns the seconds that it took, and when it ended."""
    started = perf_counter()
    content = io.BytesIO()
    torch.save({"run_id": task.run_id, "state": state.state_dict(), "history": history}, content)
    write_atomic(folder.checkpoint, content.getvalue(), keep=folder.previous)
    ended = perf_counter()
    return ended - started, ended


def read_checkpoint(file: Path) -> dict[str, Any] | None:
    """A checkpoint, or None if there is none or it is damaged: its parts carry check sums, which torch ignores."""
    try:
        with ZipFile(file) as parts:
            if parts.testzip() is not None:
                return None
        saved = torch.load(file, map_location="cpu", weights_only=True)
    except FileNotFoundError:
        return None
    except (BadZipFile, UnpicklingError, OSError, RuntimeError, ValueError, EOFError, zlib.error, struct.error):
        return None
    return saved if isinstance(saved, dict) and {"run_id", "state", "history"} <= set(saved) else None
