"""look_log.json: every time that the verdicts of a study were seen, written before anybody sees them.

A list of looks, the oldest first. A look is a set of finished runs under the settings by which they are compared; the
same runs under the same settings, seen again, are the same look. See docs/verdicts.md, "Looking again".
"""

from pathlib import Path
from typing import Any

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, TypeAdapter

from diascope.config import SeedsUntilDecided, StudyConfig
from diascope.core.errors import RunError
from diascope.core.files import write_json
from diascope.runs.chain import Chained, following

NAME = "look_log.json"
Pair = tuple[str, str]


class Settings(BaseModel):
    """What a verdict depends on beside the runs; `most_runs`: how many of an arm the study asks for at most."""

    model_config = ConfigDict(frozen=True)

    metric: str
    at: str
    margin: float | None
    pairs: tuple[Pair, ...]
    most_runs: int


class VerdictLook(Chained):
    """`runs`: by arm, the run_id of each finished run by its name. `spent`: share of the 5% that all looks up to this
    one may err together. `decided`: every pair has a verdict other than "not shown".
    """

    seen: str  # time
    diascope: str
    settings: Settings
    seeds: int  # of a fold, finished in all arms
    runs: dict[str, dict[str, str]]
    spent: float
    decided: bool

    def is_of(self, settings: Settings, runs: dict[str, dict[str, str]]) -> bool:
        return self.settings == settings and self.runs == runs

    def paired(self, pair: Pair) -> set[tuple[str, str, str]]:
        """The runs that are finished in both arms: name and both identities."""
        arm, against = (self.runs.get(name, {}) for name in pair)
        return {(name, identity, against[name]) for name, identity in arm.items() if name in against}


_LOG = TypeAdapter(tuple[VerdictLook, ...])


def read_look_log(study: Path) -> tuple[VerdictLook, ...]:
    """All looks, the oldest first; none where there is no log. Raises RunError for a damaged one."""
    file = study / NAME
    try:
        return _LOG.validate_json(file.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return ()
    except (OSError, ValueError) as error:
        what = f"damaged: it is not a log of looks at verdicts ({str(error).splitlines()[0]})"
        remedy = "restore a copy: it says how often the verdicts of this study were seen"
        raise RunError(what, where=str(file), remedy=remedy) from error


def add_look(study: Path, look: VerdictLook) -> None:
    """Add a look to the log, on disk when this returns; nothing happens where it is there already."""
    with FileLock(study / ".look.lock"):
        looks = read_look_log(study)
        if any(before.is_of(look.settings, look.runs) for before in looks):
            return
        tree: list[dict[str, Any]] = [each.model_dump(mode="json") for each in (*looks, following(looks, look))]
        try:
            write_json(study / NAME, tree)
        except OSError as error:
            what = f"cannot be written ({error.strerror}): without a log no verdict is shown"
            raise RunError(what, where=str(study / NAME), remedy="make room, or make the folder writable") from error


def asked_seeds(study: StudyConfig, looks: tuple[VerdictLook, ...]) -> tuple[int, ...]:
    """The seeds that are asked for now: all, or those of the planned look that is next after the ones taken.

    Where the last look decided every pair, under the settings that the study still has, no more than that look had.
    """
    if not isinstance(study.seeds, SeedsUntilDecided):
        return study.seeds
    planned = study.planned_looks
    if not looks:
        return study.first_seeds(planned[0])
    last = looks[-1]
    if last.decided and _same_question(study, last.settings):
        return study.first_seeds(max(last.seeds, planned[0]))
    return study.first_seeds(next((seeds for seeds in planned if seeds > last.seeds), planned[-1]))


def _same_question(study: StudyConfig, settings: Settings) -> bool:
    asked = study.compare
    same_metric = asked.metric in (None, settings.metric)
    return same_metric and (asked.margin, study.pairs) == (settings.margin, settings.pairs)
