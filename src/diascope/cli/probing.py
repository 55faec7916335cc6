"""Probe runs of a study folder: reads the images, checks that they are those of the training, and hands them over."""

from pathlib import Path
from typing import Any, Protocol

from diascope.core.errors import RunError


class Display(Protocol):
    """Is told what happens, to show it."""

    def decoded(self, done: int, total: int) -> None: ...
    def extracted(self, done: int, total: int) -> None: ...
    def probing(self, name: str) -> None: ...
    def step(self, what: str, done: int, total: int) -> None: ...


def probe_folder(
    folder: Path,
    display: Display,
    *,
    options: Any = None,
    device: str = "auto",
    again: bool = False,
    trust_code: bool = False,
) -> dict[str, dict[str, Any]]:
    """What probes.json holds of a run (its folder), or of the first finished run of each arm of a study, by run name.

    Raises RunError where nothing is finished, or the images are no longer those of the training.
    """
    from diascope.predict.device import pick_device
    from diascope.predict.trust import networks_of_runs, refuse_code
    from diascope.probes import Options
    from diascope.probes.probing import probe_run
    from diascope.runs.claim import Claim, Taken
    from diascope.study.extraction import prepare_features
    from diascope.study.test_images import read_test_side

    record, runs = _chosen(folder)
    refuse_code([*(arm.model.name for arm in record.arm_configs), *networks_of_runs(runs)], trusted=trust_code)
    place = pick_device(device)
    images = read_test_side(record, [run.arm for run in runs], runs, display.decoded)
    tasks = {f"{run.arm}/{run.name}": images[run.arm, run.fold, run.seed].task for run in runs}
    prepare_features(tasks.values(), place, display.extracted)
    found = {}
    for name, task in tasks.items():
        display.probing(name)
        table = record.index.set_index("path").loc[task.data.paths]
        columns = {str(column): table[column].tolist() for column in table}
        positive = task.data.classes.index(record.positive)
        try:
            with Claim(task.folder):
                found[name] = probe_run(
                    task,
                    columns,
                    positive,
                    device=place,
                    options=options or Options(),
                    progress=display.step,
                    again=again,
                )
        except Taken as taken:
            raise RunError("another command is at work on it", where=str(task.folder), remedy="wait for it") from taken
    return found


def _chosen(folder: Path) -> tuple[Any, list[Any]]:
    """The study and the runs that a folder stands for."""
    from diascope.runs.record import StudyRecord

    if (folder / "study.yaml").is_file() or len(folder.absolute().parents) < 3:
        record = StudyRecord(folder)
        firsts = [[run for run in record.runs_of(arm) if run.state == "done"][:1] for arm in record.arms]
        runs = [run for first in firsts for run in first]
        if not runs:
            raise RunError("no run is finished", where=str(folder), remedy="run the study first: `diascope run`")
        return record, runs
    study = folder.absolute().parents[2]
    if not (study / "study.yaml").is_file():
        remedy = "name a study folder, or a run in it: DIR/runs/ARM/fold0-seed0"
        raise RunError("is neither a study folder nor a run of one", where=str(folder), remedy=remedy)
    record = StudyRecord(study)
    runs = [run for run in record.runs if run.folder.absolute() == folder.absolute()]
    if not runs or runs[0].state != "done":
        what = f"this run is {runs[0].state}" if runs else "the study asks for no such run"
        raise RunError(what, where=str(folder), remedy="name the folder of a finished run, DIR/runs/ARM/fold0-seed0")
    return record, runs
