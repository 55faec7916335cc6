"""The journal of trials: the default first, as many as were wanted, orphans queued again, nothing counted twice."""

import json
from collections.abc import Callable
from contextlib import suppress
from pathlib import Path

import pytest

from diascope.config import SearchConfig, Space
from diascope.runs.claim import Claim
from diascope.study.tuning.ledger import Ledger, Trial

RATE = {"training.learning_rate": Space(low=1e-5, high=1e-2, log=True)}
GRID = {"training.batch_size": Space(choices=(4, 8)), "model.base_channels": Space(low=2, high=4)}
MakeLedger = Callable[..., Ledger]


@pytest.fixture
def make_ledger(tmp_path: Path) -> MakeLedger:
    """A ledger on the test's folder, as a command makes one when it begins."""

    def make(folder: str = "search", first: dict[str, object] | None = None, **search: object) -> Ledger:
        config = SearchConfig(**({"space": RATE, "trials": 6, "folds": 3, "warmup_trials": 3} | search))
        return Ledger(tmp_path / folder, config, lower_is_better=False, first=first)

    return make


def value_of(trial: Trial) -> float:
    return 1 - trial.values["training.learning_rate"]


def finish(ledger: Ledger, trial: Trial, value: float | None = None) -> None:
    found = value_of(trial) if value is None else value
    ledger.report(trial, [found])
    ledger.end(trial, "complete", value=found, seconds=1)


def run_all(ledger: Ledger) -> None:
    while trial := ledger.begin():
        finish(ledger, trial)


def rates(ledger: Ledger) -> list[float]:
    return [result.values["training.learning_rate"] for result in ledger.results()]


def test_the_default_is_tried_first_and_as_many_as_wanted_follow(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(first={"training.learning_rate": 1e-4})
    run_all(ledger)
    assert rates(ledger)[0] == 1e-4
    assert len(set(rates(ledger))) == 6
    assert [result.number for result in ledger.results()] == [1, 2, 3, 4, 5, 6]
    assert ledger.is_complete()
    assert ledger.begin() is None


def test_a_search_in_pieces_tries_what_one_at_a_stretch_does(make_ledger: MakeLedger) -> None:
    whole = make_ledger("whole", trials=8)
    run_all(whole)
    while trial := make_ledger("pieces", trials=8).begin():
        finish(make_ledger("pieces", trials=8), trial)  # every step in a command of its own
    assert rates(make_ledger("pieces", trials=8)) == rates(whole)
    other = make_ledger("other", trials=8, seed=1)
    run_all(other)
    assert not set(rates(other)) & set(rates(whole))


def test_more_trials_can_be_asked_for_later(make_ledger: MakeLedger) -> None:
    run_all(make_ledger(trials=3))
    before = rates(make_ledger(trials=3))
    more = make_ledger(trials=5)
    assert not more.is_complete()
    run_all(more)
    assert rates(more)[:3] == before
    assert len(rates(more)) == 5


def abandon(trial: Trial) -> None:
    """What the death of its command leaves: running in the journal, claimed by nobody."""
    trial.claim.__exit__(None, None, None)


def test_an_orphan_is_queued_again_once_and_counted_once(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(first={"training.learning_rate": 1e-4})
    lost = [ledger.begin(), ledger.begin()]
    for trial in lost:
        assert trial is not None
        abandon(trial)
    again = make_ledger()
    taken = [again.begin(), again.begin()]
    assert [trial and trial.values for trial in taken] == [trial and trial.values for trial in lost]
    assert [trial and trial.folder for trial in taken] == [trial and trial.folder for trial in lost]
    for trial in taken:
        assert trial is not None
        finish(again, trial)
    run_all(again)
    assert len(again.results()) == 6
    assert len(set(rates(again))) == 6
    assert again.begun_again() == 2


@pytest.mark.parametrize("step", ["queued", "marked"])
def test_a_command_that_dies_while_it_queues_an_orphan_leaves_one_trial(
    make_ledger: MakeLedger, monkeypatch: pytest.MonkeyPatch, step: str
) -> None:
    ledger = make_ledger(trials=2)
    trial = ledger.begin()
    assert trial is not None
    abandon(trial)

    def die(*_: object, **__: object) -> None:
        raise KeyboardInterrupt

    with monkeypatch.context() as patch, suppress(KeyboardInterrupt):
        dying = make_ledger(trials=2)
        if step == "queued":
            patch.setattr(dying, "_cross_out", die)
        else:
            patch.setattr(dying._journal, "tell", die)
        dying.begin()
    again = make_ledger(trials=2)
    run_all(again)
    assert len(again.results()) == 2
    assert rates(again).count(trial.values["training.learning_rate"]) == 1
    assert again.begun_again() == 1


def test_a_trial_that_another_command_runs_is_left_alone(make_ledger: MakeLedger) -> None:
    mine, theirs = make_ledger(trials=2), make_ledger(trials=2)
    first, second = mine.begin(), theirs.begin()
    assert first is not None
    assert second is not None
    assert first.values != second.values
    assert mine.begin() is None, "all that are wanted are in good hands"
    assert not mine.is_complete()
    finish(theirs, second)
    finish(mine, first)
    assert mine.is_complete()
    assert len(theirs.results()) == 2
    assert mine.begun_again() == 0


def test_one_who_was_taken_for_dead_cannot_end_the_trial_of_another(make_ledger: MakeLedger) -> None:
    slept = make_ledger(trials=1)
    trial = slept.begin()
    assert trial is not None
    (trial.folder / "claim.json").unlink()
    other = make_ledger(trials=1)
    taken = other.begin()
    assert taken is not None
    assert not slept.report(trial, [0.1])
    slept.end(trial, "complete", value=0.1, seconds=1)
    assert slept.results() == []
    finish(other, taken, 0.9)
    assert [result.value for result in slept.results()] == [0.9]


def test_a_small_space_ends_when_all_of_it_was_tried(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(space=GRID, trials=30)
    assert ledger.wanted == 6
    tried = set()
    while trial := ledger.begin():
        tried.add(json.dumps(trial.values, sort_keys=True))
        ledger.end(trial, "complete", value=0.5, seconds=1)
    assert len(tried) == 6
    assert len(ledger.results()) == 6
    assert ledger.begun_again() == 0


def test_a_trial_below_the_median_is_ended_early_but_none_of_the_first(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=6, warmup_trials=3)
    pruned = []
    for value in (0.8, 0.7, 0.1, 0.2, 0.9, 0.75):
        trial = ledger.begin()
        assert trial is not None
        pruned.append(ledger.report(trial, [value]))
        ledger.end(trial, "pruned" if pruned[-1] else "complete", value=None if pruned[-1] else value, seconds=2)
    # medians of the trials that were not ended early: (.8 .7 .1) .7, then the same, then (.8 .7 .1 .9) .75
    assert pruned == [False, False, False, True, False, False]
    assert [result.state for result in ledger.results()] == ["complete"] * 3 + ["pruned"] + ["complete"] * 2
    assert ledger.results()[3].scores == (0.2,)
    assert ledger.results()[3].value is None


def test_without_a_pruner_none_is_ended_early(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=4, warmup_trials=1, pruner="none")
    for value in (0.8, 0.7, 0.1, 0.0):
        trial = ledger.begin()
        assert trial is not None
        assert not ledger.report(trial, [value])
        ledger.end(trial, "complete", value=value, seconds=1)


def test_a_failed_trial_counts_and_is_not_tried_again(make_ledger: MakeLedger) -> None:
    ledger = make_ledger(trials=3)
    trial = ledger.begin()
    assert trial is not None
    ledger.end(trial, "failed", value=None, seconds=1, problem="the training loss is nan")
    run_all(ledger)
    assert [result.state for result in ledger.results()] == ["failed", "complete", "complete"]
    assert ledger.results()[0].problem == "the training loss is nan"
    assert trial.values["training.learning_rate"] not in rates(ledger)[1:]


def test_a_journal_whose_last_line_is_torn_goes_on(make_ledger: MakeLedger, tmp_path: Path) -> None:
    ledger = make_ledger(trials=2)
    trial = ledger.begin()
    assert trial is not None
    finish(ledger, trial)
    with (tmp_path / "search" / "journal.log").open("a") as journal:
        journal.write('{"op_code": 4, "worker')
    again = make_ledger(trials=2)
    run_all(again)
    assert len(make_ledger(trials=2).results()) == 2


def test_a_lock_that_a_killed_command_left_does_not_stop_the_next_one(
    make_ledger: MakeLedger, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("diascope.study.tuning.ledger.LEFT_LOCK_SECONDS", 3)
    run_all(make_ledger(trials=1))
    (tmp_path / "search" / "journal.log.lock").touch()
    run_all(make_ledger(trials=2))
    assert len(make_ledger(trials=2).results()) == 2


def test_the_folder_of_a_trial_is_claimed_until_it_ends(make_ledger: MakeLedger) -> None:
    ledger = make_ledger()
    trial = ledger.begin()
    assert trial is not None
    assert (trial.folder / "claim.json").exists()
    finish(ledger, trial)
    with Claim(trial.folder):
        pass


def test_the_key_that_decides_is_the_important_one(make_ledger: MakeLedger) -> None:
    space = {"a.decides": Space(low=0.0, high=1.0), "a.idle": Space(low=0.0, high=1.0)}
    ledger = make_ledger(space=space, trials=25, warmup_trials=25)
    while trial := ledger.begin():
        ledger.end(trial, "complete", value=trial.values["a.decides"] ** 2, seconds=1)
    found = ledger.importances()
    assert found["a.decides"] > 0.8
    assert sum(found.values()) == pytest.approx(1)
    assert make_ledger("empty").importances() == {}
