"""Check: files that cannot be read, and pictures whose lower part is missing though their file can be read."""

import numpy as np
from numpy.typing import NDArray

from diascope.audit.facts import Audited
from diascope.audit.pictures import write_pictures
from diascope.audit.wording import NAMED, file_actions, issue, passed
from diascope.core.findings import Finding
from diascope.core.text import counted
from diascope.data.bounds import SHRINK

UNREADABLE, INCOMPLETE = "unreadable-files", "incomplete-pictures"
_FILL = 128  # the level with which decoders of JPEG fill what a truncated file does not hold
_NEAR = 2  # levels
_MOST = 0.9  # of a row of a thumbnail that has this level


def unreadable_files(audited: Audited) -> list[Finding]:
    """Files that are missing, truncated, damaged or in no supported format."""
    unreadable = audited.unreadable or {}
    if not unreadable:
        return passed(UNREADABLE, f"All {len(audited.index):,} images can be read.")
    total = len(audited.index) + len(unreadable)
    first, why = next(iter(unreadable.items()))
    remedies = dict.fromkeys(map(_remedy, unreadable.values()))
    sentence = (
        f"{counted(len(unreadable), 'file')} of {total:,} cannot be read, such as {first} ({why}). "
        f"{' or '.join(remedies).capitalize()} {'it' if len(unreadable) == 1 else 'them'}, or pass "
        "--on-unreadable skip to run."
    )
    files = file_actions((path, _remedy(reason), reason) for path, reason in unreadable.items())
    named = dict(list(unreadable.items())[:NAMED])
    return issue(UNREADABLE, "warning", sentence, count=len(unreadable), images=total, reasons=named, files=files)


def _remedy(reason: str) -> str:
    return "shrink" if reason.endswith(SHRINK) else "replace or remove"


def incomplete_pictures(audited: Audited) -> list[Finding]:
    """Pictures that end in a band of middle gray: made from a truncated file by a program that did not say so."""
    rows = np.flatnonzero(_ends_in_fill(audited.facts.thumbnails)).tolist()
    if not rows:
        return passed(
            INCOMPLETE, "No picture ends in the flat gray that stands for the missing part of a cut-off file."
        )
    index = audited.index
    per_class = {name: sum(index.labels[row] == number for row in rows) for number, name in enumerate(index.classes)}
    per_class = {name: int(count) for name, count in per_class.items()}
    told = ", ".join(f"{count} {name}" for name, count in per_class.items() if count)
    sentence = (
        f"{counted(len(rows), 'picture')} of {len(index):,} ({told}) {'ends' if len(rows) == 1 else 'end'} in a band "
        "of flat middle gray, as decoders fill what a truncated file lacks: the originals were incomplete. "
        "Replace or remove them."
    )
    files = file_actions((index.paths[row], "replace or remove", "its lower part is missing") for row in rows)
    pictures = write_pictures(audited, INCOMPLETE, [("", rows[:6])])
    paths = [index.paths[row] for row in rows[:NAMED]]
    return issue(
        INCOMPLETE,
        "warning",
        sentence,
        count=len(rows),
        per_class=per_class,
        paths=paths,
        files=files,
        pictures=pictures,
    )


def _ends_in_fill(thumbnails: NDArray[np.uint8]) -> NDArray[np.bool_]:
    """(N,): the last row is of the filling level, the first one is not, and neither is the picture as a whole."""
    found = np.empty(len(thumbnails), bool)
    for row, image in enumerate(thumbnails):
        fill = np.abs(image.astype(np.int16) - _FILL) <= _NEAR
        found[row] = fill[-1].mean() >= _MOST and fill[0].mean() < 0.5 and fill.mean() < _MOST
    return found
