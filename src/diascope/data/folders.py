"""A folder per class, perhaps below a folder per side -> SourceTable."""

import os
from collections import Counter
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field
from pathlib import Path

from diascope.core.errors import DataError
from diascope.core.findings import Finding
from diascope.core.text import shorten
from diascope.data.image_file import beginning
from diascope.data.readers import SUFFIXES, is_dicom
from diascope.data.table import SourceTable, side_of

_JUNK = {"thumbs.db", "desktop.ini", "__macosx"}
_LAYOUT = "expected a folder per class, such as benign/ and malignant/, or these below train/, validation/ and test/"


@dataclass
class _Scan:
    root: Path
    images: list[tuple[str, str, str | None]] = field(default_factory=list)  # path, class, side
    ignored: list[str] = field(default_factory=list)


def read_folder(root: Path) -> SourceTable:
    """All images below `root`; the names of its subfolders are their classes, or their sides and then classes."""
    scan = _Scan(root)
    folders = _class_folders(scan, root)
    sides = {folder: side_of(folder.name) for folder in folders}
    if any(sides.values()):
        _refuse_mixture(root, sides)
        for folder, side in sides.items():
            for class_folder in _class_folders(scan, folder):
                _add_class(scan, class_folder, side)
    else:
        _refuse_wrapper(root, folders)
        _refuse_masks(root, folders)
        for folder in folders:
            _add_class(scan, folder, None)
    return _table(scan)


def _class_folders(scan: _Scan, folder: Path) -> list[Path]:
    entries = _visible(folder)
    folders = [Path(entry.path) for entry in entries if _leads_to(entry.is_dir)]
    images = [entry.name for entry in entries if _is_image(entry)]
    if images and not folders:
        what = f"{len(images):,} images lie directly in this folder (such as {images[0]}), so that they have no class"
        raise DataError(what, where=str(folder), remedy=f"{_LAYOUT}, or a CSV manifest")
    if not folders:
        raise DataError("no folders in it", where=str(folder), remedy=_LAYOUT)
    scan.ignored += [_relative(scan, os.path.join(folder, name)) for name in images]
    return folders


def _refuse_mixture(root: Path, sides: dict[Path, str | None]) -> None:
    others = [folder.name for folder, side in sides.items() if side is None]
    if others:
        named = shorten(folder.name for folder, side in sides.items() if side)
        what = f"folders of sides ({named}) beside other folders ({shorten(others, 5)})"
        remedy = "keep either sides or classes at this level: move or rename the others, or write a CSV manifest"
        raise DataError(what, where=str(root), remedy=remedy)


def _refuse_wrapper(root: Path, folders: list[Path]) -> None:
    """Archives often unpack to a folder within a folder, which would be one class with all images."""
    inner = [entry.name for entry in _visible(folders[0]) if _leads_to(entry.is_dir)]
    if len(folders) == 1 and len(inner) > 1:
        what = f"one folder only, {folders[0].name}, which holds folders itself ({shorten(inner, 5)})"
        raise DataError(what, where=str(root), remedy=f"name {folders[0]} as data.source")


def _refuse_masks(root: Path, folders: list[Path]) -> None:
    """Masks of the images, in folders that are called as the classes, are no class of their own."""
    masks = next((folder for folder in folders if folder.name == "masks"), None)
    if masks is None:
        return
    same = {folder.name for folder in folders} & {entry.name for entry in _visible(masks) if _leads_to(entry.is_dir)}
    if same:
        what = f"masks/ holds {shorten(sorted(same), 3)} as this folder does: masks, not images of a class"
        raise DataError(what, where=str(root), remedy=f"move it beside this folder, to {root.parent / 'masks'}")


def _add_class(scan: _Scan, folder: Path, side: str | None) -> None:
    before, ignored_before = len(scan.images), len(scan.ignored)
    for entry in files_below(folder):
        if _is_image(entry):
            scan.images.append((_relative(scan, entry.path), folder.name, side))
        else:
            scan.ignored.append(_relative(scan, entry.path))
    if len(scan.images) == before:
        others = Counter(_suffix(name) for name in scan.ignored[ignored_before:])
        held = ", ".join(f"{count:,} {suffix}" for suffix, count in others.most_common(3)) or "nothing"
        what = f"no image in this class folder; it holds {held}"
        raise DataError(what, where=str(folder), remedy=f"remove the folder, or convert its files to one of {_known()}")


def files_below(folder: Path, above: tuple[tuple[int, int], ...] = ()) -> Iterator["os.DirEntry[str]"]:
    """Files at any depth, in order; a symbolic link is followed, but not back to a folder `above`.

    Hidden ones are left out. Raises DataError for a folder that cannot be listed.
    """
    status = folder.stat()
    here = (status.st_dev, status.st_ino)
    if here in above:
        return
    for entry in _visible(folder):
        if _leads_to(entry.is_dir):
            yield from files_below(Path(entry.path), (*above, here))
        else:
            yield entry


def printable(path: str) -> str:
    """The path with what is not UTF-8 written out, as \\xe9, since no JSON file could hold it."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")


def _visible(folder: Path) -> list["os.DirEntry[str]"]:
    try:
        with os.scandir(folder) as entries:
            seen = [entry for entry in entries if not _is_junk(entry.name)]
    except OSError as error:
        raise DataError(
            f"cannot be listed: {error.strerror}", where=str(folder), remedy="check its permissions"
        ) from error
    return sorted(seen, key=lambda entry: entry.name)


def _is_junk(name: str) -> bool:
    return name.startswith(".") or name.lower() in _JUNK


def _is_image(entry: "os.DirEntry[str]") -> bool:
    """By its name; a broken link counts, so that it is reported as unreadable, a pipe or a device, or a link to one,
    does not.

    By its first bytes where the name says nothing, since DICOM files are often called IM-0001 or 1.2.840.10008.
    """
    suffix = _suffix(entry.name)
    if suffix in SUFFIXES:
        return _leads_to(entry.is_file) or not os.path.exists(entry.path)
    says_nothing = not suffix or suffix[1:].isdigit()
    is_contents = entry.name.upper() == "DICOMDIR"  # the table of contents of a folder
    return says_nothing and not is_contents and is_dicom(beginning(entry.path, 132))


def _leads_to(kind: Callable[[], bool]) -> bool:
    """Whether an entry is of this kind; a link in a circle, or through a file, leads to nothing."""
    try:
        return kind()
    except OSError:
        return False


def _suffix(name: str) -> str:
    return os.path.splitext(name)[1].lower()


def _relative(scan: _Scan, path: str) -> str:
    """By text: `Path.relative_to` would take most of the time of a large folder."""
    return path.removeprefix(os.path.join(scan.root, "")).replace(os.sep, "/")


def _known() -> str:
    return " ".join(sorted(SUFFIXES))


def _table(scan: _Scan) -> SourceTable:
    images = sorted(scan.images)
    sides = [side for _, _, side in images if side is not None]
    return SourceTable(
        paths=[path for path, _, _ in images],
        labels=[label for _, label, _ in images],
        splits=sides or None,
        findings=_findings(scan.ignored),
    )


def _findings(ignored: list[str]) -> tuple[Finding, ...]:
    if not ignored:
        return ()
    ignored = [printable(path) for path in ignored]
    named = shorten(sorted(ignored), 3)
    files = "1 file in the folder is" if len(ignored) == 1 else f"{len(ignored):,} files in the folder are"
    sentence = f"{files} not used: {named}. Images are regular files in a class folder that are named as images are."
    evidence = {"count": len(ignored), "paths": sorted(ignored)[:20]}
    return (Finding(code="ignored-files", severity="info", outcome="issue", sentence=sentence, evidence=evidence),)
