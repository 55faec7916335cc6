"""Whether gray images of 16 bits use all of them, and what they are read with."""

from diascope.audit.facts import Audited
from diascope.audit.wording import issue, not_applicable, passed
from diascope.core.findings import Finding
from diascope.core.text import counted
from diascope.data.gray_depth import depth_of, gray_depth

CODE = "deep-gray"
FEW_LEVELS = 32  # of 256 that nearly all pixels share, where a few bright ones set the depth


def deep_gray(audited: Audited) -> list[Finding]:
    """One finding; nothing to look at without gray PNG, TIFF or npz images of 16 bits."""
    depth = gray_depth(audited.index, audited.config)
    if not depth.images:
        return not_applicable(CODE, "No PNG, TIFF or npz image is gray with 16 bits.")
    images, top = counted(depth.images, "image"), 2**depth.bits - 1
    numbers = {"bits": depth.bits, "images": depth.images, "maximum": depth.maximum, "usual": depth.usual}
    told = f"{images} of 16 bits, gray, with a largest value of {depth.maximum:,}"
    if depth.maximum > top:
        sentence = (
            f"{told}, are read with data.bits {depth.bits}: all above {top:,} is white. "
            f"Set data.bits to auto or {depth.used} to keep it."
        )
        return issue(CODE, "warning", sentence, **numbers)
    levels = round(depth.usual / top * 255) + 1
    if levels < FEW_LEVELS:
        sentence = (
            f"{told}, are read with {depth.bits} bits, but 99.9% of the pixels of each image stay at or below "
            f"{depth.usual:,}: nearly all of an image arrives in {levels} of 256 gray levels. Where the brightest "
            f"pixels are marks or faults, set data.bits: {depth_of(depth.usual)}; what is brighter becomes white."
        )
        return issue(CODE, "warning", sentence, **numbers)
    if depth.bits < 16:
        sentence = f"{told}, are read with {depth.bits} bits: {top:,} is white. data.bits sets another depth."
        return issue(CODE, "info", sentence, **numbers)
    return passed(CODE, f"{told}, use all their bits.")
