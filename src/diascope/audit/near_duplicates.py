"""Check: images that show nearly the same picture: mirrored, turned, cropped a little, recompressed or resized."""

from diascope.audit.duplicates import duplicates_of
from diascope.audit.facts import Audited
from diascope.audit.pictures import write_pictures
from diascope.audit.wording import NAMED, file_actions, issue, not_applicable, passed
from diascope.core.findings import Finding
from diascope.core.text import counted
from diascope.data.index import Phantoms

CODE = "near-duplicates"


def near_duplicates(audited: Audited) -> list[Finding]:
    """Pairs whose details agree once they are aligned.

    Those within one group of data.group are counted apart: no split divides a group, so that nothing is to be done.
    """
    index = audited.index
    if isinstance(index.origin, Phantoms):
        return not_applicable(CODE, "Drawn images are different pictures, however alike they look.")
    found = duplicates_of(audited)
    pairs = [(int(first), int(second)) for first, second in found.pairs]
    numbers = {"compared": found.compared, "aligned": found.aligned, "blank": found.blank}
    if not pairs:
        sentence = f"No two of the {len(index):,} images show nearly the same picture."
        return passed(CODE, sentence, images=len(index), **numbers)
    apart = [(a, b) for a, b in pairs if index.groups is None or index.groups[a] != index.groups[b]]
    within = len(pairs) - len(apart)
    pictures = len({found.one[first] for first, _ in pairs})
    told = "" if index.groups is None else f" ({within:,} of them within one group of data.group)"
    first, second = (apart or pairs)[0]
    remedy = (
        "They must not be divided between sides: keep one of each, or make each picture one group."
        if apart
        else "data.group keeps each of them on one side."
    )
    sentence = (
        f"{counted(len(pairs), 'pair')} of images{told} {'shows' if len(pairs) == 1 else 'show'} nearly the same "
        f"picture, {counted(pictures, 'picture')} in all, such as {index.paths[first]} and {index.paths[second]}. "
        f"{remedy}"
    )
    files = file_actions(
        (index.paths[b], "keep on the side of the other", f"nearly the same picture as {index.paths[a]}")
        for a, b in apart
    )
    agree = [round(float(value), 3) for value in found.agreement[:NAMED]]
    return issue(
        CODE,
        "warning" if apart else "info",
        sentence,
        count=len(pairs),
        within_groups=within,
        pictures_in_all=pictures,
        pairs=[[index.paths[a], index.paths[b]] for a, b in pairs[:NAMED]],
        agreement=agree,
        files=files,
        pictures=write_pictures(
            audited, CODE, [(f"agreement {value:.2f}", list(pair)) for pair, value in zip(pairs, agree, strict=False)]
        ),
        **numbers,
    )
