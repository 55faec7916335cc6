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


_OFFERED = ("rim", "levels-")  # codes of probes, of version 1, that took what the data offer for what a network uses
_LOWERED = (
    "The network may have a shortcut: {claims}. Whether the network uses it was not tested by the version of Diascope "
    "that probed it; `diascope probe` tests it."
)


def summarize_probes(record: StudyRecord) -> list[dict[str, Any]]:
    """An entry for each finished run that was probed: arm, fold, seed, and what its probes.json holds."""
    return [{"arm": run.arm, "fold": run.fold, "seed": run.seed, **_reread(run.probes)} for run in _probed(record)]


def _reread(probes: dict[str, Any]) -> dict[str, Any]:
    """Probes of version 1 that found no more than what the data offer: a shortcut is possible, not found."""
    found = [probe for probe in probes["probes"] if probe["evidence"]["verdict"] == "found"]
    used = [probe for probe in found if not probe["code"].startswith(_OFFERED)]
    if probes["version"] > 1 or probes["verdict"] != "shortcut found" or used:
        return probes
    claims = "; ".join(probe["evidence"]["claim"] for probe in found)
    return {**probes, "verdict": "shortcut possible", "sentence": _LOWERED.format(claims=claims)}


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
