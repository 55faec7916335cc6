"""The cache folder: results that cost time, each in a folder named by a digest of what it was made from.

A folder appears whole or not at all: it is built beside its place under a lock and then renamed. A second process
that wants the same one waits and then reads it. What a killed build left is removed by the next build, or by clear();
of features, which cost much time, it is kept, and the next build of the same ones goes on with it.

    ROOT/images/<key>/manifest.json ...     decoded images; other kinds of results lie beside `images`
    ROOT/images/<key>.building/             while it is being built
    ROOT/locks/  ROOT/digests/
"""

import json
import os
import re
import shutil
from collections.abc import Callable, Iterator, Sequence
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from errno import EDQUOT, EEXIST, EFBIG, EISDIR, ENOSPC, ENOTDIR, ENOTEMPTY
from pathlib import Path
from typing import Any, Literal

import numpy as np
from filelock import FileLock, Timeout
from numpy.typing import NDArray

from diascope.core.errors import DataError
from diascope.core.files import file_digest, make_folder, sync_files, sync_folder
from diascope.core.text import human_size

MANIFEST = "manifest.json"
_KINDS = ("images", "features", "audit")
_CONTINUED = ("features",)  # kinds whose build can go on with what a killed one left
_KEY = re.compile(r"[0-9a-f]{32}")
_BUILDING = ".building"
_IN_THE_WAY = (EEXIST, EISDIR, ENOTDIR, ENOTEMPTY)  # a file where a folder belongs, or a folder where a file does
_REMEDIES = {
    **dict.fromkeys(
        (ENOSPC, EDQUOT, EFBIG),
        "free some space, `diascope cache --clear`, or set DIASCOPE_CACHE to a folder on another disk",
    ),
    **dict.fromkeys(_IN_THE_WAY, "remove it, or set DIASCOPE_CACHE to another folder"),
}
_ELSEWHERE = "set DIASCOPE_CACHE to a folder that you can write to"

State = Literal["kept", "built", "rebuilt"]


@dataclass(frozen=True)
class Kept:
    """One result in the cache: its size in bytes, and when it was last used, in seconds since 1970.

    What a killed build left is not `whole`; where `continues`, the next build of the same key goes on with it.
    """

    kind: str
    key: str
    source: str
    images: int
    size: int
    used: float
    whole: bool
    continues: bool


def cache_root() -> Path:
    """DIASCOPE_CACHE, else the user's cache folder as the system has it."""
    from platformdirs import user_cache_dir

    named = os.environ.get("DIASCOPE_CACHE")
    return Path(named).expanduser().absolute() if named else Path(user_cache_dir("diascope", appauthor=False))


def obtain(kind: str, key: str, is_whole: Callable[[Path], bool], build: Callable[[Path], None]) -> tuple[Path, State]:
    """The folder of a result, and whether it was there; where no whole one is, `build` fills an empty folder.

    `key` is 32 hexadecimal digits. A folder of features may hold what a build of the same key left that was cut off.
    What `is_whole` raises over a damaged folder says that it is not whole. Raises DataError, with the place, where the
    cache cannot be written, or what was written cannot be read back.
    """
    folder = cache_root() / kind / key
    if is_there(kind, key, is_whole):
        return folder, "kept"
    _make(folder.parent)
    with _locked(kind, key):
        if _passes(is_whole, folder):  # another process built it while this one waited
            return folder, "built"
        if kind not in _CONTINUED:
            _sweep(kind)
        state: State = "rebuilt" if folder.exists() else "built"
        with _writing(folder.parent):
            _remove(folder)
            _build(folder, is_whole, build, continued=kind in _CONTINUED)
    return folder, state


def is_there(kind: str, key: str, is_whole: Callable[[Path], bool]) -> bool:
    """Whether a whole result is in the cache, and need not be built; that it was asked for counts as its use."""
    folder = cache_root() / kind / key
    if not _passes(is_whole, folder):
        return False
    _touch(folder)
    return True


def entries() -> list[Kept]:
    """All that is kept, the most recently used first; remains of killed builds too, as not whole."""
    found = [_kept(kind, folder) for kind in _KINDS for folder in _folders(kind)]
    return sorted(found, key=lambda kept: -kept.used)


def clear() -> tuple[int, list[str]]:
    """Remove all that no other process is building; return the bytes freed and the keys that are in use.

    Only folders that this module named are touched, whatever DIASCOPE_CACHE points to.
    """
    freed, busy = 0, []
    for kind in _KINDS:
        for folder in _folders(kind):
            key = folder.name.removesuffix(_BUILDING)
            try:
                with _locked(kind, key, wait=False):
                    size = _size(folder)
                    shutil.rmtree(folder)
                    freed += size
            except Timeout:
                busy.append(key)
    if not busy:
        shutil.rmtree(cache_root() / "digests", ignore_errors=True)
        shutil.rmtree(cache_root() / "depth", ignore_errors=True)
        shutil.rmtree(cache_root() / "text", ignore_errors=True)
    return freed, busy


def remember(file: Path, content: object) -> bool:
    """Replace a JSON file of the cache in one step; False where it cannot be written, which costs time only.

    Of two processes that do so at once the last one wins.
    """
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(content), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        with suppress(OSError):
            temporary.unlink()
        return False
    return True


def remembered(file: Path) -> dict[str, Any]:
    """What `remember` wrote; empty where there is nothing: a damaged file is as good as none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def write_manifest(folder: Path, content: dict[str, Any], files: Sequence[str]) -> None:
    """Write manifest.json with the digests of these files, whose result is whole then.

    `content` holds at least `source` and `images`.
    """
    digests = {name: file_digest(folder / name) for name in files}
    (folder / MANIFEST).write_text(json.dumps({**content, "sha256": digests}, indent=1), encoding="utf-8")


def read_manifest(folder: Path) -> dict[str, Any] | None:
    """manifest.json, or None where there is none or a damaged one."""
    try:
        content = json.loads((folder / MANIFEST).read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return None
    return content if isinstance(content, dict) and isinstance(content.get("images"), int) else None


def open_array(file: Path) -> NDArray[Any]:
    """An array of the cache, memory-mapped, read-only. Raises DataError where it is gone or not as it was written."""
    try:
        if _is_as_written(file.parent):
            array: NDArray[Any] = np.load(file, mmap_mode="r")
            return array
        what = "was changed in the cache" if file.exists() else "is gone from the cache"
    except (OSError, ValueError) as error:
        what = f"is gone from the cache, or cannot be read ({error})"
    raise DataError(what, where=str(file), remedy="run the same command again: it makes the file anew")


def _is_as_written(folder: Path) -> bool:
    """Whether every file of a result still has the digest that its manifest says. Raises OSError where one is gone."""
    digests = (read_manifest(folder) or {}).get("sha256")
    return isinstance(digests, dict) and all(file_digest(folder / name) == digest for name, digest in digests.items())


def require_space(folder: Path, size: int, what: str, smaller: str) -> None:
    """Raise DataError unless `size` bytes are free on the disk of `folder` for `what`, which `smaller` would shrink."""
    free = shutil.disk_usage(folder).free
    if free < size:
        what = f"{what} take {human_size(size)}, but only {human_size(free)} are free"
        remedy = f"free some, `diascope cache --clear`, {smaller}, or DIASCOPE_CACHE on another disk"
        raise DataError(what, where=str(folder), remedy=remedy)


def _build(folder: Path, is_whole: Callable[[Path], bool], build: Callable[[Path], None], *, continued: bool) -> None:
    building = folder.with_name(folder.name + _BUILDING)
    if not continued or not building.is_dir():
        _remove(building)
    _make(building)
    try:
        build(building)
        if not _passes(is_whole, building):
            continued = False  # nothing to go on with
            remedy = "run the same command again; if that does not help, set DIASCOPE_CACHE to a folder on another disk"
            raise DataError("what was just written cannot be read back", where=str(building), remedy=remedy)
        sync_files(building)
        building.rename(folder)
        sync_folder(folder.parent)
    finally:
        if not continued:
            _remove(building)


def _passes(is_whole: Callable[[Path], bool], folder: Path) -> bool:
    try:
        return _is_as_written(folder) and is_whole(folder)
    except Exception:  # NumPy, zipfile and their like raise a dozen kinds of errors over damaged files
        return False


def _remove(place: Path) -> None:
    """Remove what lies under a name that this module gives, be it a folder, a file or a link."""
    if place.is_dir() and not place.is_symlink():
        shutil.rmtree(place, ignore_errors=True)
    else:
        place.unlink(missing_ok=True)


def _sweep(kind: str) -> None:
    """Remove what killed builds left: whatever is unfinished although nobody holds its lock."""
    for folder in _folders(kind):
        if folder.name.endswith(_BUILDING):
            try:
                with _locked(kind, folder.name.removesuffix(_BUILDING), wait=False):
                    shutil.rmtree(folder, ignore_errors=True)
            except Timeout:
                continue  # it is being built right now, by another process or by this one


@contextmanager
def _locked(kind: str, key: str, *, wait: bool = True) -> Iterator[None]:
    locks = cache_root() / "locks"
    _make(locks)
    with ExitStack() as held:
        with _writing(locks):
            held.enter_context(FileLock(locks / f"{kind}-{key}.lock", timeout=-1 if wait else 0))
        yield


def _make(folder: Path) -> None:
    with _writing(folder):
        make_folder(folder)


@contextmanager
def _writing(folder: Path) -> Iterator[None]:
    """Turn an error of the system over writing in the folder into one that names the place and a remedy that fits it.

    Errors over files elsewhere, which were only read, pass.
    """
    try:
        yield
    except OSError as error:
        place = Path(str(error.filename2 or error.filename or folder))
        if error.errno is None or not (place.is_relative_to(folder) or folder.is_relative_to(place)):
            raise
        what = f"the cache cannot be written: {error.strerror}"
        if error.errno in _IN_THE_WAY:
            place = next(each for each in (place, *place.parents) if os.path.lexists(each))
            what = f"a file occupies the cache's folder ({error.strerror})"
        remedy = _REMEDIES.get(error.errno, _ELSEWHERE)
        raise DataError(what, where=str(place), remedy=remedy) from error


def _folders(kind: str) -> list[Path]:
    try:
        found = sorted((cache_root() / kind).iterdir())
    except (FileNotFoundError, NotADirectoryError):
        return []
    return [folder for folder in found if _KEY.fullmatch(folder.name.removesuffix(_BUILDING)) and folder.is_dir()]


def _kept(kind: str, folder: Path) -> Kept:
    manifest = read_manifest(folder) or {}
    unfinished = folder.name.endswith(_BUILDING)
    used = (folder if unfinished or not manifest else folder / MANIFEST).stat().st_mtime
    return Kept(
        kind=kind,
        key=folder.name.removesuffix(_BUILDING),
        source=str(manifest.get("source", "")),
        images=manifest.get("images", 0),
        size=_size(folder),
        used=used,
        whole=bool(manifest) and not unfinished,
        continues=unfinished and kind in _CONTINUED,
    )


def _size(folder: Path) -> int:
    return sum(file.stat().st_size for file in folder.rglob("*") if file.is_file())


def _touch(folder: Path) -> None:
    """Note the use; a cache that others keep read-only is used all the same."""
    try:
        os.utime(folder / MANIFEST)
    except OSError:
        return
