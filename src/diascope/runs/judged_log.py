"""test_log.json: every time that the test side of a study was judged, written before anybody sees a result.

A list of looks, the oldest first. A look is written down when it begins and again when it ends; one that failed midway
stays there without `finished`.
"""

import json
from collections.abc import Sequence
from pathlib import Path
from typing import Any, ClassVar, Literal

from filelock import FileLock
from pydantic import BaseModel, ConfigDict, ValidationError

from diascope.core.errors import RunError
from diascope.core.files import write_json
from diascope.runs.chain import Chained, following

NAME = "test_log.json"


class LookedAt(BaseModel):
    """One run in a look: when it was trained, a SHA-256 of its weights and, when they are there, of its predictions."""

    model_config = ConfigDict(frozen=True)

    arm: str
    fold: int
    seed: int
    run_id: str
    trained: str  # time
    weights: str
    predictions: str | None = None


class Look(Chained):
    """One call of `diascope test`. `study_arms` are all arms that the study had then, `arms` those that were judged."""

    LATER: ClassVar[Any] = {"finished": True, "runs": {"__all__": {"predictions"}}}

    begun: str  # time
    finished: str | None = None
    diascope: str
    command: str
    device: str
    checkpoint: Literal["last", "best"]
    images: int
    study_arms: tuple[str, ...]
    arms: tuple[str, ...]
    runs: tuple[LookedAt, ...]


def read_test_log(study: Path) -> tuple[Look, ...]:
    """All looks, the oldest first; none where there is no log. Raises RunError for a damaged one."""
    file = study / NAME
    try:
        tree = json.loads(file.read_text(encoding="utf-8"))
        return tuple(Look.model_validate_json(json.dumps(look)) for look in tree)
    except FileNotFoundError:
        return ()
    except (OSError, ValueError, TypeError, ValidationError) as error:
        what = f"damaged: not a log of judgements on the test side ({str(error).splitlines()[0]})"
        raise RunError(
            what, where=str(file), remedy="put back a copy: it says how often the test side was seen"
        ) from error


def begin_look(study: Path, look: Look) -> int:
    """Add a look to the log, on disk when this returns; its number, counted from 0."""
    with FileLock(study / ".test.lock"):
        looks = read_test_log(study)
        _write(study, [*looks, following(looks, look)])
        return len(looks)


def end_look(study: Path, number: int, look: Look) -> None:
    """Replace a look by what is known at its end."""
    with FileLock(study / ".test.lock"):
        looks = list(read_test_log(study))
        looks[number] = look.model_copy(update={"before": looks[number].before})
        _write(study, looks)


def _write(study: Path, looks: Sequence[Look]) -> None:
    tree: list[dict[str, Any]] = [look.model_dump(mode="json") for look in looks]
    try:
        write_json(study / NAME, tree)
    except OSError as error:
        what = f"cannot be written ({error.strerror}): without a log the test side is not judged"
        raise RunError(what, where=str(study / NAME), remedy="make room, or make the folder writable") from error
