"""Files of all rooms: written as a whole or not at all, kept by the disk for sure, digests, arrays on disk."""

import json
import os
from collections.abc import Callable
from functools import lru_cache
from hashlib import file_digest as digest_of_stream
from io import BytesIO
from pathlib import Path
from typing import Any
from uuid import uuid4


def file_digest(file: Path) -> str:
    """SHA-256, hexadecimal. A file that stays as it is is read once in a process. Raises OSError."""
    state = file.stat()
    return _digest(file.resolve(), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=4096)
def _digest(file: Path, *_state: int) -> str:
    with file.open("rb") as stream:
        return digest_of_stream(stream, "sha256").hexdigest()


def write_atomic(path: Path, content: str | bytes, *, keep: Path | None = None) -> None:
    """Replace the file `path` as a whole; after a crash it holds the old content or the new.

    With `keep` the old content moves there first; after a crash one of the two files is whole.
    """
    make_folder(path.parent)
    data = content.encode() if isinstance(content, str) else content
    save_atomic(path, lambda temporary: temporary.write_bytes(data), keep=keep)


def save_atomic(path: Path, save: Callable[[Path], object], *, keep: Path | None = None) -> None:
    """Like `write_atomic`, for what saves itself into a file that it is given; the folder must exist."""
    temporary = path.with_name(f".{path.name}.{uuid4().hex[:8]}.tmp")
    try:
        save(temporary)
        _sync(temporary, os.O_RDWR)
        if keep is not None and path.exists():
            path.replace(keep)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
    sync_folder(path.parent)


def write_json(path: Path, tree: Any) -> None:
    """Replace `path` by `tree` as readable JSON."""
    write_atomic(path, json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False) + "\n")


def array_header(shape: tuple[int, ...], dtype: str) -> bytes:
    """The beginning of an .npy file whose rows follow in C order.

    NumPy pads it so that its length does not depend on the number of rows: it can be written again at the end.
    """
    import numpy as np

    header = BytesIO()
    described = {"descr": np.dtype(dtype).str, "fortran_order": False, "shape": shape}
    np.lib.format.write_array_header_1_0(header, described)
    return header.getvalue()


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
