"""The folder of real images that DIASCOPE_REAL_DATA names; tests that need it are skipped without it."""

import os
from pathlib import Path

import pytest

_named = os.environ.get("DIASCOPE_REAL_DATA", "")
REAL = Path(_named or "absent")

needs_real_data = pytest.mark.skipif(not _named, reason="DIASCOPE_REAL_DATA is not set")
