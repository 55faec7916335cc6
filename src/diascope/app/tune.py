"""Search, then train what was found beside the default on the study's own split."""

import json
from contextlib import closing
from dataclasses import dataclass, replace
from hashlib import sha256
from itertools import islice, product
from pathlib import Path
from time import sleep
from typing import Any

from filelock import FileLock

from diascope.app.run import Options, Outcome, extraction_device, finish, make_executor, train
from diascope.config import SearchConfig, canonical_json
from diascope.core.errors import ConfigError, RunError
from diascope.core.events import Show, counter, silent
from diascope.core.files import make_folder, write_atomic, write_json
from diascope.predict.trust import networks_of, refuse_code
from diascope.study.auditing import audit_study
from diascope.study.channels import following_images
from diascope.study.compatibility import check_arms
from diascope.study.executors import Event, Executor
from diascope.study.extraction import EXTRACTING, prepare_features
from diascope.study.images import DECODING, Images, read_images
from diascope.study.output import STUDY, refuse_foreign
from diascope.study.starting import first_arm
from diascope.study.tuning.ledger import Ledger, Result
from diascope.study.tuning.objective import Objective
from diascope.study.tuning.outcome import Found, conclude, tuned_study, write_search
from diascope.study.tuning.space import default_values, overridden, vary
from diascope.study.tuning.trials import PAUSE, Ended, Trials
from diascope.studyfile import Study

MOST_NETWORKS = 64  # that are built on trial before a search, without weights


@dataclass(frozen=True)
class Searching:
    """An event: the search begins, or goes on after the trials in `done`; better is higher, or lower."""

    done: tuple[Result, ...]
    wanted: int
    metric: str
    lower_is_better: bool


@dataclass(frozen=True)
class OfTrial:
    """An event of a run of trial `number`; None where the trial is not one of this command."""

    event: Event
    number: int | None


@dataclass(frozen=True)
class TrialEnded:
    """An event: a trial of this command is over; `done` are all that are, of every command."""

    ended: Ended
    done: tuple[Result, ...]


@dataclass(frozen=True)
class Searched:
    """An event: the search is over, and what it found is written to `file`."""

    found: Found
    file: Path


@dataclass(frozen=True)
class Tuned:
    """A search that ended, and the study of what it found."""

    found: Found
    outcome: Outcome
    file: Path  # tuned.yaml


def tune(study: Study, folder: Path, options: Options, show: Show = silent) -> Tuned:
    """Search, train the study of default and tuned, explain, probe where the study says so, and write the report."""
    tuned = search(study, folder, options, show)
    return replace(tuned, outcome=finish(study, tuned.outcome, options, show))


def search(study: Study, folder: Path, options: Options, show: Show = silent) -> Tuned:
    """Search the study's space in `folder`/search, then train the study of default and tuned in `folder`.

    A search that was stopped goes on; commands that share the folder share its trials. Raises ConfigError, DataError
    or RunError before any training if something cannot work.
    """
    refuse_foreign(folder, STUDY)
    refuse_code(networks_of(study), trusted=options.trust_code)
    study = following_images(study, folder)
    asked = _search_of(study)
    _refuse_first_arm(study)
    executor = make_executor(study, options)
    images = read_images(study, folder, on_unreadable=options.on_unreadable, progress=counter(show, DECODING))
    _check_networks(study, asked, images)
    audit_study(study, images, None, show)  # a leak stops a search before it begins, not when it has ended
    objective = Objective(study, asked, images, folder / "search" / "trials")
    default = default_values(study, asked)
    _check_identity(study, asked, objective, folder / "search")
    ledger = Ledger(folder / "search", asked, lower_is_better=objective.lower_is_better, first=default)
    _run_trials(ledger, objective, executor, options, show)
    found = conclude(ledger, default, folder, lower_is_better=objective.lower_is_better)
    write_search(found, asked, objective.primary, ledger.importances(), folder / "search")
    tuned, text = tuned_study(study, found)
    write_atomic(folder / "tuned.yaml", text)
    show(Searched(found, folder / "tuned.yaml"))
    return Tuned(found, train(tuned, folder, options, show), folder / "tuned.yaml")


def _search_of(study: Study) -> SearchConfig:
    if study.config.search is None:
        remedy = "add `search: {space: {training.learning_rate: {low: 1e-5, high: 1e-2, log: true}}}`"
        raise ConfigError("the study has no section search", where=study.config.name, remedy=remedy)
    return study.config.search


def _check_networks(study: Study, search: SearchConfig, images: Images) -> None:
    """Every network of the space must take the images. Raises ConfigError for the ends, before anything is trained."""
    spaces = {key: space.ends() for key, space in search.space.items() if key.split(".")[0] in ("data", "model")}
    for ends in islice(product(*spaces.values()), MOST_NETWORKS):
        values = dict(zip(spaces, ends, strict=True))
        try:
            check_arms(vary(study, {"trial": overridden(study, values)}), images.index)
        except ConfigError as error:
            words = ", ".join(f"{key} {json.dumps(value)}" for key, value in values.items())
            raise ConfigError(error.what, where=f"search.space with {words}", remedy=error.remedy) from error


def _refuse_first_arm(study: Study) -> None:
    """The arm that is searched, the first one, may not begin with another: a trial has no other arms."""
    arm = study.arms[0]
    if first_arm(arm.training) is not None:
        what = f"training.start_from: a trial has no arm {first_arm(arm.training)!r} to begin with"
        raise ConfigError(what, where=f"arm {arm.name}", remedy="name the folder of a finished run, or leave it out")


def _run_trials(ledger: Ledger, objective: Objective, executor: Executor, options: Options, show: Show) -> None:
    """Run trials until as many as are wanted have ended, here or in another command."""

    def ended(ended: Ended) -> None:
        show(TrialEnded(ended, tuple(ledger.results())))

    def tasks(values: dict[str, Any]) -> Any:
        found = objective.tasks(values, on_unreadable=options.on_unreadable, progress=counter(show, DECODING))
        prepare_features(found, extraction_device(options), counter(show, EXTRACTING))
        return found

    show(Searching(tuple(ledger.results()), ledger.wanted, objective.primary.metric, objective.lower_is_better))
    with Trials(ledger, tasks, objective.score, ended) as trials:
        while not ledger.is_complete():
            with closing(executor(trials)) as events:  # type: ignore[type-var]
                for event in events:
                    trial = trials.find(event.task)
                    show(OfTrial(event, trial.number if trial else None))
                    trials.happened(event)
            if not ledger.is_complete():  # what is left is in the hands of other commands, or is let go of just now
                sleep(PAUSE)


def _check_identity(study: Study, search: SearchConfig, objective: Objective, folder: Path) -> None:
    """A folder is one search's: trials of other images, spaces or bases cannot be counted with these.

    More trials may be asked for at any time, and pruned in another way.
    """
    runs = [task.run_id for task in objective.tasks({})]
    tree = json.loads(search.model_dump_json(include={"space", "folds", "seed"}))
    identity = {
        "metric": objective.primary.metric,
        "images and default configuration": sha256(canonical_json({"runs": runs}).encode()).hexdigest()[:16],
        **{f"search.{key}": value for key, value in tree.items()},
    }
    make_folder(folder)
    with FileLock(folder / ".journal.lock"):
        file = folder / "identity.json"
        if not file.exists():
            write_json(file, identity)
            return
        known = json.loads(file.read_text(encoding="utf-8"))
    other = [key for key, value in identity.items() if known.get(key) != value]
    if other:
        what = f"it holds a search that differs in {', '.join(other)}"
        raise RunError(what, where=str(folder), remedy="give another --out, or undo the change")
