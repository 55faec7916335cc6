"""What makes the numbers of a report less than they seem, to be said loudly at its top; from a summary, in words."""

from math import log
from typing import Any

from diascope.core.text import listed, shorten
from diascope.report.formats import score
from diascope.report.modes import mode_warnings
from diascope.report.starts import begun_with_arms
from diascope.report.stopping import restored_warning

_WILD = 5.0  # times the loss of a network that gives every class the same probability
_TELLING = ("-predicts-label", "-predict-label")  # ends of the codes of what tells the classes apart by itself

_NAMED = 6  # runs or arms that a warning names


def warnings(summary: dict[str, Any]) -> list[str]:
    """Sentences on everything that makes the numbers less than they seem."""
    found = [summary["primary"]["warning"]] if summary["primary"]["warning"] else []
    found += _changed_results(summary) + mode_warnings(summary["arms"])
    found += [restored] if (restored := restored_warning(summary["arms"])) else []
    found += _begun_with_best(summary)
    found += [*_known_before(summary), *_one_answer(summary), *_wild_losses(summary)]
    runs = [(name, run) for name, arm in summary["arms"].items() for run in arm["runs"]]
    done = sum(run["state"] == "done" for _, run in runs)
    if done < len(runs):
        found.append(
            f"Incomplete: {done} of {len(runs)} runs are finished. All numbers are over finished runs and may change."
        )
    for state, words in _STATES.items():
        names = [f"{name} {_run_name(run)}" for name, run in runs if run["state"] == state and not run["failure"]]
        if names:
            found.append(f"{words}: {shorten(names, _NAMED)}.")
    found += [f"Failed: {name} {_run_name(run)} ended with {run['failure']}" for name, run in runs if run["failure"]]
    singles = [name for name, arm in summary["arms"].items() if sum(r["state"] == "done" for r in arm["runs"]) == 1]
    if singles:
        found.append(
            f"One run only: {shorten(singles, _NAMED)}. Another seed gives another result; one run does not show by "
            "how much."
        )
    if summary["strays"]:
        found.append(f"Not counted, since the study does not ask for them: {shorten(summary['strays'], _NAMED)}.")
    return found


def _changed_results(summary: dict[str, Any]) -> list[str]:
    """On files that are not what a run wrote when it ended."""
    changed = [f"{run}: {', '.join(files)}" for run, files in summary["integrity"]["changed"].items()]
    if not changed:
        return []
    return [
        f"Changed, or damaged, after the run ended: {shorten(changed, _NAMED)}. The numbers of such a run are not what "
        "its training gave. Put back a copy, or delete the folder of the run and run the study again."
    ]


def _begun_with_best(summary: dict[str, Any]) -> list[str]:
    """On arms that begin with the best epoch of another one: what they know was chosen by its score."""
    begun = begun_with_arms({name: arm["config"] for name, arm in summary["arms"].items()})
    return [
        f"Optimistic: {listed(names)} began with the best epoch of {first}, which was chosen on the validation images "
        "that these scores are of; the remedy is the test side (split.test, then diascope test)."
        for first, names in begun.items()
    ]


def _known_before(summary: dict[str, Any]) -> list[str]:
    """What the audit knew before the training and bears on every score: accepted leaks, and likely shortcuts.

    Columns are left out, since they may not be seen in the images; all findings are in a section of their own.
    """
    found = [finding for finding in summary["findings"] if finding["outcome"] == "issue"]
    leaks = [finding for finding in found if finding["code"].startswith("leak-")]
    clues = [finding for finding in found if finding["severity"] == "warning" and finding["code"].endswith(_TELLING)]
    clues = [finding for finding in clues if not finding["code"].startswith("column-")]
    probe = "" if summary["probes"] else " Whether a network uses it, diascope probe tells."
    return [
        *(f"Known before the training, and accepted: {_first_sentence(finding)}" for finding in leaks),
        *(f"Known before the training: {_first_sentence(finding)}{probe}" for finding in clues),
    ]


def _first_sentence(finding: dict[str, Any]) -> str:
    return f"{finding['sentence'].split('. ')[0].removesuffix('.')}."


def _wild_losses(summary: dict[str, Any]) -> list[str]:
    """On arms that are sure of what is wrong."""
    chance = log(len(summary["data"]["classes"]))
    means = {name: arm["metrics"]["loss"]["mean"] for name, arm in summary["arms"].items()}
    wild = [f"{name} {score(mean)}" for name, mean in means.items() if mean is not None and mean > _WILD * chance]
    if not wild:
        return []
    return [
        f"Far too sure: the validation loss at the last epoch is {shorten(wild, _NAMED)}, and giving every class the "
        f"same probability would have {score(chance)}. Do not use these probabilities; try a lower learning rate, or "
        "inputs of a smaller scale."
    ]


def _one_answer(summary: dict[str, Any]) -> list[str]:
    """On arms all of whose runs give every validation image the same class, by that class."""
    found: dict[str, list[str]] = {}
    for name, arm in summary["arms"].items():
        table = arm["confusion"]["last"] or []
        called = [number for number, column in enumerate(zip(*table, strict=True)) if sum(column)]
        if len(called) == 1:
            found.setdefault(summary["data"]["classes"][called[0]], []).append(name)
    rest = "Such an arm has learned nothing that its answers show; an AUROC above 0.5 says that its probabilities do"
    return [
        f"One answer only: every run of {shorten(names, _NAMED)} called every validation image {of_class}. {rest}."
        for of_class, names in found.items()
    ]


_STATES = {
    "unfinished": "Begun but not finished",
    "missing": "Not begun",
    "stale": "Left out, because they were trained with another configuration than study.yaml now holds",
}


def _run_name(run: dict[str, Any]) -> str:
    return f"fold {run['fold']} seed {run['seed']}"
