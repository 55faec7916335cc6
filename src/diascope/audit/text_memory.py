"""What was read in images, remembered by their pixels: where text is and of what kind, never what it says.

CACHE/text/<key of the data set>.json    {pixel digest: [[left, top, right, bottom, length, kind, confidence], ...]}
"""

from dataclasses import astuple, dataclass
from pathlib import Path
from typing import Literal

from diascope.audit.text_reader import TextBox
from diascope.data.store import cache_root, remember, remembered

Kind = Literal["letters", "digits", "mixed", "signs"]
_VERSION = 1  # of what is remembered, and of how it is read


@dataclass(frozen=True)
class Mark:
    """A piece of text without its words: a burned-in name must not be copied into files. Places are shares of the
    image's width and height; `length` counts characters without spaces."""

    left: float
    top: float
    right: float
    bottom: float
    length: int
    kind: Kind
    confidence: float

    @property
    def place(self) -> str:
        """Which ninth of the image its middle lies in: upper left, lower, centre ..."""
        across = min(2, int((self.left + self.right) / 2 * 3))
        down = min(2, int((self.top + self.bottom) / 2 * 3))
        words = [("upper", "", "lower")[down], ("left", "", "right")[across]]
        return " ".join(word for word in words if word) or "centre"


def mark_of(box: TextBox, height: int, width: int) -> Mark:
    """What is kept of a box in an image of so many pixels."""
    signs = [sign for sign in box.text if not sign.isspace()]
    letters, digits = any(sign.isalpha() for sign in signs), any(sign.isdigit() for sign in signs)
    kind: Kind = "mixed" if letters and digits else "letters" if letters else "digits" if digits else "signs"
    left, right = round(box.left / width, 3), round(box.right / width, 3)
    top, bottom = round(box.top / height, 3), round(box.bottom / height, 3)
    return Mark(left, top, right, bottom, len(signs), kind, round(box.confidence, 3))


class TextMemory:
    """The marks of images, by the digest of their pixels, whatever data set they belong to.

    They lie in 256 files by the first two digits of the digest; a damaged file is as good as none.
    """

    def __init__(self) -> None:
        self._folder = cache_root() / "text"
        self._parts: dict[str, dict[str, list[Mark]]] = {}
        self._changed: set[str] = set()

    def get(self, digest: str) -> list[Mark] | None:
        """The marks of an image, an empty list where it was read and holds none; None where it was not read."""
        return self._part(digest[:2]).get(digest)

    def put(self, digest: str, marks: list[Mark]) -> None:
        """Remember the marks of an image, until `save` on the disk."""
        self._part(digest[:2])[digest] = marks
        self._changed.add(digest[:2])

    def save(self) -> None:
        """Replace the changed files in one step each; where they cannot be written, images are read again."""
        for name in sorted(self._changed):
            content = {digest: [astuple(mark) for mark in marks] for digest, marks in self._parts[name].items()}
            if not remember(self._file(name), content):
                return
        self._changed.clear()

    def _part(self, name: str) -> dict[str, list[Mark]]:
        if name not in self._parts:
            self._parts[name] = _read(self._file(name))
        return self._parts[name]

    def _file(self, name: str) -> Path:
        return self._folder / f"v{_VERSION}-{name}.json"


def _read(file: Path) -> dict[str, list[Mark]]:
    try:
        return {digest: [Mark(*fields) for fields in marks] for digest, marks in remembered(file).items()}
    except TypeError:  # not what this version writes
        return {}
