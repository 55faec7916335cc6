"""Files of all rooms: digests, and folders that the disk has for sure."""

import os
from functools import lru_cache
from hashlib import file_digest as digest_of_stream
from pathlib import Path


def file_digest(file: Path) -> str:
    """SHA-256, hexadecimal. A file that stays as it is is read once in a process. Raises OSError."""
    state = file.stat()
    return _digest(file.resolve(), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=4096)
def _digest(file: Path, *_state: int) -> str:
    with file.open("rb") as stream:
        return digest_of_stream(stream, "sha256").hexdigest()


def make_folder(folder: Path) -> None:
    """Make a folder, with those that it lies in; a power loss later does not take it away. Raises OSError."""
    missing = [place for place in (folder, *folder.parents) if not place.exists()]
    folder.mkdir(parents=True, exist_ok=True)
    for place in missing:
        sync_folder(place.parent)


def sync_folder(folder: Path) -> None:
    """Have the disk keep the names in a folder: those of new, renamed and removed files."""
    if os.name == "nt":  # Windows cannot open a folder; its renames are journalled
        return
    _sync(folder, os.O_RDONLY)


def sync_files(folder: Path) -> None:
    """Have the disk keep the files of a folder, with their names."""
    for file in folder.iterdir():
        _sync(file, os.O_RDWR)
    sync_folder(folder)


def _sync(place: Path, mode: int) -> None:
    descriptor = os.open(place, mode)
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)
