"""What commands print goes through here: names of files, classes and studies cannot steer the terminal.

A name may hold the characters with which programs move the cursor, retitle the window or turn the direction of writing.
They are shown as they are written in Python, \\x1b say.
"""

import re
import sys
from collections.abc import Iterable

from rich.console import Console, ConsoleOptions, RenderableType
from rich.segment import Segment

# Control characters but for line feed and tab, marks of direction, line separators, and what is no Unicode.
_STEERING = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u2028-\u202e\u2066-\u2069\ud800-\udfff]")


def visible(text: str) -> str:
    """The text with what would steer a terminal spelled out."""
    return _STEERING.sub(lambda found: ascii(found[0])[1:-1], text)


def say(text: object, *, error: bool = False) -> None:
    """Print a line as it is, without style or wrapping."""
    print(visible(str(text)), file=sys.stderr if error else sys.stdout)


class Terminal(Console):
    """Rich's console, whose own colours and bars alone steer the terminal."""

    def render(self, renderable: RenderableType, options: ConsoleOptions | None = None) -> Iterable[Segment]:
        for segment in super().render(renderable, options):
            yield segment if segment.control else Segment(visible(segment.text), segment.style)
