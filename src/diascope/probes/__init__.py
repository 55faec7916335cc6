"""Does a trained classifier cheat? Shortcut probes of a finished run, one a file; docs/probes.md describes them."""

from diascope.probes import attribution, brightness, erasing, levels, periphery, swapping
from diascope.probes.subject import Measured, Options, Probe, Subject

PROBES: dict[str, Probe] = {
    "rim": periphery.probe,
    "attribution": attribution.probe,
    "erasing": erasing.probe,
    "swapping": swapping.probe,
    "brightness": brightness.probe,
    "levels": levels.probe,
}

__all__ = ["PROBES", "Measured", "Options", "Probe", "Subject"]
