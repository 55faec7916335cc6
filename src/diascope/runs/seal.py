"""The seal of a finished run: SHA-256 of its results in done.json, checked wherever they are used.

It shows damage and changes by hand. Who rewrites done.json as well is not found out: see SECURITY.md.
"""

import json
from pathlib import Path

from diascope.core.errors import RunError
from diascope.core.files import file_digest
from diascope.runs.folder import RunFolder
from diascope.runs.judged_rows import digest_of_trained_rows

KEY = "sha256"


def digests(folder: RunFolder) -> dict[str, str]:
    """Of the results of a run, by file name; of predictions.csv without the test side, which comes later."""
    files = (folder.config, folder.history, folder.last, folder.best, folder.statistics)
    found = {file.name: file_digest(file) for file in files if file.exists()}
    return {**found, folder.predictions.name: digest_of_trained_rows(folder.predictions)}


def changed_files(folder: RunFolder) -> tuple[str, ...] | None:
    """Names of results that are not as they were written, or gone; None of a run that an earlier version finished."""
    sealed = _sealed(folder)
    if not sealed:
        return None
    return tuple(name for name, digest in sealed.items() if _digest(folder, name) != digest)


def refuse_changed(folder: RunFolder, *files: Path) -> None:
    """Raise RunError where one of these results of a finished run is not as it was written. One may be gone."""
    sealed = _sealed(folder)
    for file in files:
        if file.name in sealed and _digest(folder, file.name) not in (sealed[file.name], None):
            what = "was changed, or damaged, after the run ended (its SHA-256 is not the one in done.json)"
            remedy = f"put back a copy, or delete the folder {folder.path} and run the study again"
            raise RunError(what, where=str(file), remedy=remedy)


def _sealed(folder: RunFolder) -> dict[str, str]:
    try:
        found = json.loads(folder.done.read_text(encoding="utf-8")).get(KEY)
    except (OSError, ValueError, AttributeError):
        return {}
    return found if isinstance(found, dict) else {}


def _digest(folder: RunFolder, name: str) -> str | None:
    """None of a file that cannot be read."""
    file = folder.path / Path(name).name
    try:
        return digest_of_trained_rows(file) if file == folder.predictions else file_digest(file)
    except (OSError, RunError):
        return None
