"""What is wrong with a study file, in words: where it stands, what it is, and the nearest key that would do."""

import json
import re
from collections.abc import Iterable, Iterator, Mapping
from difflib import get_close_matches
from itertools import groupby
from types import UnionType
from typing import Annotated, Any, Union, get_args, get_origin

from pydantic import BaseModel

from diascope.config import SEED_KINDS, Section, StudyConfig
from diascope.core.errors import ConfigError

LONGEST_VALUE = 80  # letters of it that a message shows
SCHEDULES = ("constant", "step", "exponential", "cosine", "plateau", "one_cycle")
# Values of the agreed format whose feature this version does not have: refused by name, never ignored.
LATER_VALUES = {"compare.at": ("best",)}
# What pydantic puts after a key that may hold several kinds of values: the kind that the value was tried as.
_TRIED_AS = re.compile(r"(constrained-\w+|\w+\[.*\])$")


class Lines:
    """Where a key stands: in the file, in an arm, or in a --set."""

    def __init__(self, marked: Any, where: str) -> None:
        self.marked, self.where = marked, where
        self.set_by: dict[tuple[str, ...], str] = {}

    def place(self, key: tuple[Any, ...]) -> str:
        for length in range(len(key), 0, -1):
            if key[:length] in self.set_by:
                return self.set_by[key[:length]]
        line = self._line(key)
        if not line:  # the key came into being by a setting of something inside it
            inside = [place for known, place in self.set_by.items() if known[: len(key)] == key]
            return inside[0] if inside else self.where
        return f"{self.where}:{line}"

    def _line(self, key: tuple[Any, ...]) -> int | None:
        """The line of the longest part of `key` that stands in the file, counted from 1."""
        node, line = self.marked, None
        for name in key:
            if isinstance(node, Mapping) and name in node:
                if name not in (node.lc.data or {}):  # type: ignore[attr-defined]
                    return line  # it came in by a merge (<<), and stands elsewhere
                line = node.lc.key(name)[0] + 1  # type: ignore[attr-defined]
            elif isinstance(node, list) and isinstance(name, int) and name < len(node):
                line = node.lc.item(name)[0] + 1  # type: ignore[attr-defined]
            else:
                break
            node = node[name]
        return line


def one_a_key(problems: Iterable[Any]) -> Iterator[Any]:
    """The problems of a validation, with those of a value that was tried as several kinds in one."""
    for _, of_key in groupby(problems, _key):
        first, *others = of_key
        told = [other["msg"].removeprefix("Input should be ") for other in others]
        yield {**first, "msg": ", or ".join([first["msg"], *told])}


def _key(problem: Any) -> tuple[Any, ...]:
    """The key of the study file that a problem is about."""
    return tuple(
        part for part in problem["loc"] if part not in ("[key]", *SEED_KINDS) and not _TRIED_AS.match(str(part))
    )


def explain(problem: Any, lines: Lines, prefix: str) -> ConfigError:
    """One validation problem as an error with its place, its cause and the remedy."""
    key = _key(problem)
    if "schedule" in key:  # pydantic puts the kind of the schedule after it
        key = tuple(part for part in key if part not in SCHEDULES or key[-1] == "schedule")
    dotted = ".".join(map(str, key))
    place = lines.place(key)
    kind, given = problem["type"], problem.get("input")
    if kind == "extra_forbidden":
        remedy = nearest(dotted, [*known_keys(StudyConfig)])
        if remedy == f"did you mean {dotted}?":
            return ConfigError(f"{prefix}{dotted} is for another kind of schedule", where=place, remedy="remove it")
        return ConfigError(f"{prefix}unknown key {dotted}", where=place, remedy=remedy)
    if kind == "literal_error" and given in LATER_VALUES.get(dotted, ()):
        expected = problem["ctx"]["expected"]
        what = f"{prefix}{dotted}: {given} is refused: this version does not have it yet"
        return ConfigError(what, where=place, remedy=f"it has {expected}")
    if kind == "union_tag_invalid":
        what = f"{prefix}{dotted}: unknown schedule {problem['ctx']['tag']!r}"
        return ConfigError(what, where=place, remedy=f"use one of {', '.join(SCHEDULES)}")
    if kind == "missing":
        return ConfigError(f"{prefix}{dotted} is missing", where=place, remedy=_how_to_give(dotted))
    if problem["loc"] and problem["loc"][-1] == "[key]":
        what = f"{prefix}{given!r} cannot be the name of an arm"
        return ConfigError(what, where=place, remedy="use letters, digits, '.', '_', '+' and '-'; it names a folder")
    if kind == "value_error":
        what = f"{dotted}: {problem['ctx']['error']}" if dotted else str(problem["ctx"]["error"])
        return ConfigError(f"{prefix}{what}", where=place)
    message = problem["msg"][0].lower() + problem["msg"][1:]
    return ConfigError(f"{prefix}{dotted} is {clipped(given)}: {message}", where=place)


def clipped(value: Any) -> str:
    """A value as it stands in a message: of a long one the beginning."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_VALUE else f"{text[:LONGEST_VALUE]}..."


def _how_to_give(dotted: str) -> str:
    if dotted == "data.source" or dotted == "data":
        return "add `data: {source: FOLDER}` to the file, or pass --set data.source=FOLDER"
    return f"add `{dotted}:`"


def nearest(dotted: str, known: list[str]) -> str:
    close = get_close_matches(dotted, known, n=1, cutoff=0.6)
    if not close:
        last = dotted.rsplit(".", 1)[-1]
        close = [name for name in known if name.rsplit(".", 1)[-1] == last][:1]
    if close:
        return f"did you mean {close[0]}?"
    section = dotted.rpartition(".")[0]
    inside = [name for name in known if name.rpartition(".")[0] == section]
    return f"known here: {', '.join(inside)}" if inside else "`diascope schema` lists the keys"


def known_keys(model: type[BaseModel], prefix: str = "") -> Iterator[str]:
    for python_name, field in model.model_fields.items():
        name = field.alias or python_name
        yield prefix + name
        for inner in _section_types(field.annotation):
            yield from known_keys(inner, f"{prefix}{name}.")


def _section_types(annotation: Any) -> Iterator[type[Section]]:
    if isinstance(annotation, type) and issubclass(annotation, Section):
        yield annotation
    elif get_origin(annotation) is Annotated:
        yield from _section_types(get_args(annotation)[0])
    elif get_origin(annotation) in (Union, UnionType):
        for part in get_args(annotation):
            yield from _section_types(part)
