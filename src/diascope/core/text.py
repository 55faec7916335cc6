"""Counts, lists of names, durations and sizes in sentences."""

from collections.abc import Iterable
from difflib import get_close_matches


def counted(number: int, one: str, many: str = "") -> str:
    """1 image, 2,000 images; `many` where the plural is not formed with an s."""
    return f"{number:,} {one if number == 1 else many or one + 's'}"


def listed(names: Iterable[object]) -> str:
    """a, b and c; "none" for no name."""
    *most, last = [str(name) for name in names] or ["none"]
    return f"{', '.join(most)} and {last}" if most else last


def shorten(names: Iterable[str], limit: int = 20) -> str:
    """a, b and 1,200 more: the first `limit` names, and the number of the others; "nothing" for no name."""
    every = list(names)
    more = f" and {len(every) - limit:,} more" if len(every) > limit else ""
    return (", ".join(every[:limit]) or "nothing") + more


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names as a question, or all of them when none is near."""
    names = sorted(known)
    lower = {known_name.lower(): known_name for known_name in names}
    close = get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f"did you mean {lower[close[0]]!r}?" if close else f"there is {shorten(names)}"


def duration(seconds: float) -> str:
    """2 h 5 min, 3 min 20 s, 20 s, or 3.4 s: below ten seconds with one decimal, unless they are whole."""
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    if hours:
        return f"{hours} h {minutes} min"
    if minutes:
        return f"{minutes} min {rest} s"
    return f"{rest} s" if rest >= 10 else f"{round(seconds, 1):g} s"


def human_size(count: float) -> str:
    """1536 bytes -> 1.5 kB, in steps of 1024."""
    for unit in ("bytes", "kB", "MB", "GB"):
        if count < 1024:
            return f"{count:.0f} {unit}" if unit == "bytes" else f"{count:.1f} {unit}"
        count /= 1024
    return f"{count:.1f} TB"
