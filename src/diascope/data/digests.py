"""Digests of many files, remembered by (path, size, times), so that a second start need not read 300,000 images."""

import os
import time
from collections.abc import Callable
from hashlib import blake2b, file_digest

from diascope.data.image_file import MOST_BYTES, open_image
from diascope.data.readers import os_reason
from diascope.data.store import cache_root, remember, remembered
from diascope.data.threads import in_threads

FileTimes = tuple[int, int, int]  # size, mtime_ns, ctime_ns
_Entry = tuple[FileTimes, str]  # and the digest
_CHUNK = 64
SETTLED = 2.0
"""Seconds: a file this fresh may change again without another time, so what is known of it is not remembered."""


def file_digests(
    files: list[str], source: str, jobs: int, progress: Callable[[int, int], None], most: int | None = MOST_BYTES
) -> tuple[list[str | None], dict[int, str]]:
    """BLAKE2b of each file, None for those that cannot be opened, with the reason by their place in the list.

    `source` names the data set: each has a memory of its own. `progress(done, total)` counts the files to be read,
    which may have `most` bytes.
    """
    memory_file = cache_root() / "digests" / f"{blake2b(source.encode(), digest_size=16).hexdigest()}.json"
    memory: dict[str, _Entry] = remembered(memory_file)
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
    read = in_threads(lambda file: _digest(file, most), [files[place] for place in fresh], jobs, _CHUNK)
    for done, (place, digest) in enumerate(zip(fresh, read, strict=True), start=1):
        progress(done, len(fresh))
        if isinstance(digest, str):
            found[place] = digest
        else:
            reasons[place] = os_reason(digest)
    if fresh:
        settled = int((time.time() - SETTLED) * 1e9)
        learned = {files[place]: (times, found[place]) for place, times in fresh.items() if max(times[1:]) < settled}
        known_before = {file: memory[file] for file in files if file in memory}
        remember(memory_file, known_before | {file: entry for file, entry in learned.items() if entry[1] is not None})
    return found, reasons


def file_times(file: str) -> FileTimes:
    """What tells that a file is still the one that was read."""
    status = os.stat(file)
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _digest(file: str, most: int | None) -> str | OSError:
    try:
        with open_image(file, most) as stream:
            return file_digest(stream, lambda: blake2b(digest_size=20)).hexdigest()
    except OSError as error:
        return error
