"""Diascope from Python: run a study, open what it left, judge it on its test side."""

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from diascope.errors import RunError
from diascope.recipes import find_study
from diascope.runs.record import RunRecord, StudyRecord

if TYPE_CHECKING:
    from torch import nn


class Run(RunRecord):
    """One run: what it was told, what it learned, and its network."""

    def load_model(self, checkpoint: str = "best") -> "nn.Module":
        """The trained network in evaluation mode on the CPU: images (B, C, H, W) in [0, 1] to logits.

        `checkpoint` is "best" (lowest validation loss) or "last". Two classes: one logit (B, 1), of the second.
        """
        from diascope.engine import load_model

        return load_model(self.folder, checkpoint)


class OpenStudy(StudyRecord):
    """A study folder for reading: `.study`, `.arms`, `.runs`, `.index`, `.folds`, `.findings`."""

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run that the study asks for, with `.history`, `.predictions` (data frames) and `.load_model()`."""
        return tuple(Run(run.arm, run.fold, run.seed, run.folder, run.planned) for run in super().runs)


def open(folder: str | Path) -> OpenStudy:  # noqa: A001  (diascope.open reads well)
    """The study in a folder, for reading. Raises RunError if there is none."""
    return OpenStudy(Path(folder))


def run(
    study: str | Path,
    out: str | Path | None = None,
    *,
    settings: Mapping[str, Any] | None = None,
    jobs: int | None = None,
    executor: str = "processes",
    address: str | None = None,
    cpus_per_run: float | None = None,
    gpus_per_run: float = 0,
    device: str = "auto",
    on_unreadable: Literal["error", "skip"] = "error",
    retrain: bool = False,
) -> OpenStudy:
    """Train what is missing of a study (a file or a recipe), write its report, and open it.

    `settings` overrides keys: {"data.source": "skin", "seeds": 5}. The other arguments are those of `diascope run`.
    A script that calls this needs the guard `if __name__ == "__main__":`, since runs train in processes of their own.

    Raises ConfigError, DataError or RunError before any training if something cannot work, and RunError at the end if
    a run failed.
    """
    from json import dumps

    from diascope.cli.display import RunDisplay
    from diascope.cli.run import probe_study
    from diascope.report.page import write_report
    from diascope.study.executors.ray import Resources
    from diascope.study.explaining import explain_study
    from diascope.study.run import Options, run_study

    resources = Resources(address, cpus_per_run, gpus_per_run)
    options = Options(executor, jobs, device, on_unreadable, retrain, resources)
    found = find_study(study, [f"{key}={dumps(value, default=str)}" for key, value in (settings or {}).items()])
    folder = Path(out or found.config.name)
    with RunDisplay() as display:
        outcome = run_study(found, folder, options, display)
        explain_study(folder, display.warn, device)
    if found.config.report.probes:
        probe_study(folder, device)
    write_report(folder)
    if outcome.failed:
        names = ", ".join(f"{failure.task.name} ({failure.problem})" for failure in outcome.failed)
        raise RunError(f"{len(outcome.failed)} of {outcome.runs} runs failed: {names}", where=str(folder))
    return open(folder)


def test(
    folder: str | Path,
    arms: Sequence[str] | None = None,
    checkpoint: Literal["best", "last"] = "best",
    *,
    device: str = "auto",
) -> OpenStudy:
    """Judge a study's finished runs on its test side, write its report anew, and open it.

    Every call is logged in the folder and shown in the report. `arms` are names (default: all); `checkpoint` is "best",
    the epoch that the validation side chose, or "last". Raises RunError or DataError where that cannot be done.
    """
    from diascope.cli.judge_display import JudgeDisplay
    from diascope.report.page import write_report
    from diascope.study.judging import judge

    with JudgeDisplay() as display:
        judge(Path(folder), display, arms=arms or (), checkpoint=checkpoint, device=device)
    write_report(Path(folder))
    return open(folder)
