"""Check: one picture under two labels."""

from collections import Counter

from diascope.audit.duplicates import duplicates_of, groups_of
from diascope.audit.facts import Audited
from diascope.audit.pictures import write_pictures
from diascope.audit.wording import NAMED, file_actions, issue, passed
from diascope.core.findings import Finding
from diascope.core.text import counted

CODE = "label-conflicts"


def label_conflicts(audited: Audited) -> list[Finding]:
    """Images that are equal, or nearly so, and of different classes: one of the labels is wrong."""
    index = audited.index
    found = duplicates_of(audited)
    equal = [(rows[0], row) for rows in groups_of(audited.facts.pixel_digests) for row in rows[1:]]
    pairs = [*equal, *((int(a), int(b)) for a, b in found.pairs)]
    conflicts = [(a, b) for a, b in pairs if index.labels[a] != index.labels[b]]
    if not conflicts:
        sentence = "No picture stands under two labels."
        return passed(CODE, sentence, pairs=len(pairs))
    label = [index.classes[number] for number in index.labels.tolist()]
    same = sum(pair in set(equal) for pair in conflicts)
    between = Counter(tuple(sorted((label[a], label[b]))) for a, b in conflicts)
    told = ", ".join(f"{count} between {one} and {other}" for (one, other), count in between.most_common(3))
    first, second = conflicts[0]
    show = "shows" if len(conflicts) == 1 else "show"
    sentence = (
        f"{counted(len(conflicts), 'pair')} of images {show} the same picture under two labels ({told}; {same:,} with "
        f"equal pixels), such as {index.paths[first]} ({label[first]}) and {index.paths[second]} ({label[second]}). "
        "One of the labels is wrong: correct it, or remove both."
    )
    files = file_actions(
        (
            index.paths[row],
            "correct the label",
            f"labelled {label[row]}; the same picture, {index.paths[other]}, {label[other]}",
        )
        for a, b in conflicts
        for row, other in ((a, b), (b, a))
    )
    named = [[{"path": index.paths[row], "label": label[row]} for row in pair] for pair in conflicts[:NAMED]]
    pictures = write_pictures(audited, CODE, [("", list(pair)) for pair in conflicts])
    return issue(
        CODE,
        "warning",
        sentence,
        count=len(conflicts),
        equal_pixels=same,
        pairs=named,
        files=files,
        pictures=pictures,
    )
