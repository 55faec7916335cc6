"""The trials that this command runs: which task comes next, and what a trial's folds say as they end."""

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from time import monotonic

from diascope.core.errors import DiascopeError, RunError
from diascope.engine import RunTask
from diascope.runs.folder import RunFolder
from diascope.runs.record import RunRecord
from diascope.study.executors import Elsewhere, Event, Failed, Finished
from diascope.study.tuning.ledger import Ledger, State, Trial
from diascope.study.tuning.space import Values

PAUSE = 1.0  # seconds until a task that another process still holds, or the journal, is looked at again
STREAK = 5  # trials that fail in a row, without one that did not, before the search gives up


@dataclass
class _Open:
    """A trial in the making: the folds that wait, those in training, and the scores of those that are done."""

    trial: Trial
    tasks: list[RunTask]
    waiting: list[int]
    training: set[int] = field(default_factory=set)
    scores: dict[int, float] = field(default_factory=dict)


@dataclass(frozen=True)
class Ended:
    """A trial has ended: what a display says of it."""

    trial: Trial
    state: State
    value: float | None
    problem: str


class Trials:
    """A feed for an executor. The folds of a trial are trained one after the other, so that a poor one can be ended;
    two at a time only when there is no further trial for a free worker."""

    def __init__(
        self,
        ledger: Ledger,
        tasks: Callable[[Values], list[RunTask]],
        score: Callable[[RunTask], float | None],
        ended: Callable[[Ended], None],
    ) -> None:
        self._ledger, self._tasks, self._score, self._ended = ledger, tasks, score, ended
        self._open: dict[Path, _Open] = {}
        self._later: dict[Path, float] = {}  # run folder -> when to try again
        self._ask_again = 0.0
        self._failures, self._worked = 0, False

    def __enter__(self) -> "Trials":
        return self

    def __exit__(self, *_: object) -> None:
        """Let go of what is not done; the next command takes it up."""
        for trial in self._open.values():
            self._ledger.leave(trial.trial)
        self._open.clear()

    def find(self, task: RunTask) -> Trial | None:
        """The trial of a task, while it is in the making."""
        found = self._open.get(task.folder.parent)
        return found.trial if found else None

    # ---- tasks ----

    def take(self) -> RunTask | None:
        for trial in self._open.values():
            if not trial.training and (task := self._next_of(trial)):
                return task
        if task := self._of_a_new_trial():
            return task
        return next((task for trial in self._open.values() if (task := self._next_of(trial))), None)

    def _next_of(self, trial: _Open) -> RunTask | None:
        for fold in trial.waiting:
            task = trial.tasks[fold]
            if self._later.get(task.folder, 0) <= monotonic():
                trial.waiting.remove(fold)
                trial.training.add(fold)
                return task
        return None

    def _of_a_new_trial(self) -> RunTask | None:
        while monotonic() >= self._ask_again:
            trial = self._ledger.begin()
            if trial is None:
                self._ask_again = monotonic() + PAUSE
                return None
            try:
                tasks = self._tasks(trial.values)
            except DiascopeError as error:  # values that do not fit together though each does by itself
                self._end(_Open(trial, [], []), "failed", problem=str(error))
                continue
            except BaseException:
                self._ledger.leave(trial)
                raise
            self._open[trial.folder] = opened = _Open(trial, tasks, list(range(len(tasks))))
            return self._next_of(opened)
        return None

    # ---- events ----

    def happened(self, event: Event) -> None:
        """Every event of the executor, before it asks for the next task."""
        trial = self._open.get(event.task.folder.parent)
        if trial is None:  # it was ended while this fold was still in training
            return
        fold = event.task.config.fold
        if isinstance(event, Finished):
            trial.training.discard(fold)
            self._score_fold(trial, event.task)
        elif isinstance(event, Failed):
            self._end(trial, "failed", problem=event.problem)
        elif isinstance(event, Elsewhere):  # a worker of a command that was killed lets go within seconds
            trial.training.discard(fold)
            trial.waiting.insert(0, fold)
            self._later[event.task.folder] = monotonic() + PAUSE

    def _score_fold(self, trial: _Open, task: RunTask) -> None:
        score = self._score(task)
        if score is None:
            self._end(trial, "failed", problem=f"its score in inner fold {task.config.fold} is undefined")
            return
        trial.scores[task.config.fold] = score
        in_order = [trial.scores[fold] for fold in range(len(trial.scores)) if fold in trial.scores]
        if len(in_order) < len(trial.scores):  # a fold before this one is still in training
            return
        if self._ledger.report(trial.trial, in_order):
            self._end(trial, "pruned")
        elif len(in_order) == len(trial.tasks):
            self._end(trial, "complete", value=sum(in_order) / len(in_order))

    def _end(self, trial: _Open, state: State, *, value: float | None = None, problem: str = "") -> None:
        self._open.pop(trial.trial.folder, None)
        seconds = sum(_seconds(task) for task in trial.tasks)
        _remove_weights(trial.tasks)
        self._ledger.end(trial.trial, state, value=value, seconds=seconds, problem=problem)
        self._ended(Ended(trial.trial, state, value, problem))
        self._give_up_if_nothing_works(trial, state, problem)

    def _give_up_if_nothing_works(self, trial: _Open, state: State, problem: str) -> None:
        self._worked = self._worked or state != "failed"
        self._failures += state == "failed"
        if self._failures >= STREAK and not self._worked:
            what = f"the first {STREAK} trials of this command failed; the last one: {problem}"
            remedy = "put that right, then run the same command"
            raise RunError(what, where=str(trial.trial.folder.parent), remedy=remedy)


def _seconds(task: RunTask) -> float:
    """Time that a run took, as far as it came."""
    record = RunRecord(task.arm, task.config.fold, task.config.seed, task.folder)
    return float(record.history["seconds"].sum())


def _remove_weights(tasks: list[RunTask]) -> None:
    """The runs of a trial that has ended keep their history and predictions; weights times trials would fill a disk."""
    for task in tasks:
        run = RunFolder(task.folder)
        if run.done.exists():
            for file in (run.checkpoint, run.previous, run.last, run.best):
                file.unlink(missing_ok=True)
