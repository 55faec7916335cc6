"""What a worker of the Ray executor does: train in a temporary folder, and send what happens and what is new in it."""

from collections.abc import Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter
from typing import Any

from diascope.core.files import write_atomic
from diascope.engine import SAVE_SHARE, RunTask
from diascope.runs.folder import RunFolder
from diascope.study.executors import EpochDone, Event, Failed, Finished, Started
from diascope.study.executors.worker import train_tasks
from diascope.training.loop import Epoch

Files = dict[str, bytes | None]  # of a run folder, by name; None: it was removed


@dataclass(frozen=True)
class Message:
    """What a worker says: that it starts, an epoch, or how it ended; and files of the run, where there are new ones."""

    kind: type[Started] | type[EpochDone] | type[Finished] | type[Failed]
    epoch: Epoch | None
    problem: str
    files: Files

    def event(self, task: RunTask) -> Event:
        if self.epoch is not None:
            return EpochDone(task, self.epoch)
        if self.kind is Failed:
            return Failed(task, self.problem)
        return Started(task) if self.kind is Started else Finished(task)


def train_there(task: RunTask, files: Files, start: bytes | None, device: str, **arrays: Any) -> Iterator[Message]:
    """A worker's part: go on from `files` in a temporary folder, and send what happens.

    `start` are the weights that the run begins with; `arrays` are those of the task's data, by name.
    """
    with TemporaryDirectory(prefix="diascope-") as name, TemporaryDirectory(prefix="diascope-") as first:
        folder = Path(name)
        place(files, folder)
        here = replace(task, folder=folder, data=replace(task.data, **arrays))
        if start is not None:
            here = replace(here, start=Path(first))
            write_atomic(RunFolder(Path(first)).best, start)
        parcel, cost, sent = _Parcel(folder), 0.0, perf_counter()
        for event in train_tasks([here], device, stop=lambda: False):
            epoch = event.epoch if isinstance(event, EpochDone) else None
            problem = event.problem if isinstance(event, Failed) else ""
            started = perf_counter()
            due = isinstance(event, Finished | Failed) or (epoch and started - sent >= cost / SAVE_SHARE)
            yield Message(type(event), epoch, problem, parcel.changed() if due else {})  # type: ignore[arg-type]
            if due:
                sent = perf_counter()
                cost = sent - started


class _Parcel:
    """The files of a folder that have changed since they were last sent."""

    def __init__(self, folder: Path) -> None:
        self._folder, self._stamps = folder, _stamps(folder)

    def changed(self) -> Files:
        stamps = _stamps(self._folder)
        new = [name for name, stamp in stamps.items() if self._stamps.get(name) != stamp]
        gone = set(self._stamps) - set(stamps)
        self._stamps = stamps
        return {**dict.fromkeys(gone), **{name: (self._folder / name).read_bytes() for name in new}}


def _stamps(folder: Path) -> dict[str, tuple[int, ...]]:
    """What differs when a file was replaced or has grown, though the clock may not have ticked."""
    found = {file.name: file.stat() for file in _run_files(folder)}
    return {name: (stat.st_mtime_ns, stat.st_ino, stat.st_size) for name, stat in found.items()}


def files_of(folder: Path) -> Files:
    return {file.name: file.read_bytes() for file in _run_files(folder)}


def _run_files(folder: Path) -> list[Path]:
    """The files that a run writes, without claims, half-written ones, and a checkpoint that is only a reserve."""
    left = {"claim.json", RunFolder(folder).previous.name}
    return [file for file in folder.glob("[!.]*") if file.is_file() and file.name not in left]


def place(files: Files, folder: Path) -> None:
    """Write files into a run folder, each as a whole; the mark that the run is done goes first and comes last."""
    if files:
        RunFolder(folder).done.unlink(missing_ok=True)
    for name in sorted(files, key=lambda name: name == RunFolder(folder).done.name):
        content = files[name]
        if content is None:
            (folder / name).unlink(missing_ok=True)
        else:
            write_atomic(folder / name, content)
