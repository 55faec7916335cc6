"""Where a run's numbers come from: versions, machine, time. Needed to repeat a run, not part of its identity."""

import json
import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from diascope.core.version import VERSION

PACKAGES = ("torch", "timm", "numpy", "pillow", "scikit-learn")


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def command_line() -> str:
    """The command as it was given, its program by name alone."""
    return " ".join([Path(sys.argv[0]).name, *sys.argv[1:]])


def provenance(*, device: str, threads: int, precision: str) -> dict[str, Any]:
    """What is known when a run starts."""
    return {
        "diascope": VERSION,
        "python": platform.python_version(),
        **{package.replace("-", "_"): _version(package) for package in PACKAGES},
        "process": os.getpid(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": device,
        "threads": threads,
        "precision": precision,
        "command": command_line(),
        "started": now(),
    }


def continued(file: Path, here: dict[str, Any], epoch: int) -> dict[str, Any]:
    """What `file` says of the beginning of a run, with a note that it went on after `epoch`, when, and what differed.

    Another processor, device or version of torch may compute other last bits than the run would have had.
    """
    try:
        before = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError):
        before = {}
    told = {"process", "command", "started", "continued"}
    changed = {key: value for key, value in here.items() if key not in told and before.get(key, value) != value}
    note = {"after_epoch": epoch, "at": here["started"], "process": here["process"], "changed": changed}
    return {**here, **before, "process": here["process"], "continued": [*before.get("continued", []), note]}


def _version(package: str) -> str | None:
    try:
        return version(package)
    except PackageNotFoundError:
        return None


def _processor() -> str:
    cpuinfo = Path("/proc/cpuinfo")
    if cpuinfo.exists():
        for line in cpuinfo.read_text().splitlines():
            if line.startswith("model name"):
                return line.partition(":")[2].strip()
    return platform.processor() or platform.machine()
