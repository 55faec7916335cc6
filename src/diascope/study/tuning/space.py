"""The space of a search: what Optuna draws from, and what a draw means in a study file.

Optuna sees a choice as the text that stands for it in JSON, so that lists and sections can be choices too.
"""

import json
from collections.abc import Mapping
from hashlib import sha256
from itertools import product
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Any

from diascope.config import SearchConfig, Section, Space, canonical_json
from diascope.core.errors import ConfigError
from diascope.studyfile import Arm, Study, dump_study, parse_study

if TYPE_CHECKING:
    from optuna.distributions import BaseDistribution

Values = dict[str, Any]  # dotted key -> value
MOST_LISTED = 10_000  # configurations of a space that are worth listing


def distributions(search: SearchConfig) -> dict[str, "BaseDistribution"]:
    """What Optuna draws each key from."""
    return {key: _distribution(space) for key, space in search.space.items()}


def _distribution(space: Space) -> "BaseDistribution":
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    if space.choices is not None:
        return CategoricalDistribution([_text(choice) for choice in space.choices])
    assert space.low is not None
    assert space.high is not None
    listed = space.values(MOST_LISTED)
    high = listed[-1] if listed else space.high  # steps need not end at high
    if space.whole:
        return IntDistribution(int(space.low), int(high), log=space.log, step=int(space.step or 1))
    return FloatDistribution(float(space.low), float(high), log=space.log, step=space.step)


def decoded(search: SearchConfig, drawn: Mapping[str, Any]) -> Values:
    """What Optuna drew as values of a study file."""
    return {
        key: json.loads(drawn[key]) if space.choices is not None else drawn[key] for key, space in search.space.items()
    }


def encoded(search: SearchConfig, values: Values) -> dict[str, Any]:
    """The other way round."""
    return {
        key: _text(values[key]) if space.choices is not None else values[key] for key, space in search.space.items()
    }


def listed(search: SearchConfig) -> list[Values] | None:
    """Every configuration of the space, or None where they cannot be counted or are too many to list."""
    axes = [space.values(MOST_LISTED) for space in search.space.values()]
    known = [axis for axis in axes if axis is not None]
    if len(known) < len(axes) or prod(map(len, known)) > MOST_LISTED:
        return None
    return [dict(zip(search.space, values, strict=True)) for values in product(*known)]


def name_of(values: Values) -> str:
    """What a configuration is called: the same one has the same name in every command and on every machine."""
    return sha256(canonical_json(values).encode()).hexdigest()[:12]


def vary(study: Study, arms: Mapping[str, Values]) -> Study:
    """The study with these arms in place of its own, and no search. Raises ConfigError for values that do not fit."""
    compare = study.config.compare.model_copy(update={"pairs": None})
    changed = {"arms": {name: dict(values) for name, values in arms.items()}, "compare": compare, "search": None}
    text = dump_study(Study(study.config.model_copy(update=changed), ()))
    return parse_study(text, [], where=study.config.name, folder=Path.cwd())


def default_overrides(study: Study) -> Values:
    """The overrides of the first arm: the configuration that a search starts from, and is compared with."""
    return next(iter(study.config.arms.values()))


def overridden(study: Study, values: Values) -> Values:
    """The overrides of an arm: those of the first one, and over them the values of a trial."""
    return _flat(default_overrides(study)) | values


def _flat(tree: Mapping[str, Any], above: str = "") -> Values:
    """Overrides with dotted keys; a value that is a section itself counts as nested keys."""
    found: Values = {}
    for name, value in tree.items():
        if isinstance(value, dict) and value:
            found |= _flat(value, f"{above}{name}.")
        else:
            found[above + name] = value
    return found


def default_values(study: Study, search: SearchConfig) -> Values | None:
    """The default configuration as a point of the space, or None where it lies outside."""
    found: Values = {}
    for key, space in search.space.items():
        spelled = _spelled(study, key, space)
        if not spelled:
            return None
        found[key] = spelled[0]
    return found


def _spelled(study: Study, key: str, space: Space) -> tuple[Any, ...]:
    """The default's value of this key as the space spells it; empty where it lies outside."""
    now = _value(study.arms[0], key)
    if space.choices is not None:
        equal = [choice for choice in space.choices if _text(choice) == _text(now)]
        return tuple(equal or [choice for choice in space.choices if _same(study, key, choice)])[:1]
    if isinstance(now, bool) or not isinstance(now, int | float) or space.low is None or space.high is None:
        return ()
    steps = space.values(MOST_LISTED)
    return (now,) if (now in steps if steps else space.low <= now <= space.high) else ()


def _same(study: Study, key: str, value: Any) -> bool:
    """Whether the default with this value is the default: [-10, 10] and 10 are the same rotation."""
    try:
        other = vary(study, {"default": overridden(study, {key: value})})
    except ConfigError:
        return False
    return _decisive(other.arms[0]) == _decisive(study.arms[0])


def _decisive(arm: Arm) -> tuple[Any, ...]:
    return arm.data, arm.model.identity(), arm.augmentation, arm.training


def _value(arm: Arm, key: str) -> Any:
    """The resolved value of a dotted key as plain JSON, None where a section on the way is left out."""
    section, *inner = key.split(".")
    found: Any = arm.model.filled() if section == "model" else getattr(arm, section)
    for name in inner:
        found = found.get(name) if isinstance(found, dict) else getattr(found, name, None)
    return found.model_dump(mode="json") if isinstance(found, Section) else found


def _text(value: Any) -> str:
    return json.dumps(value, ensure_ascii=False)
