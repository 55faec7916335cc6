"""What shortcut probes found, for the report: from the probes.json of the runs that were probed."""

from typing import Any

from diascope.report.sample_strips import data_uri
from diascope.runs.record import RunRecord, StudyRecord

PROBE_MARKS = {  # by judgement: a sign that is told apart without colour, and a class of the page's style
    "shortcut found": ("✗", "found"),
    "shortcut possible": ("!", "possible"),
    "none found by these probes": ("✓", "none"),
    "cannot tell": ("?", "cannot-tell"),
}


def summarize_probes(record: StudyRecord) -> list[dict[str, Any]]:
    """An entry for each finished run that was probed: arm, fold, seed, and what its probes.json holds."""
    return [{"arm": run.arm, "fold": run.fold, "seed": run.seed, **run.probes} for run in _probed(record)]


def probe_warnings(summary: dict[str, Any]) -> list[str]:
    """A sentence for each run in which a shortcut was found."""
    return [
        f"A shortcut was found in {found['arm']} (fold {found['fold']} seed {found['seed']}). {found['sentence']} Its "
        "scores say how well it reads the shortcut, not what it would do without."
        for found in summary["probes"]
        if found["verdict"] == "shortcut found"
    ]


def probe_pictures(record: StudyRecord) -> dict[str, list[dict[str, str]]]:
    """By `<arm> <fold> <seed>`, what the probes did: {"caption", "picture": data URI} each; those that are there."""
    return {
        f"{run.arm} {run.fold} {run.seed}": [
            {"caption": picture["caption"], "picture": data_uri(run.folder / picture["file"])}
            for picture in run.probes["pictures"]
            if (run.folder / picture["file"]).is_file()
        ]
        for run in _probed(record)
    }


def _probed(record: StudyRecord) -> list[RunRecord]:
    return [run for run in record.runs if run.state == "done" and run.probes]
