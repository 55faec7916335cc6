"""Runs that ended before their last planned epoch, in numbers and in words."""

from collections.abc import Mapping, Sequence
from typing import Any

from diascope.core.text import listed
from diascope.metrics import REGISTRY
from diascope.report.idle_keys import fitted_at_once

LISTED = 8  # more epochs than these are told as a range


def stopping(training: Mapping[str, Any], runs: Sequence[Mapping[str, Any]]) -> dict[str, Any] | None:
    """How early stopping ended an arm's finished runs; None for an arm without it.

    {"metric", "patience", "planned": epochs, "runs", "ended": epochs of the runs that stopped early, "restored":
    whether runs ended with the weights of their best epoch, "sentence"}; `runs` are those of summary.json.
    """
    rule = training["early_stopping"]
    if rule is None:
        return None
    done = [run for run in runs if run["state"] == "done"]
    ended = sorted(run["epochs"] for run in done if run["stopped_early"])
    restored = any(run["restored_best"] for run in done)
    found = {
        "metric": rule["metric"],
        "patience": rule["patience"],
        "planned": training["epochs"],
        "runs": len(done),
        "ended": ended,
        "restored": restored,
    }
    return {**found, "sentence": _sentence(found)}


def chosen_by(training: Mapping[str, Any]) -> str:
    """By what the best epoch of an arm's runs is chosen: the lowest validation loss, or the highest of a metric."""
    metric = REGISTRY[(training["early_stopping"] or {"metric": "loss"})["metric"]]
    return f"{'lowest' if metric.lower_is_better else 'highest'} validation {metric.label}"


def watching(summary: dict[str, Any]) -> list[str]:
    """The arms whose training looks at the validation side: to stop, or to lower the learning rate."""
    configs = {name: arm["config"] for name, arm in summary["arms"].items()}
    training = {name: config["training"] for name, config in configs.items() if not fitted_at_once(config)}
    return [
        name for name, found in training.items() if found["early_stopping"] or found["schedule"]["kind"] == "plateau"
    ]


def _sentence(found: Mapping[str, Any]) -> str:
    """Without the arm's name and a full stop; empty before a run has finished."""
    ended, runs, planned = found["ended"], found["runs"], found["planned"]
    if not runs:
        return ""
    rule = f"validation {REGISTRY[found['metric']].label} (patience {found['patience']})"
    if not ended:
        return f"no run stopped early within {planned} epochs, watching {rule}"
    one = len(ended) == 1
    which = "" if len(ended) == runs else f"{len(ended)} of {runs} runs "
    text = f"{which}stopped early at {'epoch' if one else 'epochs'} {_epochs(ended)} of {planned}, on {rule}"
    kept = "; it ended with" if one else "; each ended with"
    return text + (f"{kept} the weights of its best epoch" if found["restored"] else "")


def _epochs(ended: Sequence[int]) -> str:
    return listed(ended) if len(ended) <= LISTED else f"{ended[0]} to {ended[-1]}"


def restored_warning(arms: Mapping[str, Any]) -> str:
    """On arms that are judged by the weights of their best epoch; empty where there are none."""
    names = [name for name, arm in arms.items() if arm["stopping"] and arm["stopping"]["restored"]]
    if not names:
        return ""
    alone = "" if len(names) == len(arms) else " This favours them over the arms that are judged at their last epoch."
    return (
        f"Optimistic: the runs of {listed(names)} ended with the weights of their best epoch, and that epoch was "
        "chosen on the validation images on which they are judged here. In scores and verdicts “last epoch” means that "
        f"one for them; learning curves, and what is said of them, go on to the last epoch that was trained.{alone} "
        "The remedy is the test side (split.test, then diascope test)."
    )
