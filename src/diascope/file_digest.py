"""SHA-256 of files. A file that stays as it is is read once in a process."""

from functools import lru_cache
from hashlib import file_digest as digest_of_stream
from pathlib import Path


def file_digest(file: Path) -> str:
    """Hexadecimal. Raises OSError."""
    state = file.stat()
    return _digest(file.resolve(), state.st_ino, state.st_size, state.st_mtime_ns, state.st_ctime_ns)


@lru_cache(maxsize=4096)
def _digest(file: Path, *_state: int) -> str:
    with file.open("rb") as stream:
        return digest_of_stream(stream, "sha256").hexdigest()
