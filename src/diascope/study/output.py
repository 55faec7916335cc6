"""Where commands may write: never over files that are not their own, and never among the images."""

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from diascope.core.errors import ConfigError
from diascope.core.text import shorten

_NAMED = 3
_OF_A_SEARCH = ("identity.json", ".journal.lock")


@dataclass(frozen=True)
class Output:
    """What a command leaves: what it is called, and the sets of files of which one tells that it lies in a folder."""

    name: str
    marks: tuple[tuple[str, ...], ...]


# What a killed command left is known, too: locks come first. A search begins before the study of its result.
STUDY = Output(
    "a study",
    (
        ("study.yaml", "index.csv", "folds.json"),
        ("study.yaml", ".study.lock"),
        *((f"search/{file}",) for file in _OF_A_SEARCH),
    ),
)
AUDIT = Output("an audit", (("findings.json",),))
SHEETS = Output("contact sheets", (("transformations.png",),))


def holds(folder: Path, output: Output) -> bool:
    """Whether an earlier output of this kind lies in the folder."""
    return any(all((folder / file).is_file() for file in mark) for mark in output.marks)


def refuse_file(out: Path) -> None:
    if out.exists() and not out.is_dir():
        raise ConfigError("is a file, not a folder", where=f"--out {out}", remedy="give another --out")


def refuse_foreign(out: Path, output: Output) -> None:
    """Raises ConfigError for a file, and for a folder that holds anything but an earlier output of the same kind."""
    refuse_file(out)
    held = sorted(path.name for path in out.glob("[!.]*") if not _is_empty(path))
    own = holds(out, output) and (output is STUDY or not holds(out, STUDY))  # a study has findings.json, too
    if held and not own:
        what = f"this folder is not empty, and its files are not those of {output.name}: {shorten(held, _NAMED)}"
        name = f"{out.resolve().name}-{output.name.split()[-1]}"
        raise ConfigError(what, where=f"--out {out}", remedy=f"give another folder, such as --out {name}")


def _is_empty(folder: Path) -> bool:
    """So is what nobody may look into, such as the lost+found of a disk."""
    try:
        return folder.is_dir() and not any(folder.iterdir())
    except OSError:
        return True


def refuse_images(out: Path, source: str, paths: Iterable[str]) -> None:
    """Raises ConfigError for a folder that lies among the images of a folder, and for one that images lie in.

    `source` is that of the index, `paths` are those of its images.
    """
    if source.startswith("phantom:"):
        return
    place, given = out.resolve(), Path(source)
    root = given if given.is_dir() else given.parent
    single = given.suffix.lower() == ".npz"
    folders = set() if single else {folder.resolve() for folder in {(root / path).parent for path in paths}}
    remedy = "give another --out, apart from the images"
    if given.is_dir() and any(place.is_relative_to(folder) for folder in {root.resolve(), *folders}):
        what = f"lies among the images of {source}, of which it would become a part"
        raise ConfigError(what, where=f"--out {out}", remedy=remedy)
    inside = [folder for folder in sorted(folders) if folder.is_relative_to(place)]
    if inside or given.resolve().is_relative_to(place):
        what = f"the images lie in it: {inside[0] if inside else given}"
        raise ConfigError(what, where=f"--out {out}", remedy=remedy)
