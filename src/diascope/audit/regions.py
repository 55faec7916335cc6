"""Whether the masks and boxes that lie beside the images are theirs: those of no image would be left out silently."""

from diascope.audit.facts import Audited
from diascope.audit.wording import issue, not_applicable, passed
from diascope.core.findings import Finding
from diascope.core.text import counted
from diascope.data.annotations import Annotations
from diascope.data.index import Phantoms
from diascope.data.strays import strays

CODE = "regions-of-no-image"


def regions_of_no_image(audited: Audited) -> list[Finding]:
    """One finding; a warning where none fits, a note where some do. Raises DataError for a boxes.csv with mistakes."""
    index = audited.index
    truth = Annotations(index, audited.config)
    if isinstance(index.origin, Phantoms):
        return not_applicable(CODE, "Of drawn images it is known where the finding lies.")
    images = counted(len(index), "image")
    known = sum(truth.is_known(row) for row in range(len(index)))
    found = strays(truth, index)
    if found:
        sentence = (
            f"In {truth.folder}, {', and '.join(found)}. Where the finding lies is known of {known:,} of {images}."
        )
        if not known:
            sentence += " Name them by the paths in index.csv, without leading ../ parts (docs/explain.md)."
        return issue(CODE, "info" if known else "warning", sentence, known=known)
    if known:
        return passed(CODE, f"Masks or boxes say of {known:,} of {images} where the finding lies.", known=known)
    return not_applicable(CODE, "There are no masks and no boxes.csv beside the images.")
