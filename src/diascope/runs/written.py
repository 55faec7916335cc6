"""The JSON files of a study folder as the rest of Diascope may rely on them: read, checked, or refused by name.

A file may hold more than is listed here, and what an earlier version of Diascope did not write may be missing.
"""

import json
from pathlib import Path
from typing import Any, TypeVar

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from diascope.core.errors import RunError

Model = TypeVar("Model", bound=BaseModel)


class Written(BaseModel):
    model_config = ConfigDict(extra="allow", allow_inf_nan=False)


class Fold(Written):
    """The paths of a fold's images, as index.csv has them."""

    training: list[str]
    validation: list[str]


class Folds(Written):
    """folds.json."""

    kind: str
    folds: list[Fold] = Field(min_length=1)
    test: list[str] = []


class Done(Written):
    """done.json."""

    run_id: str
    epochs: int | None = None
    best_epoch: int | None = None
    seconds: float | None = None
    finished: str = ""
    stopped_early: bool = False
    restored_best: bool = False
    training_images: dict[str, dict[str, float | None]] | None = None


def read_text(path: Path, remedy: str) -> str:
    """The whole file, line ends as they are. Raises RunError."""
    try:
        with path.open(encoding="utf-8", newline="") as file:  # a name may hold a line end
            return file.read()
    except FileNotFoundError as error:
        raise RunError("this file is missing", where=str(path), remedy=remedy) from error
    except (OSError, UnicodeDecodeError) as error:
        raise RunError(f"cannot be read ({error})", where=str(path), remedy=remedy) from error


def read_object(path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object of any content. Raises RunError."""
    try:
        found = json.loads(read_text(path, remedy))
    except (ValueError, RecursionError) as error:
        raise RunError(f"damaged: not JSON ({error})", where=str(path), remedy=remedy) from error
    if not isinstance(found, dict):
        raise RunError("damaged: it holds no JSON object", where=str(path), remedy=remedy)
    return found


def read_as(kind: type[Model], path: Path, remedy: str) -> dict[str, Any]:
    """A JSON object that holds what `kind` asks for; what it says, without defaults. Raises RunError."""
    try:
        return kind.model_validate(read_object(path, remedy), strict=True).model_dump(exclude_unset=True)
    except ValidationError as error:
        raise RunError(f"damaged: {first_problem(error)}", where=str(path), remedy=remedy) from error


def first_problem(error: ValidationError) -> str:
    """The place in the file, and what is wrong there."""
    problem = error.errors()[0]
    place = ".".join(map(str, problem["loc"]))
    return f"{place}: {problem['msg']}" if place else problem["msg"]
