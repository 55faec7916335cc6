"""Check: images that are there twice, as equal files or as files whose pixels are equal."""

from pathlib import PurePosixPath

from diascope.audit.duplicates import duplicates_of, groups_of
from diascope.audit.facts import Audited
from diascope.audit.pictures import write_pictures
from diascope.audit.wording import NAMED, file_actions, issue, passed
from diascope.core.findings import Finding
from diascope.core.text import counted

CODE = "exact-duplicates"


def exact_duplicates(audited: Audited) -> list[Finding]:
    """Groups of images with equal bytes, or with equal pixels under other names or in other lossless files."""
    index, facts = audited.index, audited.facts
    groups = [_original_first(rows, index.paths) for rows in groups_of(facts.pixel_digests)]
    if not groups:
        return passed(CODE, f"No two of the {len(index):,} images have the same pixels.", images=len(index))
    surplus = sum(len(rows) - 1 for rows in groups)
    same_files = sum(len({facts.digests[row] for row in rows}) == 1 for rows in groups)
    sentence = (
        f"{counted(len(groups), 'picture')} {'is' if len(groups) == 1 else 'are'} there more than once, with "
        f"{counted(surplus, 'image')} too many ({same_files:,} as equal files, {len(groups) - same_files:,} with equal "
        f"pixels in other files), such as {' and '.join(index.paths[row] for row in groups[0][:2])}. Keep one of each."
    )
    undecided = _under_two_labels(audited)
    waiting = [rows for rows in groups if undecided[rows[0]]]
    if waiting:
        sentence += f" {counted(len(waiting), 'picture')} of these {'stands' if len(waiting) == 1 else 'stand'} under "
        sentence += "two labels: settle the label first, or what is removed settles it by chance."
    files = file_actions(
        (index.paths[row], "remove", f"the same picture as {index.paths[rows[0]]}")
        for rows in groups
        if not undecided[rows[0]]
        for row in rows[1:]
    )
    named = [[index.paths[row] for row in rows] for rows in groups[:NAMED]]
    pictures = write_pictures(audited, CODE, [("", rows[:4]) for rows in groups])
    return issue(
        CODE,
        "warning",
        sentence,
        count=len(groups),
        surplus=surplus,
        equal_files=same_files,
        groups=named,
        files=files,
        pictures=pictures,
    )


def _original_first(rows: list[int], paths: list[str]) -> list[int]:
    """By the length of the file's name, then the alphabet: programs that copy add to it, as in `00003 (1).png`."""

    def key(row: int) -> tuple[int, str, str]:
        name = PurePosixPath(paths[row]).name
        return len(name), name, paths[row]

    return sorted(rows, key=key)


def _under_two_labels(audited: Audited) -> list[bool]:
    """Of each image whether its picture, equal or nearly so, has images of two classes."""
    pictures = duplicates_of(audited).one.tolist()
    labels: dict[int, set[int]] = {}
    for picture, label in zip(pictures, audited.index.labels.tolist(), strict=True):
        labels.setdefault(picture, set()).add(label)
    return [len(labels[picture]) > 1 for picture in pictures]
