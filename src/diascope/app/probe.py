"""Probe runs of a study folder for shortcuts: read the images, check that they are those of the training, probe."""

from collections.abc import Sequence
from pathlib import Path
from typing import Any

from diascope.core.errors import RunError
from diascope.core.events import Progress, Show, counter, silent
from diascope.engine import RunTask
from diascope.predict.device import pick_device
from diascope.predict.trust import networks_of_runs, refuse_code
from diascope.probes import Options
from diascope.probes.probe_run import probe_run
from diascope.runs.claim import Claim, Taken
from diascope.runs.record import RunRecord, StudyRecord
from diascope.study.extraction import EXTRACTING, prepare_features
from diascope.study.images import DECODING
from diascope.study.same_images import read_test_side


def probe(
    folder: Path,
    show: Show = silent,
    *,
    options: Options = Options(),  # noqa: B008  (frozen)
    device: str = "auto",
    again: bool = False,
    trust_code: bool = False,
    tasks: Sequence[RunTask] | None = None,
) -> dict[str, dict[str, Any]]:
    """What probes.json holds of a run (its folder), or of the first finished run of each arm of a study, by run name.

    `tasks` are those that the study was just trained by; without them the images are read anew. Raises RunError where
    nothing is finished, or the images are no longer those of the training.
    """
    record, runs = _chosen(folder)
    refuse_code([*(arm.model.name for arm in record.arm_configs), *networks_of_runs(runs)], trusted=trust_code)
    place = pick_device(device)
    if tasks is None:
        images = read_test_side(record, [run.arm for run in runs], runs, counter(show, DECODING))
        tasks = [judgeable.task for judgeable in images.values()]
    wanted = {task.name: task for task in tasks if task.name in {f"{run.arm}/{run.name}" for run in runs}}
    prepare_features(wanted.values(), place, counter(show, EXTRACTING))
    found = {}
    for name, task in wanted.items():
        table = record.index.set_index("path").loc[task.data.paths]

        def step(what: str, done: int, total: int, name: str = name) -> None:
            show(Progress(f"{name}: {what}", done, total))

        try:
            with Claim(task.folder):
                found[name] = probe_run(
                    task,
                    {str(column): table[column].tolist() for column in table},
                    task.data.classes.index(record.positive),
                    device=place,
                    options=options,
                    progress=step,
                    again=again,
                )
        except Taken as taken:
            raise RunError("another command is at work on it", where=str(task.folder), remedy="wait for it") from taken
    return found


def study_of(folder: Path) -> Path:
    """The study folder that is named, or that the named run folder lies in."""
    if (folder / "study.yaml").is_file() or len(folder.absolute().parents) < 3:
        return folder
    return folder.absolute().parents[2]


def _chosen(folder: Path) -> tuple[StudyRecord, list[RunRecord]]:
    """The study and the runs that a folder stands for."""
    study = study_of(folder)
    if study == folder:
        record = StudyRecord(folder)
        firsts = [[run for run in record.runs_of(arm) if run.state == "done"][:1] for arm in record.arms]
        runs = [run for first in firsts for run in first]
        if not runs:
            raise RunError("no run is finished", where=str(folder), remedy="run the study first: `diascope run`")
        return record, runs
    if not (study / "study.yaml").is_file():
        remedy = "name a study folder, or a run in it: DIR/runs/ARM/fold0-seed0"
        raise RunError("is neither a study folder nor a run of one", where=str(folder), remedy=remedy)
    record = StudyRecord(study)
    runs = [run for run in record.runs if run.folder.absolute() == folder.absolute()]
    if not runs or runs[0].state != "done":
        what = f"this run is {runs[0].state}" if runs else "the study asks for no such run"
        raise RunError(what, where=str(folder), remedy="name the folder of a finished run, DIR/runs/ARM/fold0-seed0")
    return record, runs
