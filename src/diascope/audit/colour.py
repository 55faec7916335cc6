"""Whether images are in colour that the network does not get to see."""

import numpy as np

from diascope.audit.facts import Audited
from diascope.audit.wording import issue, not_applicable, passed
from diascope.core.findings import Finding
from diascope.core.text import counted

CODE = "colour-made-gray"
TINT = 1 / 255  # of the mean of a channel against another's


def colour_made_gray(audited: Audited) -> list[Finding]:
    """One finding; nothing to look at where data.channels keeps colour."""
    if audited.config.channels == 3:
        return not_applicable(CODE, "data.channels is 3: colour is kept.")
    coloured = int((np.ptp(audited.facts.means, axis=1) > TINT).sum())
    if not coloured:
        return passed(CODE, "All images are gray, as data.channels says.")
    total = counted(len(audited.facts), "image")
    sentence = (
        f"{coloured:,} of {total} are in colour and are made gray, as data.channels is 1. Where colour may tell the "
        "classes apart, set data.channels: 3; an arm of its own shows what it is worth."
    )
    return issue(CODE, "info", sentence, count=coloured)
