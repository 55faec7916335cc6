"""What the networks looked at: of the first run of each arm, from the files that the end of a study leaves."""

from typing import Any

from diascope.report.sample_strips import data_uri
from diascope.runs.explained import explain_json, read_explained
from diascope.runs.record import RunRecord, StudyRecord

KINDS = {
    "right": "right, surest first",
    "wrong": "wrong, surest first",
    "least-sure": "least sure first",
}


def summarize_explanations(record: StudyRecord, runs: tuple[RunRecord, ...]) -> dict[str, Any] | None:
    """What explain.json of the first run says, with its pictures' paths in the study folder; None without one."""
    found = _of_first(runs)
    if found is None:
        return None
    run, tree = found
    folder = explain_json(run).parent.relative_to(record.folder).as_posix()
    cases = [{**case, "png": f"{folder}/{case['png']}", "npz": f"{folder}/{case['npz']}"} for case in tree["cases"]]
    return {"run": run.name, **{key: value for key, value in tree.items() if key != "schema"}, "cases": cases}


def explained_pictures(record: StudyRecord) -> dict[str, list[dict[str, Any]]]:
    """By arm, for each class {"class": name, "kinds": {kind: [{"src": data URI, "alt": words}]}}."""
    found = {arm: _of_first(record.runs_of(arm)) for arm in record.arms}
    return {arm: _by_class(record, *of_arm) for arm, of_arm in found.items() if of_arm is not None}


def _by_class(record: StudyRecord, run: RunRecord, tree: dict[str, Any]) -> list[dict[str, Any]]:
    folder = explain_json(run).parent
    rows = []
    for name in record.classes:
        kinds: dict[str, list[dict[str, str]]] = {}
        for case in tree["cases"]:
            if case["true"] == name:
                alt = (
                    f"{case['path']}: true {name}, predicted {case['predicted']} with probability "
                    f"{case['probability']:.2f}; beside it the {tree['title']} map for {case['predicted']}"
                )
                kinds.setdefault(case["kind"], []).append({"src": data_uri(folder / case["png"]), "alt": alt})
        rows.append({"class": name, "kinds": kinds})
    return rows


def _of_first(runs: tuple[RunRecord, ...]) -> tuple[RunRecord, dict[str, Any]] | None:
    if not runs or runs[0].state != "done":
        return None
    tree = read_explained(runs[0])
    return None if tree is None else (runs[0], tree)
