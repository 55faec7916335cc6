"""The report's first sentence, and what must be said loudly beside it; from a summary, in words."""

from typing import Any

from diascope.metrics import REGISTRY

NAMED = 4  # with more arms than this, the sentence names the two ends


def answer(summary: dict[str, Any]) -> str:
    """What the finished runs show, with number of runs and spread, and that chance is not ruled out."""
    metric = summary["primary"]["metric"]
    shown = [(name, arm["metrics"][metric]) for name, arm in summary["arms"].items()]
    shown = [(name, score) for name, score in shown if score["mean"] is not None]
    if not shown:
        return "No run has finished yet, so there is nothing to compare."
    shown.sort(key=lambda item: item[1]["mean"] if metric == "loss" else -item[1]["mean"])
    head = f"Mean validation {REGISTRY[metric].label} at the last epoch"
    if len(shown) > NAMED:
        first, last = shown[0], shown[-1]
        text = f"{head}, over {len(shown)} arms: from {_score(*last)} to {_score(*first)}."
    else:
        text = f"{head}: {'; '.join(_score(*item) for item in shown)}."
    if len(shown) > 1:
        text += " Whether such a difference is more than chance is not judged yet."
    return text


def warnings(summary: dict[str, Any]) -> list[str]:
    """Sentences on everything that makes the numbers less than they seem."""
    found = []
    runs = [(name, run) for name, arm in summary["arms"].items() for run in arm["runs"]]
    done = sum(run["state"] == "done" for _, run in runs)
    if done < len(runs):
        found.append(
            f"Incomplete: {done} of {len(runs)} runs are finished. All numbers are over finished runs and may change."
        )
    for state, words in _STATES.items():
        names = [f"{name} {_run_name(run)}" for name, run in runs if run["state"] == state and not run["failure"]]
        if names:
            found.append(f"{words}: {_listed(names)}.")
    found += [f"Failed: {name} {_run_name(run)} ended with {run['failure']}" for name, run in runs if run["failure"]]
    singles = [name for name, arm in summary["arms"].items() if sum(r["state"] == "done" for r in arm["runs"]) == 1]
    if singles:
        found.append(
            f"One run only: {_listed(singles)}. Another seed gives another result; one run does not show by how much."
        )
    if summary["strays"]:
        found.append(f"Not counted, since the study does not ask for them: {_listed(summary['strays'])}.")
    return found


_STATES = {
    "unfinished": "Begun but not finished",
    "missing": "Not begun",
    "stale": "Left out, because they were trained with another configuration than study.yaml now holds",
}


def _score(name: str, score: dict[str, Any]) -> str:
    if score["sd"] is None:
        return f"{name} {score['mean']:.3f} (one run)"
    return f"{name} {score['mean']:.3f}\u00a0±\u00a0{score['sd']:.3f} (SD, {score['n']} runs)"


def _run_name(run: dict[str, Any]) -> str:
    return f"fold {run['fold']} seed {run['seed']}"


def _listed(names: list[str], most: int = 6) -> str:
    more = f" and {len(names) - most} more" if len(names) > most else ""
    return ", ".join(names[:most]) + more


def reading(summary: dict[str, Any]) -> dict[str, str]:
    """Short facts that captions repeat: what is judged, on how many images, and by which runs."""
    sides, folds = summary["data"]["sides"], len(summary["data"]["folds"])
    runs = [run for arm in summary["arms"].values() for run in arm["runs"]]
    done = sum(run["state"] == "done" for run in runs)
    images = f"{sides['validation']['images']:,} images"
    return {
        "runs": f"{done} of {len(runs)}" if done < len(runs) else f"{done}",
        "validation": images if folds == 1 else f"{folds} folds of about {images} each",
        "primary": REGISTRY[summary["primary"]["metric"]].label,
    }
