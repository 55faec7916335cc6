"""A study file: YAML 1.2 in, a StudyConfig and its arms out, and errors that name the line and the nearest key."""

import json
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from io import StringIO
from itertools import chain, combinations, islice, product
from pathlib import Path
from typing import Any

from pydantic import ValidationError

from diascope.config import (
    AugmentationConfig,
    DataConfig,
    ModelConfig,
    SeedsUntilDecided,
    Space,
    SplitConfig,
    StudyConfig,
    TrainingConfig,
    as_recorded,
    own_model,
)
from diascope.config.folder_names import folder_name_fault
from diascope.core.errors import ConfigError
from diascope.studyfile.problems import LONGEST_VALUE, Lines, clipped, explain, known_keys, nearest, one_a_key
from diascope.studyfile.reading import MOST_LETTERS, MOST_LEVELS, plain, read_yaml, yaml

Tree = dict[str, Any]
ARM_SECTIONS = ("data", "model", "augmentation", "training")
STUDY_WIDE = (
    *(
        "data.source",
        "data.label",
        "data.group",
        "data.where",
        "data.classes",
        "data.positive",
        "data.allow",
    ),  # whose images, called what
    *("data.phantom.images", "data.phantom.images_per_group", "data.phantom.prevalence", "data.phantom.seed"),
    *("split", "seeds"),
)

LONGEST_NAME, LONGEST_PATH = 255, 4095  # of a file
MOST_PROBLEMS = 20  # that an error lists
MOST_RUNS = 20_000  # arms x folds x seeds
MOST_CHECKED = 2_000  # pairs of values of a search that are checked together
QUOTE = "quote it: key='\"text\"'"
OTHER_NAME = "give another name, of letters and digits, say"
KINDS = ("kind", "name")  # keys that decide which others a section has: they are set first

# Keys whose values may be paths, and when they are.
PATHS: dict[tuple[str, ...], Callable[[str], bool]] = {
    ("data", "source"): lambda value: not value.startswith("phantom:"),
    ("model", "name"): lambda value: own_model(value) is not None,
    ("training", "start_from"): lambda value: bool(value) and not value.startswith("arm:"),
    ("model", "weights"): lambda value: value not in ("hub", "random"),
}


@dataclass(frozen=True)
class Arm:
    """One named configuration of a study, its overrides applied."""

    name: str
    data: DataConfig
    model: ModelConfig
    augmentation: AugmentationConfig
    training: TrainingConfig


@dataclass(frozen=True)
class Study:
    """A validated study: the file's configuration and every arm resolved."""

    config: StudyConfig
    arms: tuple[Arm, ...]

    @property
    def split(self) -> SplitConfig:
        return self.config.split


def load_study(path: Path, settings: list[str] | None = None, *, recorded: bool = False) -> Study:
    """Read a study file and apply `--set key=value` settings.

    Paths in the file are relative to the file, paths in settings to the working folder. `recorded`: the file is the
    study.yaml of a study folder, where a key that is missing means what was done before it existed. Raises ConfigError.
    """
    try:
        with path.open(encoding="utf-8-sig") as file:
            text = file.read(MOST_LETTERS + 1)
    except FileNotFoundError as error:
        raise ConfigError("there is no such study file", where=str(path)) from error
    except (OSError, UnicodeDecodeError) as error:
        raise ConfigError(f"cannot be read as text ({error})", where=str(path)) from error
    return parse_study(text, settings or [], where=str(path), folder=path.resolve().parent, recorded=recorded)


def parse_study(text: str, settings: list[str], *, where: str, folder: Path, recorded: bool = False) -> Study:
    """Like load_study, of a text; `folder` is what paths in it are relative to."""
    marked = read_yaml(text, lambda line: f"{where}:{line}" if line else where)
    if not isinstance(marked, Mapping):
        remedy = "write at least `name:` and `data: {source: ...}`; `diascope recipes lab-1a` prints an example"
        raise ConfigError("does not hold a study", where=where, remedy=remedy)
    lines = Lines(marked, where)
    tree = plain(marked)
    if recorded:
        tree = as_recorded(tree)
    _make_absolute(tree, folder, lines)
    for name, overrides in tree["arms"].items() if isinstance(tree.get("arms"), dict) else ():
        _make_absolute(overrides, folder, lines, written=("arms", name))
    for key, value in map(_parse_setting, settings):
        setting: Tree = {}
        place = f"--set {'.'.join(key)[:LONGEST_VALUE]}"
        _put(setting, key, value, place)
        _make_absolute(setting, Path.cwd(), Lines({}, place))
        _put(tree, (), setting, place)
        lines.set_by[key] = place
    if isinstance(tree.get("search"), dict) and isinstance(tree["search"].get("space"), dict):
        tree["search"]["space"] = dict(_spaces(tree["search"]["space"]))
    config = _validate(StudyConfig, tree, lines)
    if not recorded:  # an older study has the names that it has
        _check_names(config, lines)
        _check_runs(config, lines)
    arms = tuple(_resolve_arm(name, overrides, tree, lines) for name, overrides in config.arms.items())
    _check_spaces(config, tree, lines)
    _check_decision(config, arms, lines)
    return Study(config, arms)


def dump_study(study: Study) -> str:
    """The study as YAML with every default spelled out, but those of the network, which differ from arm to arm."""
    stream = StringIO()
    tree = study.config.model_dump(mode="json")
    tree["model"] = study.config.model.model_dump(mode="json", exclude_defaults=True)
    yaml().dump(tree, stream)
    return stream.getvalue()


def _make_absolute(
    tree: Any, folder: Path, lines: Lines, above: tuple[str, ...] = (), written: tuple[str, ...] = ()
) -> None:
    """Every path in `tree`, whose keys may be dotted, relative to `folder` until now. Raises ConfigError."""
    for name, value in tree.items() if isinstance(tree, dict) else ():
        key = (*above, *str(name).split("."))
        if isinstance(value, dict):
            _make_absolute(value, folder, lines, key, (*written, name))
        elif isinstance(value, str) and key in PATHS and PATHS[key](value):
            try:
                path = (folder / Path(value).expanduser()).resolve()
                if max(map(len, path.parts)) > LONGEST_NAME or len(str(path)) > LONGEST_PATH:
                    raise OSError("it is too long")
            except (OSError, RuntimeError) as error:  # also a home folder of nobody, links in a circle
                what = f"{'.'.join(key)} is {clipped(value)}, which is the path of no file: {error}"
                raise ConfigError(what, where=lines.place((*written, name)), remedy="check the path") from error
            tree[name] = str(path)


def _parse_setting(setting: str) -> tuple[tuple[str, ...], Any]:
    key, equals, value = setting.partition("=")
    where = f"--set {setting if len(setting) <= LONGEST_VALUE else key[:LONGEST_VALUE]}"
    if not equals or not key.strip():
        raise ConfigError("is not of the form key=value", where=where, remedy="for example --set seeds=5")
    try:
        parsed = plain(read_yaml(value, lambda line: where)) if value.strip() else None
    except ConfigError as error:
        raise ConfigError(f"its value {error.what}", where=where, remedy=error.remedy or QUOTE) from error
    return tuple(key.strip().split(".")), parsed


def _put(tree: Tree, key: tuple[str, ...], value: Any, place: str) -> None:
    """Set one value, which stands at `place`; a mapping is merged into the section that it names."""
    if len(key) > MOST_LEVELS:
        what = f"the key {clipped('.'.join(key))} has {len(key):,} parts; the most are {MOST_LEVELS}"
        raise ConfigError(what, where=place, remedy="check its dots")
    if isinstance(value, dict):
        if not value:
            tree_at = _section(tree, key[:-1])
            tree_at.setdefault(key[-1], {})
        for name, inner in sorted(value.items(), key=lambda item: item[0] not in KINDS):
            _put(tree, (*key, *name.split(".")), inner, place)
        return
    section = _section(tree, key[:-1])
    if _has_other_keys(key, section.get(key[-1], value), value):
        section.clear()
    section[key[-1]] = value


def _has_other_keys(key: tuple[str, ...], before: Any, now: Any) -> bool:
    """Whether a section means something else when `key` changes: another schedule, a pretrained network or one that
    is not.
    """
    other_network = key[-2:] == ("model", "name") and "pretrained" in (before, now)
    return bool(before != now and (other_network or key[-2:] == ("schedule", "kind")))


def _section(tree: Tree, key: tuple[str, ...]) -> Tree:
    for name in key:
        if not isinstance(tree.get(name), dict):
            tree[name] = {}
        tree = tree[name]
    return tree


def _resolve_arm(name: str, overrides: Tree, tree: Tree, lines: Lines) -> Arm:
    merged = _base(tree)
    places = {}
    for key, value, written in sorted(_leaves(overrides), key=lambda leaf: leaf[0][-1] not in KINDS):
        place = lines.place(("arms", name, *written))
        _check_arm_key(f"arm {name!r}", key, place)
        _put(merged, key, value, place)
        places[key] = place
    arm_lines = Lines(lines.marked, lines.where)
    arm_lines.set_by = {**lines.set_by, **places}
    config = _validate(StudyConfig, merged, arm_lines, prefix=f"arm {name!r}: ")
    return Arm(name, config.data, config.model, config.augmentation, config.training)


def _base(tree: Tree) -> Tree:
    """A copy of what a configuration of the study consists of, without the other arms: there may be many."""
    return json.loads(json.dumps({name: tree[name] for name in (*ARM_SECTIONS, "name") if name in tree}))  # type: ignore[no-any-return]


def _check_names(config: StudyConfig, lines: Lines) -> None:
    """Study and arms name folders, which must be theirs on every file system."""
    if fault := folder_name_fault(config.name):
        raise ConfigError(f"name: {clipped(config.name)} {fault}", where=lines.place(("name",)), remedy=OTHER_NAME)
    seen: dict[str, str] = {}
    for arm in config.arms:
        place = lines.place(("arms", arm))
        if fault := folder_name_fault(arm):
            raise ConfigError(f"the arm {clipped(arm)} {fault}", where=place, remedy=OTHER_NAME)
        if (other := seen.setdefault(arm.casefold(), arm)) != arm:
            what = (
                f"the arms {other!r} and {arm!r} differ in upper and lower case only, which not every disk keeps apart"
            )
            raise ConfigError(what, where=place, remedy="rename one of them")


def _check_runs(config: StudyConfig, lines: Lines) -> None:
    """A plan lists every run, and cannot list any number."""
    folds = config.split.folds if config.split.kind == "kfold" else 1
    runs = len(config.arms) * folds * config.most_seeds
    if runs > MOST_RUNS:
        what = f"{len(config.arms):,} arms x {folds} folds x {config.most_seeds:,} seeds are {runs:,} runs"
        raise ConfigError(f"{what}; the most are {MOST_RUNS:,}", where=lines.place(("seeds",)), remedy="ask for fewer")


def _check_decision(config: StudyConfig, arms: Sequence[Arm], lines: Lines) -> None:
    """Seeds would be added to the limit for a pair that is never tested on the validation side."""
    restored = {arm.name: arm.training.restores_best for arm in arms}
    for pair in config.pairs if isinstance(config.seeds, SeedsUntilDecided) else ():
        if restored[pair[0]] != restored[pair[1]]:
            what = (
                f"no number of seeds decides between {pair[0]} and {pair[1]}: one of them alone ends with the weights "
                "of its best epoch, which the validation images chose"
            )
            remedy = "set training.early_stopping.restore_best alike in both, or give a number of seeds"
            raise ConfigError(what, where=lines.place(("seeds",)), remedy=remedy)


def _check_spaces(config: StudyConfig, tree: Tree, lines: Lines) -> None:
    """Every value that a search may try must make a valid configuration: each by itself, and the ends in pairs."""
    if config.search is None:
        return
    spaces, places = config.search.space, {}
    base = _base(tree)
    for key, value, _ in _leaves(next(iter(config.arms.values()))):
        _put(base, key, value, "")
    for dotted in spaces:
        key = tuple(dotted.split("."))
        nested = ("search", "space", *key)
        places[dotted] = lines.place(nested if nested in lines.set_by else ("search", "space", dotted))
        _check_arm_key("search.space", key, places[dotted])
    alone = ({dotted: value} for dotted, space in spaces.items() for value in space.probed())
    pairs = (
        {one: first, other: second}
        for one, other in combinations(spaces, 2)
        for first, second in product(spaces[one].ends(), spaces[other].ends())
    )
    for values in chain(alone, islice(pairs, MOST_CHECKED)):
        _check_values(values, base, places, lines)


def _check_values(values: Tree, base: Tree, places: dict[str, str], lines: Lines) -> None:
    merged = json.loads(json.dumps(base))
    for dotted, value in values.items():
        _put(merged, tuple(dotted.split(".")), value, places[dotted])
    words = ", ".join(f"{dotted} {json.dumps(value)}" for dotted, value in values.items())
    try:
        _validate(StudyConfig, merged, lines, prefix=f"search.space with {words}: ")
    except ConfigError as error:
        raise ConfigError(error.what, where=places[[*values][-1]], remedy=error.remedy) from None


def _leaves(
    tree: Tree, key: tuple[str, ...] = (), written: tuple[str, ...] = ()
) -> Iterator[tuple[tuple[str, ...], Any, tuple[str, ...]]]:
    """Every override as (key, value, the key as it is written: dotted names are one step there)."""
    for name, value in tree.items():
        inner, inner_written = (*key, *name.split(".")), (*written, name)
        if isinstance(value, dict) and value:
            yield from _leaves(value, inner, inner_written)
        else:
            yield inner, value, inner_written


def _spaces(tree: Tree, above: str = "") -> Iterator[tuple[str, Any]]:
    """The spaces of a search by dotted key; what is nested further down than a space is a key written in parts."""
    for name, value in tree.items():
        if isinstance(value, dict) and value and not set(value) & set(Space.model_fields):
            yield from _spaces(value, f"{above}{name}.")
        else:
            yield f"{above}{name}", value


def _check_arm_key(who: str, key: tuple[str, ...], place: str) -> None:
    dotted = ".".join(key)
    if any(dotted == fixed or dotted.startswith(f"{fixed}.") for fixed in STUDY_WIDE):
        raise ConfigError(
            f"{who} sets {dotted}, which all arms of a study share",
            where=place,
            remedy="set it at the top of the file, or make another study",
        )
    if key[0] not in ARM_SECTIONS:
        close = nearest(dotted, [name for name in known_keys(StudyConfig) if name.split(".")[0] in ARM_SECTIONS])
        raise ConfigError(
            f"{who} sets {dotted}, which is not a key of {', '.join(ARM_SECTIONS)}", where=place, remedy=close
        )


def _validate(model: type[StudyConfig], tree: Tree, lines: Lines, prefix: str = "") -> StudyConfig:
    tree = {key: {} if value is None and key in (*ARM_SECTIONS, "split", "compare") else value
            for key, value in tree.items()}  # fmt: skip
    arms = tree.get("arms")
    if isinstance(arms, dict):
        tree["arms"] = {name: {} if overrides is None else overrides for name, overrides in arms.items()}
    try:
        return model.model_validate_json(json.dumps(tree), strict=True)
    except ValidationError as error:
        found = [*one_a_key(error.errors())]
        problems = [explain(problem, lines, prefix) for problem in found[:MOST_PROBLEMS]]
        first = problems[0]
        if len(problems) > 1:
            rest = "".join(f"\n{problem}" for problem in problems[1:])
            rest += f"\nand {len(found) - MOST_PROBLEMS:,} more" if len(found) > MOST_PROBLEMS else ""
            raise ConfigError(f"{first.what}{f'; {first.remedy}' if first.remedy else ''}{rest}",
                              where=first.where) from None  # fmt: skip
        raise first from None
