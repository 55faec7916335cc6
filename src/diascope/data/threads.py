"""Many small pieces of work by a few threads, results in order; whoever stops listening stops the work."""

from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from typing import TypeVar

Item = TypeVar("Item")
Result = TypeVar("Result")


def in_threads(
    function: Callable[[Item], Result], items: Sequence[Item], jobs: int, chunk: int = 16
) -> Iterator[Result]:
    """`function` of each item, in order, `chunk` items at a time handed to one of `jobs` threads.

    Threads, because Pillow, NumPy on large arrays, and reading let go of the interpreter's lock.
    """

    def chunk_from(start: int) -> list[Result]:
        return [function(item) for item in items[start : start + chunk]]

    with ThreadPoolExecutor(jobs) as pool:
        try:
            for results in pool.map(chunk_from, range(0, len(items), chunk)):
                yield from results
        finally:
            pool.shutdown(wait=False, cancel_futures=True)  # Ctrl-C, a full disk: do not do the rest first
