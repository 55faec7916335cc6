"""Check: images that show nearly the same picture: mirrored, turned, cropped a little, recompressed or resized."""

from diascope.data.audit.duplicates import duplicates_of
from diascope.data.audit.facts import Audited
from diascope.data.audit.pictures import write_pictures
from diascope.data.audit.wording import NAMED, counted, file_actions, issue, not_applicable, passed
from diascope.data.index import Phantoms
from diascope.findings import Finding

CODE = "near-duplicates"


def near_duplicates(audited: Audited) -> list[Finding]:
    """Pairs whose details agree once they are aligned; those within one group of data.group are counted apart."""
    index = audited.index
    if isinstance(index.origin, Phantoms):
        return not_applicable(CODE, "Drawn images are different pictures, however alike they look.")
    found = duplicates_of(audited)
    pairs = [(int(first), int(second)) for first, second in found.pairs]
    numbers = {"compared": found.compared, "aligned": found.aligned, "blank": found.blank}
    if not pairs:
        sentence = f"No two of the {len(index):,} images show nearly the same picture."
        return passed(CODE, sentence, images=len(index), **numbers)
    within = 0 if index.groups is None else sum(index.groups[a] == index.groups[b] for a, b in pairs)
    pictures = len({found.one[first] for first, _ in pairs})
    told = "" if index.groups is None else f" ({within:,} of them within one group of data.group)"
    first, second = pairs[0]
    sentence = (
        f"{counted(len(pairs), 'pair')} of images{told} show nearly the same picture, {counted(pictures, 'picture')} in "
        f"all, such as {index.paths[first]} and {index.paths[second]}. They must not be divided between sides: keep one "
        "of each, or make each picture one group."
    )
    files = file_actions(
        (index.paths[b], "keep on the side of the other", f"nearly the same picture as {index.paths[a]}")
        for a, b in pairs
    )
    agree = [round(float(value), 3) for value in found.agreement[:NAMED]]
    return issue(
        CODE,
        "warning",
        sentence,
        count=len(pairs),
        within_groups=within,
        pictures_in_all=pictures,
        pairs=[[index.paths[a], index.paths[b]] for a, b in pairs[:NAMED]],
        agreement=agree,
        files=files,
        pictures=write_pictures(
            audited, CODE, [(f"agreement {value:.2f}", list(pair)) for pair, value in zip(pairs, agree)]
        ),
        **numbers,
    )
