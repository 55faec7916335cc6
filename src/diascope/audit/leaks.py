"""Checks: one picture, or one patient or lesion, on two sides of a split. What is learned there is judged there."""

import re
from collections.abc import Iterator
from itertools import combinations

import numpy as np
from numpy.typing import NDArray

from diascope.audit.duplicates import duplicates_of
from diascope.audit.facts import Audited
from diascope.audit.pictures import write_pictures
from diascope.audit.regrouping import allowed, group_by, group_duplicates
from diascope.audit.wording import NAMED, file_actions, issue, not_applicable, passed
from diascope.core.findings import Finding, Severity
from diascope.core.text import counted

DUPLICATES, GROUPS = "leak-duplicates", "leak-groups"
_NAMES = re.compile(
    r"patient|lesion|subject|person|participant|individual|animal|case|study|exam|(^|_)group|(^|_)mrn", re.I
)
_MEMBERS = 20  # a column whose values have more images on average tells of kinds of images, not of groups
_TOLD = 0.8  # share of near-duplicates with equal values in a column, from which on it is taken for groups by any name
_PAIRS = 5  # near-duplicates that are needed to tell


def leak_duplicates(audited: Audited) -> list[Finding]:
    """Images that are equal, or nearly so, on two sides of a fold."""
    if audited.folds is None:
        return not_applicable(DUPLICATES, "No split is planned.")
    index = audited.index
    found = duplicates_of(audited)
    crossing: dict[int, set[str]] = {}
    for sides in _sides_of_folds(audited):
        for number, on in _on_two_sides(found.one, sides).items():
            crossing.setdefault(number, set()).update(on)
    if not crossing:
        return passed(DUPLICATES, "No picture is on two sides of a split, neither equal nor nearly so.")
    members = {number: np.flatnonzero(found.one == number).tolist() for number in sorted(crossing)}
    images = sum(len(rows) for rows in members.values())
    first = next(iter(members.values()))
    sentence = (
        f"{counted(len(members), 'picture')} ({counted(images, 'image')}) {'lies' if len(members) == 1 else 'lie'} on "
        f"two sides of the split, such as {index.paths[first[0]]} and {index.paths[first[1]]}: a network is judged on "
        f"what it has learned by heart. {_remedy(audited)}"
    )
    named = [[index.paths[row] for row in rows] for rows in members.values()]
    files = file_actions(
        (index.paths[row], "put on one side", f"the same picture as {index.paths[rows[0]]}, on another side")
        for rows in members.values()
        for row in rows[1:]
    )
    between = sorted({" and ".join(sorted(on)) for on in crossing.values()})
    pictures = write_pictures(audited, DUPLICATES, [("", rows[:4]) for rows in members.values()])
    return issue(
        DUPLICATES,
        _severity(audited, DUPLICATES),
        sentence,
        count=len(members),
        images=images,
        between=between,
        groups=named[:NAMED],
        files=files,
        pictures=pictures,
    )


def leak_groups(audited: Audited) -> list[Finding]:
    """A column that looks like patients or lesions, which data.group does not use, with values on two sides."""
    index = audited.index
    columns = _columns_of_groups(audited)
    if not columns:
        what = "no column looks like one" if index.columns else "the source has no columns"
        told = (
            f"No column is named as data.group, and {what}."
            if index.groups is None
            else "data.group keeps groups on one side."
        )
        return not_applicable(GROUPS, told) if index.groups is None else passed(GROUPS, told)
    if audited.folds is None:
        return not_applicable(GROUPS, f"No split is planned. A column looks like groups: {', '.join(columns)}.")
    findings = []
    for name, cells in columns.items():
        findings += _leak_of(audited, name, cells)
    leaks = [finding for finding in findings if finding.outcome == "issue"]
    return leaks or findings[:1]


def _leak_of(audited: Audited, name: str, cells: list[str]) -> list[Finding]:
    _, value = np.unique(np.array(cells), return_inverse=True)
    filled = np.array([bool(cell) for cell in cells])
    crossing: set[int] = set()
    for sides in _sides_of_folds(audited):
        kept = {side: rows[filled[rows]] for side, rows in sides.items()}
        crossing |= set(_on_two_sides(value, kept))
    total = len(set(value[filled].tolist()))
    if not crossing:
        return passed(GROUPS, f"No value of {name} is on two sides.", column=name, groups=total)
    rows = [row for row, number in enumerate(value.tolist()) if number in crossing]
    names = sorted({cells[row] for row in rows})
    grouped = "data.group is not set" if audited.config.group is None else f"data.group is {audited.config.group}"
    sentence = (
        f"{counted(len(names), 'value')} of {name} ({total:,} in all), with {counted(len(rows), 'image')}, "
        f"{'lies' if len(names) == 1 else 'lie'} on two sides of the split, such as {names[0]}: {grouped}. The same "
        f"patient or lesion is learned from and judged on. {group_by(audited, name, cells)}. If the column is "
        f"something else, accept it with {allowed(audited, GROUPS)}."
    )
    return issue(
        GROUPS,
        _severity(audited, GROUPS),
        sentence,
        column=name,
        count=len(names),
        groups=total,
        images=len(rows),
        values=names[:NAMED],
    )


def _columns_of_groups(audited: Audited) -> dict[str, list[str]]:
    columns = audited.index.columns
    return {name: cells for name, cells in columns.items() if _looks_like_groups(audited, name, cells)}


def _looks_like_groups(audited: Audited, name: str, cells: list[str]) -> bool:
    """By its name, or because near-duplicates share its values though there are many."""
    filled = [cell for cell in cells if cell]
    distinct = len(set(filled))
    if distinct == len(filled) or distinct * _MEMBERS < len(filled):
        return False
    if _NAMES.search(name):
        return True
    pairs = duplicates_of(audited).pairs
    if len(pairs) < _PAIRS or distinct * 4 < len(filled):
        return False
    return float(np.mean([cells[a] == cells[b] != "" for a, b in pairs])) >= _TOLD


def _sides_of_folds(audited: Audited) -> Iterator[dict[str, NDArray[np.int64]]]:
    assert audited.folds is not None
    for fold in audited.folds.folds:
        yield {"training": fold.training, "validation": fold.validation, "test": audited.folds.test}


def _on_two_sides(number: NDArray[np.int64], sides: dict[str, NDArray[np.int64]]) -> dict[int, set[str]]:
    """The numbers that rows on more than one side have, with these sides."""
    found: dict[int, set[str]] = {}
    for (one, rows), (other, others) in combinations(sides.items(), 2):
        for shared in np.intersect1d(number[rows], number[others]).tolist():
            found.setdefault(shared, set()).update((one, other))
    return found


def _severity(audited: Audited, code: str) -> Severity:
    return "warning" if code in audited.config.allow else "error"


def _remedy(audited: Audited) -> str:
    """With the groups that are kept or should be: a manifest that forgot them would divide them instead."""
    whole = (name for name, cells in _columns_of_groups(audited).items() if all(cells))  # others cannot be data.group
    group = audited.config.group or next(whole, None)
    together = group_duplicates(audited, group)
    first = f"{together}. Or remove" if together else "Remove"
    return f"{first} the duplicates, or accept it with {allowed(audited, DUPLICATES)}."
