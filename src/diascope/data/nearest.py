"""The known name that an unknown one was probably meant to be."""

from collections.abc import Iterable
from difflib import get_close_matches


def did_you_mean(name: str, known: Iterable[str]) -> str:
    """The nearest of the known names as a question, or all of them when none is near."""
    names = sorted(known)
    lower = {known_name.lower(): known_name for known_name in names}
    close = get_close_matches(name.lower(), lower, n=1, cutoff=0.6)
    return f"did you mean {lower[close[0]]!r}?" if close else f"there is {shorten(names)}"


def shorten(names: Iterable[str], limit: int = 20) -> str:
    """The names in one line; of many the first ones and how many more there are."""
    every = list(names)
    more = f" and {len(every) - limit:,} more" if len(every) > limit else ""
    return (", ".join(every[:limit]) or "nothing") + more
