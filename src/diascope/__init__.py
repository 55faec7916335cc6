"""Diascope: turns a folder of labelled medical images into classifiers that can be compared and trusted.

The public names are imported when they are first used, so that `import diascope` stays light.
"""

from importlib import import_module
from typing import TYPE_CHECKING, Any

from diascope.core.version import VERSION

if TYPE_CHECKING:
    from diascope.api import open, run, test  # noqa: A004
    from diascope.predict.predictor import Predictor

__version__ = VERSION
__all__ = ["Predictor", "__version__", "open", "run", "test"]

_LIES_IN = {
    "open": "diascope.api",
    "run": "diascope.api",
    "test": "diascope.api",
    "Predictor": "diascope.predict.predictor",
}


def __getattr__(name: str) -> Any:
    if name in _LIES_IN:
        return getattr(import_module(_LIES_IN[name]), name)
    raise AttributeError(f"module 'diascope' has no attribute {name!r}")
