"""What a use case tells while it works: whoever calls it may show that, log it, or hear nothing.

Events are values, told in the order in which things happen. Those of training are in `study.executors`, that of a plan
is `study.plan.Planned`, those of a search are in `app.tune`.
"""

from collections.abc import Callable
from dataclasses import dataclass


@dataclass(frozen=True)
class Progress:
    """`done` of `total` steps of something are done; `note` says which is next, where that is worth saying."""

    what: str
    done: int
    total: int
    note: str = ""


@dataclass(frozen=True)
class Notice:
    """Something to know; of a warning, something that the result stands without went wrong."""

    text: str
    warning: bool = False


Show = Callable[[object], object]


def silent(event: object) -> None:
    """Shows nothing."""


def counter(show: Show, what: str) -> Callable[[int, int], None]:
    """`count(done, total)`, which shows the progress of this."""
    return lambda done, total: show(Progress(what, done, total))  # type: ignore[return-value]
