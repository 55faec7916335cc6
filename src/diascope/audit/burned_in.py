"""Burned-in text: which images hold it, where, of what kind, and whether that goes with the label.

Reading costs some 0.3 seconds an image, so that at most 60 images of each class are read unless all are asked for, and
what was read is remembered. What the text says is written nowhere, as it may be a patient's name.
"""

from dataclasses import dataclass
from typing import Any

import numpy as np

from diascope.audit.association import take_sample
from diascope.audit.confounders import Clue, columns_of, judge
from diascope.audit.facts import Audited
from diascope.audit.originals import originals
from diascope.audit.text_memory import Mark, TextMemory, mark_of
from diascope.audit.text_reader import TextReader, reading_time
from diascope.audit.wording import NAMED, file_actions
from diascope.core.findings import Finding
from diascope.core.seeding import stream
from diascope.core.statistics import holm
from diascope.data.index import ImageIndex, Phantoms

CODE = "burned-in-text"
PER_CLASS = 60
_SAVED_EVERY = 20  # images, so that an interrupted audit loses little


@dataclass(frozen=True)
class ReadingCost:
    """How many images are still to be read, and about how many seconds that takes on a free core."""

    images: int
    seconds: float


def reading_cost(audited: Audited) -> ReadingCost:
    """What `burned_in_text` would cost now; nothing where text cannot be read here."""
    if TextReader.missing() is not None:
        return ReadingCost(0, 0.0)
    memory, facts = TextMemory(), audited.facts
    rows = [row for row in chosen_rows(audited) if memory.get(facts.pixel_digests[row]) is None]
    seconds = sum(reading_time(int(facts.heights[row]), int(facts.widths[row])) for row in rows)
    return ReadingCost(len(rows), seconds)


def burned_in_text(audited: Audited) -> list[Finding]:
    """Read the chosen images, then say what they hold. Skipped where text cannot be read, and for drawn images."""
    missing = TextReader.missing()
    if missing is not None:
        return [_skipped(f"Burned-in text was not looked for: {missing}.")]
    rows = chosen_rows(audited)
    if not rows:
        return [_skipped("Burned-in text was not looked for in drawn images; `diascope audit --full` does.")]
    return _findings(audited, rows, _read(audited, rows))


def remembered_text(audited: Audited) -> list[Finding]:
    """The same, from what earlier audits have read; for the start of a study, where nobody wants to wait."""
    memory = TextMemory()
    marks = {
        row: found
        for row, digest in enumerate(audited.facts.pixel_digests)
        if (found := memory.get(digest)) is not None
    }
    if not marks:
        return [_skipped("Burned-in text was not looked for, as reading takes a while: `diascope audit` does, once.")]
    return _findings(audited, sorted(marks), marks)


def chosen_rows(audited: Audited) -> list[int]:
    """The rows to be read: all, or at random of each class at most 60, of as many groups as there are.

    Of drawn images none unless all are asked for: what they hold is known.
    """
    index = audited.index
    if audited.all_text:
        return list(range(len(index)))
    if isinstance(index.origin, Phantoms):
        return []
    random = stream(0, "subset", 1)
    names = index.paths if index.groups is None else index.groups
    chosen: list[int] = []
    for k in range(len(index.classes)):
        rows = random.permutation(np.flatnonzero(index.labels == k)).tolist()
        taken: dict[str, int] = {}
        turn = []
        for row in rows:  # the first image of every group, then the second ones
            turn.append(taken.get(names[row], 0))
            taken[names[row]] = turn[-1] + 1
        chosen += [rows[place] for place in np.argsort(turn, kind="stable")[:PER_CLASS].tolist()]
    return sorted(chosen)


def _read(audited: Audited, rows: list[int]) -> dict[int, list[Mark]]:
    memory, digests = TextMemory(), audited.facts.pixel_digests
    new = [row for row in rows if memory.get(digests[row]) is None]
    reader = TextReader() if new else None
    images = originals(audited.index, new, audited.config.frame)
    for count, (row, pixels) in enumerate(zip(new, images, strict=True), start=1):
        assert reader is not None
        height, width = pixels.shape[:2]
        memory.put(digests[row], [mark_of(box, height, width) for box in reader.boxes(pixels)])
        if count % _SAVED_EVERY == 0 or count == len(new):
            memory.save()
    return {row: memory.get(digests[row]) or [] for row in rows}


def _findings(audited: Audited, rows: list[int], marks: dict[int, list[Mark]]) -> list[Finding]:
    index = audited.index
    part = index.subset(rows)
    found = [row for row in rows if marks[row]]
    evidence = _evidence(index, rows, marks)
    said = (
        f"{len(found):,} of {len(rows):,} images that were read {'holds' if len(found) == 1 else 'hold'} burned-in text"
    )
    caution = "Letters that stand alone are often missed; the check of corners finds those."
    if not found:
        sentence = f"None of {len(rows):,} images that were read holds burned-in text. {caution}"
        return [Finding(code=CODE, severity="info", outcome="passed", sentence=sentence, evidence=evidence)]
    remedy = "Look whether it names patients, and crop or cover it."
    sentence = f"{said}{_places(found, marks)}. {remedy} {caution}"
    first = Finding(code=CODE, severity="info", outcome="issue", sentence=sentence, evidence=evidence)
    telling = _telling(part, [marks[row] for row in rows])
    if telling is None:
        return [first]
    update: dict[str, Any] = {"evidence": evidence | {"label": telling.evidence}}
    if telling.outcome == "issue":
        update |= {"severity": telling.severity, "sentence": f"{said}{_places(found, marks)}. {telling.sentence}"}
    return [first.model_copy(update=update)]


def _telling(part: ImageIndex, marks: list[list[Mark]]) -> Finding | None:
    """Which of presence, kind and place of text goes with the label best; None where there are too few groups."""
    sample = take_sample(part)
    if sample is None:
        return None
    largest = [max(found, key=lambda mark: mark.length) if found else None for found in marks]
    clues = [
        Clue(CODE, "Whether there is text", _REMEDY, levels=["text" if mark else "no text" for mark in largest]),
        Clue(CODE, "The kind of text", _REMEDY, levels=[mark.kind if mark else "no text" for mark in largest]),
        Clue(CODE, "The place of text", _REMEDY, levels=[mark.place if mark else "no text" for mark in largest]),
    ]
    clues = [clue for clue in clues if not clue.constant]
    found = [sample.associate(columns_of(clue, sample)) for clue in clues]
    adjusted = holm([one.p for one in found])
    said = [judge(clue, one, p, part, sample) for clue, one, p in zip(clues, found, adjusted, strict=True)]
    return max(said, key=lambda finding: (finding.outcome == "issue", finding.evidence["auroc"]), default=None)


_REMEDY = "Crop or cover it, or the network may read it instead of the disease."


def _evidence(index: ImageIndex, rows: list[int], marks: dict[int, list[Mark]]) -> dict[str, Any]:
    found = [row for row in rows if marks[row]]
    per_class = {
        name: {
            "read": int((index.labels[rows] == k).sum()),
            "with_text": sum(int(index.labels[row]) == k for row in found),
        }
        for k, name in enumerate(index.classes)
    }
    boxes = [{"path": index.paths[row], "boxes": [vars(mark) for mark in marks[row]]} for row in found[:NAMED]]
    files = file_actions((index.paths[row], "look", _why(marks[row])) for row in found)
    return {"read": len(rows), "count": len(found), "per_class": per_class, "images": boxes, "files": files}


def _why(marks: list[Mark]) -> str:
    longest = max(marks, key=lambda mark: mark.length)
    return f"burned-in text: {longest.length} characters ({longest.kind}) at {longest.place}"


def _places(found: list[int], marks: dict[int, list[Mark]]) -> str:
    places = [mark.place for row in found for mark in marks[row]]
    most = max(sorted(set(places)), key=places.count)
    return f", most often at {most}"


def _skipped(sentence: str) -> Finding:
    return Finding(code=CODE, severity="info", outcome="skipped", sentence=sentence)
