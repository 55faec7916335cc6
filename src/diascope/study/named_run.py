"""The run that a user names by its folder."""

from pathlib import Path

from diascope.core.errors import RunError
from diascope.core.text import shorten
from diascope.runs.record import RunRecord, StudyRecord

_NAMED = 4


def find_run(folder: Path) -> tuple[StudyRecord, RunRecord]:
    """The run in runs/<arm>/<run> of a study folder, and its study. Raises RunError, with the runs that there are."""
    if _is_study(folder):
        raise RunError("is a study, not a run", where=str(folder), remedy=_runs_of(folder))
    path = folder.resolve()
    study = next((above for above in (*folder.parents[:3], *path.parents[:3]) if _is_study(above)), None)
    if not path.is_dir():
        raise RunError("there is no such run", where=str(folder), remedy=_runs_of(study))
    if len(path.parents) < 3 or not _is_study(path.parents[2]):
        raise RunError("is not a run folder", where=str(folder), remedy=_runs_of(study))
    record = StudyRecord(path.parents[2])
    found = next((run for run in record.runs if run.folder == path), None)
    if found is None:
        raise RunError("is not a run of its study", where=str(folder), remedy=_runs_of(study))
    return record, found


def _is_study(folder: Path) -> bool:
    return (folder / "study.yaml").is_file()


def _runs_of(study: Path | None) -> str:
    """What to name instead."""
    if study is None:
        return "name DIR/runs/<arm>/fold0-seed0 of a study folder"
    begun = (study / "folds.json").is_file()
    runs = [str(run.folder) for run in StudyRecord(study).runs if run.state == "done"] if begun else []
    return f"name one of the study's runs: {shorten(runs, _NAMED)}" if runs else "run the study first: `diascope run`"
