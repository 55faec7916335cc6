"""The trials of a search, in an Optuna journal that commands on several machines share through their folder.

Whoever runs a trial holds a claim on its folder. A trial that is running in the journal and that nobody holds is an
orphan: its command was stopped or died. Its configuration is queued again and it is crossed out, so that no trial is
lost or counted twice; the runs in its folder, which is named after the configuration, go on from their checkpoints.
Everything that reads the journal to change it happens under one lock, so that commands never ask for too many trials.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from itertools import count
from pathlib import Path
from typing import TYPE_CHECKING, Any, Literal

from filelock import FileLock

from diascope.config import SearchConfig
from diascope.core.files import make_folder, sync_folder
from diascope.core.seeding import stream_seed
from diascope.runs.claim import Claim, is_claimed
from diascope.study.tuning.space import Values, decoded, distributions, encoded, listed, name_of

if TYPE_CHECKING:
    from optuna import Study as Journal
    from optuna.trial import FrozenTrial
    from optuna.trial import Trial as Asked

State = Literal["complete", "pruned", "failed"]
REPEATS = 5  # draws of a configuration that was tried already, before one that was not is taken from the list
SEED_RANGE = 2**32
LEFT_LOCK_SECONDS = 5
FEWEST_EXPLAINED = 6  # trials with different values, with fewer of which nothing is said of what mattered


@dataclass(frozen=True)
class Trial:
    """A trial that this command runs: its place among all trials, counted from 1, and what it tries."""

    number: int
    values: Values
    folder: Path
    asked: "Asked"
    claim: Claim


@dataclass(frozen=True)
class Result:
    """A trial that ended. `scores` are those of the inner folds that were trained, `value` their mean if all were."""

    number: int
    state: State
    values: Values
    value: float | None
    scores: tuple[float, ...]
    seconds: float
    problem: str


class Ledger:
    """All trials of one search. `folder` is DIR/search; `runs` in it holds a folder a configuration."""

    def __init__(self, folder: Path, search: SearchConfig, *, lower_is_better: bool, first: Values | None) -> None:
        """`first` is the configuration to begin with, if it lies in the space."""
        self._search, self._runs, self._first = search, folder / "trials", first
        self._distributions, self._listed = distributions(search), listed(search)
        self.wanted = min(search.trials, len(self._listed)) if self._listed else search.trials
        make_folder(self._runs)
        self._lock = FileLock(folder / ".journal.lock")
        with self._lock:
            self._journal = _open_journal(folder / "journal.log", search, lower_is_better=lower_is_better)
        sync_folder(folder)  # Optuna has the disk keep the lines of its file, and not the name

    # ---- what there is ----

    def results(self) -> list[Result]:
        """The trials that count and have ended, in the order in which they were begun."""
        from optuna.trial import TrialState

        states: dict[Any, State] = {
            TrialState.COMPLETE: "complete",
            TrialState.PRUNED: "pruned",
            TrialState.FAIL: "failed",
        }
        return [
            Result(
                number=place,
                state=states[trial.state],
                values=decoded(self._search, trial.params),
                value=trial.value if trial.state is TrialState.COMPLETE else None,
                scores=tuple(trial.user_attrs.get("scores", ())),
                seconds=float(trial.user_attrs.get("seconds", 0)),
                problem=str(trial.user_attrs.get("problem", "")),
            )
            for place, trial in enumerate(self._counted(), 1)
            if trial.state in states
        ]

    def is_complete(self) -> bool:
        """Whether as many trials have ended as were wanted."""
        return len(self.results()) >= self.wanted

    def begun_again(self) -> int:
        """How often a trial was queued again because its command was gone."""
        return sum(_crossed_out(trial) == "orphan" for trial in self._trials())

    def importances(self) -> dict[str, float]:
        """The share of the variance of the value that each key explains by itself (fANOVA); empty for few trials."""
        from optuna.importance import FanovaImportanceEvaluator, get_param_importances

        values = {result.value for result in self.results() if result.state == "complete"}
        if len(values) < FEWEST_EXPLAINED or len(self._search.space) < 2:
            return {}
        found = get_param_importances(
            self._journal, evaluator=FanovaImportanceEvaluator(seed=self._search.seed), params=[*self._search.space]
        )
        return {key: float(share) for key, share in found.items()}

    # ---- a trial of this command's own ----

    def begin(self) -> Trial | None:
        """A trial to run, claimed; None if all that are wanted have ended or are in good hands."""
        with self._lock:
            self._queue_orphans_again()
            counted = self._counted()
            if not self._trials() and self._first is not None:
                self._journal.enqueue_trial(encoded(self._search, self._first))
            if len(counted) >= self.wanted:
                return None
            asked = self._ask(counted)
            values = decoded(self._search, asked.params)
            folder = self._runs / name_of(values)
            claim = Claim(folder).__enter__()  # nobody else may: whoever ran this configuration is gone, or was asked
            return Trial(len(counted) + 1, values, folder, asked, claim)

    def report(self, trial: Trial, scores: Sequence[float]) -> bool:
        """Write down the scores of the folds so far; returns whether the trial is to be ended early."""
        with self._held(trial) as mine:
            if not mine:
                return False
            trial.asked.set_user_attr("scores", list(scores))
            trial.asked.report(sum(scores) / len(scores), step=len(scores) - 1)
            return len(scores) < self._search.folds and trial.asked.should_prune()

    def end(self, trial: Trial, state: State, *, value: float | None, seconds: float, problem: str = "") -> None:
        """The trial is over; its folder is free."""
        from optuna.trial import TrialState

        states = {"complete": TrialState.COMPLETE, "pruned": TrialState.PRUNED, "failed": TrialState.FAIL}
        with self._held(trial) as mine:
            if mine:
                trial.asked.set_user_attr("seconds", round(seconds, 1))
                trial.asked.set_user_attr("problem", problem)
                self._journal.tell(trial.asked, value, states[state])
        self.leave(trial)

    def leave(self, trial: Trial) -> None:
        """Stop running a trial without an end: the next command takes it up."""
        trial.claim.__exit__(None, None, None)

    @contextmanager
    def _held(self, trial: Trial) -> Iterator[bool]:
        """The lock; False if others have taken this machine for dead meanwhile and run the trial themselves."""
        from optuna.trial import TrialState

        with self._lock:
            known = self._trials()[trial.asked.number]
            yield known.state is TrialState.RUNNING and not _crossed_out(known)

    # ---- what is in the journal ----

    def _trials(self) -> "list[FrozenTrial]":
        return self._journal.get_trials(deepcopy=False)

    def _counted(self) -> "list[FrozenTrial]":
        """The trials that count: those that run or have ended, without what was crossed out."""
        from optuna.trial import TrialState

        return [trial for trial in self._trials() if trial.state != TrialState.WAITING and not _crossed_out(trial)]

    def _queue_orphans_again(self) -> None:
        """First queued, then crossed out: a command that dies in between leaves what the next one can put right."""
        from optuna.trial import TrialState

        trials = self._trials()
        again = {trial.user_attrs.get("instead_of") for trial in trials}
        for trial in trials:
            if trial.state is not TrialState.RUNNING or self._is_run(trial):
                continue
            whole = set(trial.params) == set(self._search.space)  # else its command died while it was asked for
            values = trial.params if whole else trial.system_attrs.get("fixed_params")
            if values and trial.number not in again and not _crossed_out(trial):
                self._journal.enqueue_trial(values, user_attrs={"instead_of": trial.number})
            self._cross_out(trial, "orphan" if whole else "never begun")

    def _is_run(self, trial: "FrozenTrial") -> bool:
        if set(trial.params) != set(self._search.space):  # its command died while it was asked for
            return False
        return is_claimed(self._runs / name_of(decoded(self._search, trial.params)))

    def _cross_out(self, trial: "FrozenTrial | Asked", why: str) -> None:
        from optuna.trial import Trial as Asked
        from optuna.trial import TrialState

        held = trial if isinstance(trial, Asked) else Asked(self._journal, trial._trial_id)
        held.set_user_attr("crossed_out", why)
        self._journal.tell(trial.number, state=TrialState.FAIL)

    def _ask(self, counted: "Sequence[FrozenTrial]") -> "Asked":
        """The next configuration, one that was not tried yet. It depends on the trials before it and the seed alone."""
        tried = {name_of(decoded(self._search, trial.params)) for trial in counted}
        for attempt in count():
            seed = stream_seed(self._search.seed, "search", len(counted), attempt) % SEED_RANGE
            self._journal.sampler = _sampler(self._search, seed)
            asked = self._journal.ask(self._distributions)
            if name_of(decoded(self._search, asked.params)) not in tried:
                break
            self._cross_out(asked, "tried already")
            if self._listed and attempt >= REPEATS:
                left = [values for values in self._listed if name_of(values) not in tried]
                self._journal.enqueue_trial(encoded(self._search, left[seed % len(left)]))
        return asked


def _crossed_out(trial: "FrozenTrial") -> str:
    """Why the trial does not count; empty for one that does."""
    return str(trial.user_attrs.get("crossed_out", ""))


def _open_journal(file: Path, search: SearchConfig, *, lower_is_better: bool) -> "Journal":
    import optuna
    from optuna.storages import JournalStorage
    from optuna.storages.journal import JournalFileBackend, JournalFileOpenLock

    _mend(file)
    optuna.logging.set_verbosity(optuna.logging.ERROR)  # it would tell of each trial in its own words
    # Whoever writes holds the ledger's own lock, so that a lock of the journal's was left by one who was killed.
    lock = JournalFileOpenLock(str(file), grace_period=LEFT_LOCK_SECONDS)
    storage = JournalStorage(JournalFileBackend(str(file), lock_obj=lock))
    pruner = (
        optuna.pruners.MedianPruner(n_startup_trials=search.warmup_trials)
        if search.pruner == "median"
        else optuna.pruners.NopPruner()
    )
    return optuna.create_study(
        study_name="search",
        storage=storage,
        direction="minimize" if lower_is_better else "maximize",
        sampler=_sampler(search, search.seed),
        pruner=pruner,
        load_if_exists=True,
    )


def _sampler(search: SearchConfig, seed: int) -> Any:
    """A sampler of its own for each trial: one that goes on would draw its first numbers again in every command."""
    from optuna.samplers import TPESampler

    return TPESampler(seed=seed, n_startup_trials=search.warmup_trials, multivariate=True, constant_liar=True)


def _mend(file: Path) -> None:
    """Cut off a last line that a power cut left half written: Optuna would append to it, and read neither."""
    if not file.exists():
        return
    content = file.read_bytes()
    whole = content.rfind(b"\n") + 1
    if whole < len(content):
        with file.open("r+b") as journal:
            journal.truncate(whole)
