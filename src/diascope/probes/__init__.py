"""Does a trained classifier cheat? Shortcut probes of a finished run, one a file; docs/probes.md says what each does."""

from diascope.probes.attribution import attribution
from diascope.probes.erasing import erasing
from diascope.probes.levels import levels
from diascope.probes.probed import Measured, Options, Probe, Probed
from diascope.probes.rim import rim
from diascope.probes.swapping import swapping

PROBES: dict[str, Probe] = {
    "rim": rim,
    "attribution": attribution,
    "erasing": erasing,
    "swapping": swapping,
    "levels": levels,
}

__all__ = ["PROBES", "Measured", "Options", "Probe", "Probed"]
