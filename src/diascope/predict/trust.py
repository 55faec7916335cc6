"""Code that a study folder brings along: a network of the user's own is a program, which runs with the user's rights.

A study file that one writes names a program of one's own. A study folder may have come from anybody, and whoever opens
it need not know that it names one; so a program that lies in a study folder is run only for those who say so.
"""

import os
from collections.abc import Iterable, Iterator
from pathlib import Path

from diascope.config import own_model
from diascope.core.errors import ConfigError
from diascope.runs.record import RunRecord
from diascope.studyfile import Study


def refuse_code(names: Iterable[str], *, trusted: bool) -> None:
    """Raises ConfigError for a network, by its model.name, whose untrusted program lies in a study folder."""
    for own in filter(None, map(own_model, names)):
        folder = next(filter(_is_study, _above(Path(own[0]))), None)
        if folder is not None and not trusted:
            what = f"the study in {folder} brings this program along, which would be run with your rights"
            remedy = "read it, and pass --trust-code (in Python trust_code=True) if you trust whom it is from"
            raise ConfigError(what, where=own[0], remedy=remedy)


def networks_of(study: Study) -> list[str]:
    """model.name of every arm, and those that a search may try."""
    space = study.config.search.space.get("model.name") if study.config.search is not None else None
    return [*(arm.model.name for arm in study.arms), *map(str, space.choices or () if space else ())]


def networks_of_runs(runs: Iterable[RunRecord]) -> list[str]:
    """model.name as the folders of these runs have it, which need not be what their study says."""
    sections = [run.config.get("model") for run in runs]
    return [str(section["name"]) for section in sections if isinstance(section, dict) and "name" in section]


def _above(file: Path) -> Iterator[Path]:
    """The folders that the file lies in, as it is named and after all links."""
    yield from Path(os.path.abspath(file)).parents
    yield from file.resolve().parents


def _is_study(folder: Path) -> bool:
    return (folder / "study.yaml").is_file() and (folder / "folds.json").is_file()
