"""Diascope from Python: run a study, open what it left, judge it on its test side."""

from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from json import dumps
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal
from warnings import warn

from diascope.core.errors import RunError
from diascope.core.events import Notice, Show
from diascope.recipes import find_study
from diascope.runs.record import RunRecord, StudyRecord

if TYPE_CHECKING:
    from torch import nn


@dataclass(frozen=True)
class Run(RunRecord):
    """One run: what it was told, what it learned, and its network."""

    trust_code: bool = False

    def load_model(self, checkpoint: str = "best", *, trust_code: bool = False) -> "nn.Module":
        """The trained network in evaluation mode on the CPU: images (B, C, H, W) in [0, 1] to logits.

        `checkpoint` is "best" (lowest validation loss) or "last". Two classes: one logit (B, 1), of the second.
        A network whose program lies in the study folder is refused (ConfigError) unless `trust_code`, here or in
        `diascope.open`, says that it may run; one whose program has changed since the training always (RunError).
        """
        from diascope.predict.network import load_model
        from diascope.predict.trust import networks_of_runs, refuse_code

        refuse_code(networks_of_runs([self]), trusted=trust_code or self.trust_code)
        return load_model(self.folder, checkpoint)


class OpenStudy(StudyRecord):
    """A study folder for reading: `.study`, `.arms`, `.runs`, `.index`, `.folds`, `.findings`."""

    def __init__(self, folder: Path, *, trust_code: bool = False) -> None:
        super().__init__(folder)
        self._trust_code = trust_code

    @cached_property
    def runs(self) -> tuple[Run, ...]:
        """Every run that the study asks for, with `.history`, `.predictions` (data frames) and `.load_model()`."""
        return tuple(
            Run(run.arm, run.fold, run.seed, run.folder, run.planned, self._trust_code) for run in super().runs
        )


def open(folder: str | Path, *, trust_code: bool = False) -> OpenStudy:  # noqa: A001  (diascope.open reads well)
    """The study in a folder, for reading. Raises RunError if there is none.

    `trust_code`: `.load_model()` may run a program that lies in the study folder (`model.name: file.py:function`).
    """
    return OpenStudy(Path(folder), trust_code=trust_code)


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
    trust_code: bool = False,
    progress: bool = False,
) -> OpenStudy:
    """Train what is missing of a study (a file or a recipe), write its report, and open it.

    `settings` overrides keys: {"data.source": "skin", "seeds": 5}. With `progress` it shows what `diascope run` shows,
    else only Python's warnings tell of what the study stands without. The other arguments are those of `diascope run`.
    A script that calls this needs the guard `if __name__ == "__main__":`, since runs train in processes of their own.

    Raises ConfigError, DataError or RunError before any training if something cannot work, and RunError at the end if
    a run failed.
    """
    from diascope.app.run import Options
    from diascope.app.run import run as run_study
    from diascope.study.executors.ray import Resources

    resources = Resources(address, cpus_per_run, gpus_per_run)
    options = Options(executor, jobs, device, on_unreadable, retrain, trust_code, resources)
    found = find_study(study, [f"{key}={dumps(value, default=str)}" for key, value in (settings or {}).items()])
    folder = Path(out or found.config.name)
    with _showing(progress) as show:
        outcome = run_study(found, folder, options, show)
    if outcome.failed:
        names = ", ".join(f"{failure.task.name} ({failure.problem})" for failure in outcome.failed)
        raise RunError(f"{len(outcome.failed)} of {outcome.runs} runs failed: {names}", where=str(folder))
    return open(folder, trust_code=trust_code)


def test(
    folder: str | Path,
    arms: Sequence[str] | None = None,
    checkpoint: Literal["best", "last"] = "best",
    *,
    device: str = "auto",
    trust_code: bool = False,
    progress: bool = False,
) -> OpenStudy:
    """Judge a study's finished runs on its test side, write its report anew, and open it.

    Every call is logged in the folder and shown in the report. `arms` are names (default: all); `checkpoint` is "best",
    the epoch that the validation side chose, or "last". Raises RunError or DataError where that cannot be done.
    """
    from diascope.app.judge import judge_and_report

    with _showing(progress) as show:
        judge_and_report(
            Path(folder), show, arms=arms or (), checkpoint=checkpoint, device=device, trust_code=trust_code
        )
    return open(folder, trust_code=trust_code)


@contextmanager
def _showing(progress: bool) -> Iterator[Show]:
    """Bars or lines on stderr; without them, Python's warnings for what a result stands without."""
    if progress:
        from diascope.cli.display import Display

        with Display() as display:
            yield display
    else:
        yield _warn


def _warn(event: object) -> None:
    if isinstance(event, Notice) and event.warning:
        warn(event.text, stacklevel=4)
