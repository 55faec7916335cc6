"""explain/explain.json of a run: which images were explained, and what the maps are worth. It only reads."""

import json
from pathlib import Path
from typing import Any

from diascope.runs.record import RunRecord

SCHEMA = 1
KINDS = ("right", "wrong", "least-sure")  # why an image is shown
_ONCE = {"borderline": "least-sure"}  # as it was called; of a network that hardly errs no image is near a border


def explain_json(run: RunRecord) -> Path:
    """Where the explanations of a run are listed; the files that it names lie beside it."""
    return run.folder / "explain" / "explain.json"


def read_explained(run: RunRecord) -> dict[str, Any] | None:
    """What explain.json holds; None where there is none of this very run, or a file that it names is gone."""
    listing = explain_json(run)
    try:
        found: dict[str, Any] = json.loads(listing.read_text(encoding="utf-8"))
        files = [listing.parent / case[kind] for case in found["cases"] for kind in ("png", "npz")]
        cases = [{**case, "kind": _ONCE.get(case["kind"], case["kind"])} for case in found["cases"]]
        same = (found["schema"], found["run_id"]) == (SCHEMA, run.run_id)
    except (OSError, ValueError, KeyError, TypeError):
        return None
    return {**found, "cases": cases} if same and all(file.is_file() for file in files) else None
