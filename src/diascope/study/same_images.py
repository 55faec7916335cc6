"""The images of a study's test side, and the proof that they are those that its networks were trained beside."""

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diascope.core.errors import RunError
from diascope.core.text import shorten
from diascope.data.index import ImageIndex
from diascope.data.split import Folds
from diascope.engine import RunTask
from diascope.runs.record import RunRecord, StudyRecord
from diascope.study.images import read_images
from diascope.study.plan import plan
from diascope.study.starting import first_arm
from diascope.studyfile import Study, load_study

Progress = Callable[[int, int], None]
_NAMED = 5
_REMEDY = "put the images back as they were, or run the study anew in another folder"


@dataclass(frozen=True, eq=False)
class Judgeable:
    """A finished run as a task, with all its images, and the rows of those that are on the test side."""

    task: RunTask
    rows: NDArray[np.int64]


def read_test_side(
    record: StudyRecord, arms: Sequence[str], runs: Sequence[RunRecord], progress: Progress
) -> dict[tuple[str, int, int], Judgeable]:
    """By arm, fold and seed of each run: the images as that run saw them.

    A run's identity is a digest of, among others, all pixels, labels and sides. It is worked out anew here. RunError
    where it is another one than the run was trained under.
    """
    study = load_study(record.folder / "study.yaml", recorded=True)
    study = replace(study, arms=tuple(arm for arm in study.arms if arm.name in _with_first(arms, study)))
    images = read_images(study, on_unreadable="skip", progress=progress)  # what was skipped is not in index.csv
    _refuse_other_index(record, images.index)
    folds = Folds.load(record.folder / "folds.json", images.index)
    cells = plan(study, replace(images, folds=folds), record.folder)
    tasks = {(cell.task.arm, cell.task.config.fold, cell.task.config.seed): cell.task for cell in cells}
    wanted = {(run.arm, run.fold, run.seed): run for run in runs}
    other = [run for key, run in wanted.items() if tasks[key].run_id != run.run_id]
    if other:
        raise _changed(record, images.index, other)
    return {key: Judgeable(tasks[key], folds.test) for key in wanted}


def _with_first(arms: Sequence[str], study: Study) -> set[str]:
    """The arms and those that they begin with: what such a run is, is told by the one that it begins with."""
    known = {arm.name: first_arm(arm.training) for arm in study.arms}
    found: set[str] = set()
    for arm in arms:
        name: str | None = arm
        while name is not None and name not in found:
            found.add(name)
            name = known.get(name)
    return found


def _refuse_other_index(record: StudyRecord, index: ImageIndex) -> None:
    """Names and labels, which index.csv holds, can be compared one by one."""
    then = dict(zip(record.index["path"], record.index["label"], strict=True))
    now = {path: index.classes[label] for path, label in zip(index.paths, index.labels.tolist(), strict=True)}
    differences = {
        "gone or cannot be read": [path for path in then if path not in now],
        "new": [path for path in now if path not in then],
        "labelled otherwise": [path for path in then if path in now and then[path] != now[path]],
    }
    said = [f"{len(paths):,} {what} ({shorten(paths, _NAMED)})" for what, paths in differences.items() if paths]
    if said:
        what = f"the images have changed since the study was run: {'; '.join(said)}"
        raise RunError(what, where=index.source, remedy=_REMEDY)


def _changed(record: StudyRecord, index: ImageIndex, runs: Sequence[RunRecord]) -> RunError:
    """The names and labels are the same, so it is the pixels, the sides, or what a network was made from."""
    names = shorten([f"{run.arm}/{run.name}" for run in runs], _NAMED)
    since = min((str(run.provenance["started"]) for run in runs if run.provenance.get("started")), default="")
    touched = _written_since(index, since) if since else []
    hint = f"; files written since then: {shorten(touched, _NAMED)}" if touched else ""
    what = (
        f"{names}: trained with other pixels, sides, model code or starting weights than are there now, though names "
        f"and labels of the images are the same{hint}"
    )
    return RunError(what, where=index.source, remedy=_REMEDY)


def _written_since(index: ImageIndex, since: str) -> list[str]:
    """The images whose files were last written after this time, by their clock."""
    limit = datetime.fromisoformat(since).astimezone(UTC).timestamp() + 1  # it is cut off to the second
    found = []
    for row, path in enumerate(index.paths):
        location = index.locate(row)
        if isinstance(location, Path) and location.stat().st_mtime > limit:
            found.append(path)
    return found
