"""The text of a study file or setting as plain values, within bounds: no text takes long, or more memory than it has.

Before anything is built the events of the parser are counted, with what aliases (*name) stand for: nine levels of ten
aliases each are a billion values.
"""

import re
from collections.abc import Callable, Mapping
from typing import Any

from ruamel.yaml import YAML
from ruamel.yaml.comments import TaggedScalar
from ruamel.yaml.constructor import RoundTripConstructor
from ruamel.yaml.error import MarkedYAMLError, YAMLError
from ruamel.yaml.events import AliasEvent, CollectionEndEvent, NodeEvent, ScalarEvent

from diascope.core.errors import ConfigError

MOST_LETTERS, MOST_VALUES, MOST_LEVELS = 4_000_000, 50_000, 40
MOST_DIGITS = 25
_TAGS = (None, "!", "tag:yaml.org,2002:str")  # others make sets, bytes and objects, which no key takes
_WHOLE = re.compile(r"[-+]?(0x[0-9a-fA-F_]+|0o[0-7_]+|[0-9_]+)")

Place = Callable[[int], str]  # how the line of that number, from 1, is called in an error


class _Constructor(RoundTripConstructor):
    """Dates are text."""


_Constructor.add_constructor("tag:yaml.org,2002:timestamp", RoundTripConstructor.construct_yaml_str)


def yaml() -> Any:
    """Reader and writer of YAML 1.2 that know where each key stands."""
    found = YAML(typ="rt")
    found.Constructor = _Constructor
    found.default_flow_style = False
    found.width = 120
    return found


def read_yaml(text: str, place: Place) -> Any:
    """The values of `text`, marked with their lines. Raises ConfigError."""
    try:
        _check_bounds(text, place)
        return yaml().load(text)
    except MarkedYAMLError as error:
        where = place(error.problem_mark.line + 1 if error.problem_mark else 0)
        problem = " ".join(str(error.problem or error.context or "cannot be parsed").split())
        raise ConfigError(f"is not valid YAML: {problem}", where=where) from error
    except (YAMLError, ValueError, IndexError, TypeError) as error:  # the parser stumbles over ._ and 0b_
        raise ConfigError(f"is not valid YAML: {' '.join(str(error).split())}", where=place(0)) from error


def _check_bounds(text: str, place: Place) -> None:
    if len(text) > MOST_LETTERS:
        what = f"has more than {MOST_LETTERS:,} letters, which no study needs"
        raise ConfigError(what, where=place(0), remedy="name the study file")
    values = 0
    inside: list[tuple[str | None, int]] = []  # of each open section and list its anchor, and the values before it
    sizes: dict[str, int | None] = {}  # of each anchor the values that it stands for; None: it is still open
    for event in YAML(typ="rt").parse(text):
        if isinstance(event, CollectionEndEvent):
            anchor, before = inside.pop()
            sizes |= {anchor: values - before} if anchor else {}
        if not isinstance(event, NodeEvent):
            continue
        where = place(event.start_mark.line + 1)
        size = sizes.get(event.anchor, 0) if isinstance(event, AliasEvent) else 1
        if size is None:
            raise ConfigError(f"*{event.anchor} refers to what it is a part of", where=where, remedy="write it out")
        if (tag := getattr(event, "tag", None)) not in _TAGS:
            raise ConfigError(f"the tag {tag} has no use here", where=where, remedy="remove it")
        if isinstance(event, ScalarEvent):
            _check_scalar(event, where)
            sizes |= {event.anchor: 1} if event.anchor else {}
        elif not isinstance(event, AliasEvent):
            inside.append((event.anchor, values))
            sizes |= {event.anchor: None} if event.anchor else {}
        values += size
        if len(inside) > MOST_LEVELS:
            what = f"is nested more than {MOST_LEVELS} levels deep"
            raise ConfigError(what, where=where, remedy="no key of a study file needs that")
        if values > MOST_VALUES:
            what = f"holds more than {MOST_VALUES:,} values up to here, those that aliases (*) repeat included"
            raise ConfigError(what, where=where, remedy="write fewer")


def _check_scalar(event: Any, where: str) -> None:
    if event.style is None and len(event.value) > MOST_DIGITS and _WHOLE.fullmatch(event.value):
        raise ConfigError(f"a number has more than {MOST_DIGITS} digits", where=where, remedy="write a smaller one")
    if any(letter == "\0" or "\ud800" <= letter <= "\udfff" for letter in event.value):
        what = f"the text {event.value[:MOST_DIGITS]!a} holds a character that no file can be named with"
        raise ConfigError(what, where=where, remedy="remove it")


def plain(node: Any) -> Any:
    """Marked values as plain JSON values."""
    if isinstance(node, Mapping):
        return {str(key): plain(value) for key, value in node.items()}
    if isinstance(node, list):
        return [plain(value) for value in node]
    if isinstance(node, TaggedScalar):  # !!str 12
        return str(node.value)
    return next((kind(node) for kind in (bool, int, float, str) if isinstance(node, kind)), None)
