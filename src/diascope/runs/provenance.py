"""Where a run's numbers come from: versions, machine, time. Needed to repeat a run, not part of its identity."""

import os
import platform
import sys
from datetime import UTC, datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

import diascope

PACKAGES = ("torch", "numpy", "pillow", "scikit-learn")


def now() -> str:
    """The time in UTC, ISO 8601, to the second."""
    return datetime.now(UTC).isoformat(timespec="seconds")


def provenance(*, device: str, threads: int, precision: str) -> dict[str, Any]:
    """What is known when a run starts."""
    return {
        "diascope": diascope.__version__,
        "python": platform.python_version(),
        **{package.replace("-", "_"): _version(package) for package in PACKAGES},
        "process": os.getpid(),
        "system": f"{platform.system()} {platform.release()}",
        "processor": _processor(),
        "cores": os.cpu_count(),
        "device": device,
        "threads": threads,
        "precision": precision,
        "command": " ".join([Path(sys.argv[0]).name, *sys.argv[1:]]),
        "started": now(),
    }


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
