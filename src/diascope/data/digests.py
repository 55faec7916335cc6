"""Digests of many files, remembered by (path, size, times), so that a second start need not read 300,000 images."""

import json
import os
import time
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from hashlib import blake2b
from pathlib import Path

from diascope.data.readers import os_reason
from diascope.data.store import cache_root

Entry = tuple[int, int, int, str]  # size, mtime_ns, ctime_ns, digest
_SETTLED = 2.0  # seconds: a file this fresh may change again without another time, so its digest is not remembered


def file_digests(
    files: list[Path], source: str, jobs: int, progress: Callable[[int, int], None]
) -> tuple[list[str | None], dict[int, str]]:
    """BLAKE2b of each file, None for those that cannot be opened, with the reason by their place in the list.

    `source` names the data set: each has a memory of its own. `progress(done, total)` counts the files to be read.
    """
    memory_file = cache_root() / "digests" / f"{blake2b(source.encode(), digest_size=16).hexdigest()}.json"
    memory = _remembered(memory_file)
    found: list[str | None] = [None] * len(files)
    reasons: dict[int, str] = {}
    fresh: dict[int, os.stat_result] = {}
    for place, file in enumerate(files):
        try:
            status = file.stat()
        except OSError as error:
            reasons[place] = os_reason(error)
            continue
        known = memory.get(str(file))
        if known is not None and tuple(known[:3]) == _times(status):
            found[place] = known[3]
        else:
            fresh[place] = status
    for place, digest in _read(files, list(fresh), jobs, progress):
        if isinstance(digest, str):
            found[place] = digest
        else:
            reasons[place] = os_reason(digest)
    if fresh:
        _remember(memory_file, memory, files, found, fresh)
    return found, reasons


def _times(status: os.stat_result) -> tuple[int, int, int]:
    return status.st_size, status.st_mtime_ns, status.st_ctime_ns


def _read(
    files: list[Path], places: list[int], jobs: int, progress: Callable[[int, int], None]
) -> list[tuple[int, str | OSError]]:
    results: list[tuple[int, str | OSError]] = []
    with ThreadPoolExecutor(jobs) as pool:
        for digest in pool.map(_digest, (files[place] for place in places)):
            results.append((places[len(results)], digest))
            progress(len(results), len(places))
    return results


def _digest(file: Path) -> str | OSError:
    try:
        return blake2b(file.read_bytes(), digest_size=20).hexdigest()
    except OSError as error:
        return error


def _remembered(file: Path) -> dict[str, Entry]:
    """The memory of a data set; a damaged one is as good as none."""
    try:
        content = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        return {}
    return content if isinstance(content, dict) else {}


def _remember(
    file: Path,
    memory: dict[str, Entry],
    files: list[Path],
    found: list[str | None],
    fresh: dict[int, os.stat_result],
) -> None:
    """Replace the memory in one step; of two processes that do so at once, the last one wins, which costs time only."""
    settled = (time.time() - _SETTLED) * 1e9
    kept = {str(path): memory[str(path)] for path in files if str(path) in memory}
    for place, status in fresh.items():
        kept.pop(str(files[place]), None)
        digest = found[place]
        if digest is not None and max(status.st_mtime_ns, status.st_ctime_ns) < settled:
            kept[str(files[place])] = (*_times(status), digest)
    file.parent.mkdir(parents=True, exist_ok=True)
    temporary = file.with_suffix(f".{os.getpid()}")
    temporary.write_text(json.dumps(kept), encoding="utf-8")
    temporary.replace(file)
