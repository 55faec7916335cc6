"""Logs whose entries are chained: each holds the digest of the one before, so that one that is taken out is missed.

What is taken off the end is not missed, and who writes all entries anew is not found out: see SECURITY.md.
"""

from collections.abc import Sequence
from hashlib import sha256
from itertools import pairwise
from typing import Any, ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict

Entry = TypeVar("Entry", bound="Chained")


class Chained(BaseModel):
    """An entry of a log. `before` is the digest of the entry before it: empty of the first, and of earlier versions.

    LATER names what is added when the entry is in the log already, which has no part in its digest.
    """

    model_config = ConfigDict(frozen=True)
    LATER: ClassVar[Any] = ()

    before: str = ""

    def digest(self) -> str:
        """SHA-256, hexadecimal; of what it says beside the defaults, so that later versions may add fields."""
        text = self.model_dump_json(exclude=self.LATER or None, exclude_defaults=True)
        return sha256(text.encode()).hexdigest()


def following(log: Sequence[Entry], entry: Entry) -> Entry:
    """The entry as it is added to the log."""
    return entry.model_copy(update={"before": log[-1].digest()}) if log else entry


def missing_before(log: Sequence[Chained]) -> list[int]:
    """Places in the log, from 0, of entries that do not follow the one before them: what was there is gone or changed.

    Entries of earlier versions, which hold no digest, are not judged.
    """
    first = [0] if log and log[0].before else []
    return first + [place for place, (one, two) in enumerate(pairwise(log), 1) if two.before not in ("", one.digest())]
