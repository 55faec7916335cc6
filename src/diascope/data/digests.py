"""Digests of many files, remembered by (path, size, times), so that a second start need not read 300,000 images."""

import json
import os
import time
from collections.abc import Callable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

from diascope.data.readers import os_reason
from diascope.data.store import cache_root

FileTimes = tuple[int, int, int]  # size, mtime_ns, ctime_ns
_Entry = tuple[FileTimes, str]  # and the digest
_CHUNK = 64
SETTLED = 2.0
"""Seconds: a file this fresh may change again without another time, so what is known of it is not remembered."""


def file_digests(
    files: list[str], source: str, jobs: int, progress: Callable[[int, int], None]
) -> tuple[list[str | None], dict[int, str]]:
    """BLAKE2b of each file, None for those that cannot be opened, with the reason by their place in the list.

    `source` names the data set: each has a memory of its own. `progress(done, total)` counts the files to be read.
    """
    memory_file = cache_root() / "digests" / f"{blake2b(source.encode(), digest_size=16).hexdigest()}.json"
    memory = _remembered(memory_file)
    found: list[str | None] = [None] * len(files)
    reasons: dict[int, str] = {}
    fresh: dict[int, FileTimes] = {}
    for place, file in enumerate(files):
        try:
            times = file_times(file)
        except OSError as error:
            reasons[place] = os_reason(error)
            continue
        known = memory.get(file)
        if known is not None and tuple(known[0]) == times:
            found[place] = known[1]
        else:
            fresh[place] = times
    for place, digest in _read(files, list(fresh), jobs, progress):
        if isinstance(digest, str):
            found[place] = digest
        else:
            reasons[place] = os_reason(digest)
    if fresh:
        settled = int((time.time() - SETTLED) * 1e9)
        learned = {files[place]: (times, found[place]) for place, times in fresh.items() if max(times[1:]) < settled}
        known_before = {file: memory[file] for file in files if file in memory}
        _remember(memory_file, known_before | {file: entry for file, entry in learned.items() if entry[1] is not None})
    return found, reasons


def file_times(file: str) -> FileTimes:
    """What tells that a file is still the one that was read."""
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(
    files: list[str], places: list[int], jobs: int, progress: Callable[[int, int], None]
) -> Iterator[tuple[int, str | OSError]]:
    def read_chunk(start: int) -> list[tuple[int, str | OSError]]:
        return [(place, _digest(files[place])) for place in places[start : start + _CHUNK]]

    done = 0
    with ThreadPoolExecutor(jobs) as pool:
        try:
            for chunk in pool.map(read_chunk, range(0, len(places), _CHUNK)):
                yield from chunk
                done += len(chunk)
                progress(done, len(places))
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C: do not read the rest first


def _digest(file: str) -> str | OSError:
    try:
        return blake2b(Path(file).read_bytes(), digest_size=20).hexdigest()
    except OSError as error:
        return error


def _remembered(file: Path) -> dict[str, _Entry]:
    """The memory of a data set; a damaged one is as good as none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(file: Path, entries: Mapping[str, tuple[FileTimes, str | None]]) -> None:
    """Replace the memory in one step. Of two processes that do so at once the last one wins, and where it cannot be
    written there is none: both cost time only.
    """
    temporary = file.with_suffix(f".{os.getpid()}")
    try:
        file.parent.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps(entries), encoding="utf-8")
        temporary.replace(file)
    except OSError:
        return
