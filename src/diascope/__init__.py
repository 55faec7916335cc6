"""Diascope: turns a folder of labelled medical images into classifiers that can be compared and trusted.

The public names are imported when they are first used, so that `import diascope` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diascope.core.version import VERSION

if TYPE_CHECKING:
    from diascope.api import open, run, test  # noqa: A004

__version__ = VERSION
__all__ = ["__version__", "open", "run", "test"]


def __getattr__(name: str) -> Any:
    if name in ("open", "run", "test"):
        return getattr(import_module("diascope.api"), name)
    raise AttributeError(f"module 'diascope' has no attribute {name!r}")
