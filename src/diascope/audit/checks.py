"""All checks of the audit by their order of appearance, and the audit itself: index, split -> findings."""

from collections.abc import Callable
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from diascope.audit.duplicates import find_duplicates
from diascope.audit.exact_duplicates import exact_duplicates
from diascope.audit.facts import Audited
from diascope.audit.label_conflicts import label_conflicts
from diascope.audit.leaks import leak_duplicates, leak_groups
from diascope.audit.measure import measure
from diascope.audit.near_duplicates import near_duplicates
from diascope.audit.predictors import BEFORE_A_STUDY, PREDICTORS
from diascope.audit.regions import regions_of_no_image
from diascope.audit.unreadable_files import incomplete_pictures, unreadable_files
from diascope.core.findings import Finding
from diascope.data.gray_depth import gray_depth
from diascope.data.index import ImageIndex, Phantoms
from diascope.data.threads import in_threads

if TYPE_CHECKING:
    from diascope.config import DataConfig
    from diascope.data.split import Folds

Check = Callable[[Audited], list[Finding]]
Watch = Callable[[str, int, int], None]

CHECKS: dict[str, Check] = {
    "unreadable-files": unreadable_files,
    "incomplete-pictures": incomplete_pictures,
    "regions-of-no-image": regions_of_no_image,
    "exact-duplicates": exact_duplicates,
    "near-duplicates": near_duplicates,
    "label-conflicts": label_conflicts,
    "leak-duplicates": leak_duplicates,
    "leak-groups": leak_groups,
    **PREDICTORS,
}


def audit(
    index: ImageIndex,
    config: "DataConfig",
    folds: "Folds | None" = None,
    *,
    pixels: NDArray[np.uint8] | None = None,
    unreadable: dict[str, str] | None = None,
    all_text: bool = False,
    read_text: bool = True,
    pictures: dict[str, bytes] | None = None,
    jobs: int | None = None,
    progress: Watch | None = None,
) -> list[Finding]:
    """Every check's findings, in the order of CHECKS; see `measure` and Audited for what the arguments mean.

    `folds` are those of the images that can be read; `unreadable` are reasons by path of images that `index` does not
    hold any more. Without `read_text` nothing is read for burned-in text that was not read before.
    `progress(what, done, total)` is told what is being done. Raises DataError as `measure` does.
    """
    told = progress and partial(progress, "measuring images")
    measured = measure(
        index, frame=config.frame, bits=gray_depth(index, config).bits, pixels=pixels, jobs=jobs, progress=told
    )
    if not isinstance(index.origin, Phantoms):  # here, once, where it can say how far it is
        find_duplicates(measured.facts, progress and partial(progress, "comparing images"))
    missing = (unreadable or {}) | measured.unreadable
    audited = Audited(measured.index, measured.facts, config, folds, missing, all_text, pictures)
    checks = CHECKS if read_text else CHECKS | BEFORE_A_STUDY
    found = in_threads(lambda check: check(audited), [*checks.values()], jobs or cpu_count(), chunk=1)
    return [finding for findings in found for finding in findings]
