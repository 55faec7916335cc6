"""Where a run is trained."""

import torch

from diascope.core.errors import RunError

DEVICES = "use auto, cpu, cuda or cuda:N"


def pick_device(name: str) -> torch.device:
    """auto, cpu, cuda or cuda:N as a device that is there."""
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    try:
        device = torch.device(name)
    except RuntimeError as error:
        raise RunError("is not a device", where=f"--device {name}", remedy=DEVICES) from error
    if device.type not in ("cpu", "cuda"):
        raise RunError("is a device that Diascope cannot train on", where=f"--device {name}", remedy=DEVICES)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        raise RunError("this machine has no such usable CUDA device", where=f"--device {name}", remedy=DEVICES)
    return device
