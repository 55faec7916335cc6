"""What `diascope tune` shows: the trials in training, how many are done, the best so far; then the study of it."""

from collections.abc import Sequence
from pathlib import Path
from time import monotonic

from rich.console import Console
from rich.progress import TaskID
from rich.text import Text

from diascope.app.tune import OfTrial, Searched, Searching, TrialEnded
from diascope.cli.display import PLAIN_LINE_SECONDS, Display
from diascope.core.text import duration
from diascope.metrics import REGISTRY
from diascope.study.executors import ENDED, EpochDone, Event, Interrupted
from diascope.study.tuning.ledger import Result
from diascope.study.tuning.outcome import Found
from diascope.study.tuning.trials import Ended


class SearchDisplay(Display):
    """Shows a search, then, like its base, the study of what was found."""

    def __init__(self, console: Console | None = None) -> None:
        super().__init__(console)
        self._search: TaskID | None = None
        self._wanted, self._metric, self._lower_is_better = 0, "", False
        self._begun, self._ended_here = monotonic(), 0
        self._folds: dict[Path, TaskID] = {}
        self._said = 0.0

    def __call__(self, event: object) -> None:
        if isinstance(event, Searching):
            self._begin(event)
        elif isinstance(event, OfTrial):
            self._train(event.event, event.number)
        elif isinstance(event, TrialEnded):
            self._end(event.ended, event.done)
        elif isinstance(event, Searched):
            self._find(event.found, event.file)
        else:
            super().__call__(event)

    def _begin(self, event: Searching) -> None:
        self._wanted, self._metric = event.wanted, REGISTRY[event.metric].label
        self._lower_is_better, self._begun = event.lower_is_better, monotonic()
        standing = self._standing(event.done)
        self._search = self._bars.add_task("search", total=event.wanted, completed=len(event.done), status=standing)
        self._line(f"search: {standing}")

    def _train(self, event: Event, number: int | None) -> None:
        folder, epochs = event.task.folder, event.task.config.training.epochs
        name = f"trial {number}, fold {event.task.config.fold}"
        if isinstance(event, Interrupted):
            problem = Text(f"{name} continues in another process: {event.problem}", style="yellow")
            self._console.print(problem, soft_wrap=True)
        elif isinstance(event, ENDED):
            if folder in self._folds:
                self._bars.update(self._folds[folder], visible=False)
        elif isinstance(event, EpochDone) and number is not None:
            if folder not in self._folds:
                self._folds[folder] = self._bars.add_task(name, total=epochs, status="")
            epoch = event.epoch
            status = f"epoch {epoch.epoch} of {epochs}  validation accuracy {epoch.validation.accuracy:.3f}"
            self._bars.update(self._folds[folder], completed=epoch.epoch, status=status)
            if monotonic() - self._said > PLAIN_LINE_SECONDS:
                self._said = monotonic()
                self._line(f"{name}: {status}")

    def _end(self, ended: Ended, done: Sequence[Result]) -> None:
        self._ended_here += 1
        left = (monotonic() - self._begun) / self._ended_here * (self._wanted - len(done))
        status = f"{self._standing(done)}, {duration(round(left))} left"
        if self._search is not None:
            self._bars.update(self._search, completed=len(done), status=status)
        self._line(f"trial {ended.trial.number} {_outcome(ended)}; search: {status}")
        if ended.state == "failed":
            problem = Text(f"trial {ended.trial.number} failed: {ended.problem}", style="red")
            self._console.print(problem, soft_wrap=True)

    def _find(self, found: Found, file: Path) -> None:
        if self._search is not None:
            self._bars.update(self._search, visible=False)
        values = ", ".join(f"{key} {_short(value)}" for key, value in found.best.values.items())
        best = f"Trial {found.best.number} of {len(found.results)} is the best: {values}"
        score = f"inner {self._metric} {found.best.value:.3f}"
        against = f", default {found.default.value:.3f}" if found.default and found.default.value is not None else ""
        self._console.print(Text(f"{best} ({score}{against}). It is written to {file}."), soft_wrap=True)

    def _standing(self, done: Sequence[Result]) -> str:
        """12 of 30 trials done, best accuracy 0.812 (trial 7)."""
        text = f"{len(done)} of {self._wanted} trials done"
        judged = [(result.value, result.number) for result in done if result.value is not None]
        if not judged:
            return text
        value, number = min(judged) if self._lower_is_better else max(judged, key=lambda found: (found[0], -found[1]))
        return f"{text}, best {self._metric} {value:.3f} (trial {number})"


def _outcome(ended: Ended) -> str:
    if ended.state == "complete":
        return f"done, {ended.value:.3f}"
    return "ended early" if ended.state == "pruned" else "failed"


def _short(value: object) -> str:
    return f"{value:.3g}" if isinstance(value, float) else str(value)
