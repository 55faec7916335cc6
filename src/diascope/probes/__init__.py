"""Does a trained classifier cheat? Shortcut probes of a finished run, one a file; docs/probes.md describes them."""

from diascope.probes import attribution, brightness, erasing, levels, rim, swapping
from diascope.probes.probed import Measured, Options, Probe, Probed

PROBES: dict[str, Probe] = {
    "rim": rim.probe,
    "attribution": attribution.probe,
    "erasing": erasing.probe,
    "swapping": swapping.probe,
    "brightness": brightness.probe,
    "levels": levels.probe,
}

__all__ = ["PROBES", "Measured", "Options", "Probe", "Probed"]
