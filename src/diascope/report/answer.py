"""The report's answer; from a summary, in words.

The answer is the verdict of the primary metric: a sentence that can be quoted for one pair of arms, a line a pair for
more, and without pairs each arm's mean with its interval.
"""

from typing import Any

from diascope.compare.wording import NO_BREAK
from diascope.metrics import REGISTRY
from diascope.report.formats import estimate, interval, p_value, score, signed
from diascope.report.modes import fails_in_evaluation

# Told apart without colour.
MARKS = {"better": "▲", "worse": "▼", "equivalent": "=", "not shown": "○", "shortcut": "✗", "evaluation": "✗"}
LEADS = ("balanced_accuracy", "auroc")  # with unequal classes
MOST_BESIDE = 5  # arms whose further scores the answer names
NOTHING = "No run has finished yet, so there is nothing to compare."


def answer(summary: dict[str, Any]) -> str:
    """One line, or one a pair of arms under a head, as plain text."""
    comparisons = summary["comparisons"]
    if not any(_is_done(run) for arm in summary["arms"].values() for run in arm["runs"]):
        return NOTHING
    if len(comparisons) == 1:
        (found,) = verdicts(summary)
        doubt = f" But {found['title']}." if found["verdict"] == "evaluation" else ""
        return f"{comparisons[0]['sentence']}{doubt}"
    if not comparisons:
        return "\n".join(_of_arm(summary, name) for name in summary["arms"])
    return "\n".join([f"{head(summary)}:", *(f"{found['mark']} {found['text']}" for found in verdicts(summary))])


def beside(summary: dict[str, Any]) -> str:
    """With unequal classes: what else does not reward answering the frequent class, and why it leads."""
    finished = any(_is_done(run) for arm in summary["arms"].values() for run in arm["runs"])
    if not summary["balance"]["unequal"] or not finished:
        return ""
    primary = summary["primary"]["metric"]
    told = [_of_all(summary, name) for name in LEADS if name != primary]
    return " ".join(told if primary == "accuracy" else [*told, _why(summary["balance"]["always"])])


def _of_all(summary: dict[str, Any], metric: str) -> str:
    """The metric of all arms, or of many arms the lowest and the highest."""
    found = {name: arm["metrics"][metric] for name, arm in summary["arms"].items()}
    label = f"{REGISTRY[metric].label[0].upper()}{REGISTRY[metric].label[1:]}"
    if len(found) <= MOST_BESIDE:
        return f"{label}: {', '.join(f'{name} {estimate(scores)}' for name, scores in found.items())}."
    means = sorted((scores["mean"], name) for name, scores in found.items() if scores["mean"] is not None)
    ends = [f"{name} {score(mean)}" for mean, name in (means[0], means[-1])] if means else ["–", "–"]
    return f"{label}: from {ends[0]} to {ends[1]}."


def _why(always: dict[str, Any]) -> str:
    return (
        "Balanced accuracy and AUROC stand first, not accuracy, because the classes are unequal: always answering "
        f"{always['class']} would have an accuracy of {score(always['accuracy'])} on the validation side, a balanced "
        f"accuracy of {score(always['balanced_accuracy'])} and an AUROC of 0.500."
    )


def head(summary: dict[str, Any]) -> str:
    """What the lines of several pairs are about."""
    count = sum(found["p_holm"] is not None for found in summary["comparisons"])
    holm = f", p after Holm over {count} pairs" if count > 1 else ""
    looks = summary["looks"]
    several = looks["number"] is not None and (looks["number"] > 1 or looks["planned"])
    look = f"; at look {looks['number']} a verdict takes p ≤ {looks['boundary']:.2g}" if several else ""
    return f"{measured(summary)[0].upper()}{measured(summary)[1:]}, differences with 95% intervals{holm}{look}"


def measured(summary: dict[str, Any]) -> str:
    return f"validation {REGISTRY[summary['primary']['metric']].label} at the last epoch"


def verdicts(summary: dict[str, Any]) -> list[dict[str, str]]:
    """Of every pair: the verdict, its mark, a title such as `dropout is better than baseline`, and a short line.

    An arm in which probes found a shortcut is never called better: it scores higher. Nor is one that fails in
    evaluation mode ever called worse.
    """
    failing = {name for name, arm in summary["arms"].items() if fails_in_evaluation(arm)}
    cheating = {probed["arm"] for probed in summary["probes"] if probed["verdict"] == "shortcut found"}
    return [_verdict(found, summary["primary"]["margin"], cheating, failing) for found in summary["comparisons"]]


def _verdict(found: dict[str, Any], margin: float | None, cheating: set[str], failing: set[str]) -> dict[str, str]:
    verdict, title = found["verdict"], _title(found, margin)
    higher, lower = found["arm"], found["against"]
    if verdict == "worse":
        higher, lower = lower, higher
    if verdict in ("better", "worse") and higher in cheating:
        verdict, title = "shortcut", f"{higher} scores higher than {lower}, but has a shortcut"
    elif verdict in ("better", "worse") and lower in failing:
        verdict, title = "evaluation", f"{lower} scores lower than {higher}, but fails in evaluation mode"
    text = title if found["difference"] is None else f"{title}: {_numbers(found)}"
    return {"verdict": verdict, "mark": MARKS[verdict], "title": title, "text": text}


def _title(found: dict[str, Any], margin: float | None) -> str:
    arm, against = found["arm"], found["against"]
    if found["verdict"] in ("better", "worse"):
        return f"{arm} is {found['verdict']} than {against}"
    if found["verdict"] == "equivalent":
        return f"{arm} and {against} are equivalent within ±{margin:g}"
    if found["difference"] is None:
        return f"{arm} and {against} cannot be compared yet"
    if found["runs"] == 1:
        return f"One run each cannot show whether {arm} or {against} is better"
    return f"No difference shown between {arm} and {against}"


def _numbers(found: dict[str, Any]) -> str:
    if found["low"] is None:
        return f"{signed(found['difference'])}, without an interval"
    between = interval(found, sign=True)
    if found["p_holm"] is None:
        return f"{signed(found['difference'])} ({between})"
    p = p_value(found["p_holm"])
    tested = f"p {p if p.startswith('<') else '= ' + p}".replace(" ", NO_BREAK)
    return f"{signed(found['difference'])} ({between}; {tested})"


def _of_arm(summary: dict[str, Any], name: str) -> str:
    """A mean with interval and size, for an arm that is compared with none."""
    found, what = summary["arms"][name]["metrics"][summary["primary"]["metric"]], measured(summary)
    if found["mean"] is None:
        finished = any(_is_done(run) for run in summary["arms"][name]["runs"])
        return f"{name}: {what} is undefined." if finished else f"{name}: no run has finished yet."
    runs = f"{found['n']} run{'s' * (found['n'] != 1)}"
    images = f"{summary['data']['sides']['validation']['images']:,} images"
    size = f"{runs}, {images if len(summary['data']['folds']) == 1 else 'cross-validated'}"
    mean = f"{name}: {'mean ' * (found['n'] > 1)}{what} {score(found['mean'])}"
    if interval(found) == interval({}):
        return f"{mean} ({size}), without an interval."
    return f"{mean} (95% CI {interval(found)}; {size})."


def _is_done(run: dict[str, Any]) -> bool:
    return bool(run["state"] == "done")


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
