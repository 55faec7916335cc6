"""The built-in studies: YAML files that lie beside this one."""

from difflib import get_close_matches
from importlib.resources import files
from pathlib import Path

from diascope.core.errors import ConfigError
from diascope.studyfile import Study, load_study, parse_study


def recipe_names() -> list[str]:
    """The built-in studies, in the order in which they are listed."""
    return sorted(file.name.removesuffix(".yaml") for file in files(__name__).iterdir() if file.name.endswith(".yaml"))


def recipe_text(name: str) -> str:
    """The study file of a recipe. Raises ConfigError for a name that is none."""
    if name not in recipe_names():
        close = get_close_matches(name, recipe_names(), n=1)
        remedy = f"did you mean {close[0]}?" if close else f"there are {', '.join(recipe_names())}"
        raise ConfigError("is neither a study file nor a recipe", where=name, remedy=remedy)
    return (files(__name__) / f"{name}.yaml").read_text(encoding="utf-8")


def find_study(study: str | Path, settings: list[str] | None = None) -> Study:
    """A study by file or by recipe name, with `--set` settings applied. A file wins over a recipe of its name."""
    path = Path(study)
    if path.is_file() or path.suffix in (".yaml", ".yml"):
        return load_study(path, settings)
    return parse_study(recipe_text(str(study)), settings or [], where=f"recipe {study}", folder=Path.cwd())
