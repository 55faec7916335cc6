"""What the report says of a search: its trials, what mattered, and how inner and outer scores differ.

Reads DIR/search/search.json and trials.csv, which `diascope tune` writes when the search has ended.
"""

import csv
import json
from collections.abc import Iterator
from io import StringIO
from pathlib import Path
from statistics import stdev
from typing import Any

from diascope.core.csv_cells import unguard
from diascope.core.errors import RunError
from diascope.core.text import duration
from diascope.metrics import REGISTRY
from diascope.report.formats import score, setting, signed
from diascope.runs.record import StudyRecord

BEST_SHOWN = 10  # trials in the table of the best ones
TUNED, DEFAULT = "tuned", "default"  # the arms of the study that a search ends with
Row = dict[str, Any]


def summarize_search(record: StudyRecord, arms: dict[str, Any]) -> dict[str, Any] | None:
    """The search that the study came from, or None; `arms` are those of the summary. RunError for a damaged file."""
    folder = record.folder / "search"
    if not (folder / "search.json").is_file() or DEFAULT not in arms:
        return None
    try:
        found = json.loads((folder / "search.json").read_text(encoding="utf-8"))
        trials = _trials(folder / "trials.csv", found)
        optimism = {arm: _optimism(found, arm, arms) for arm in (TUNED, DEFAULT) if arm in arms}
        folds = len(record.folds["folds"])
        summary = {**found, "trials": trials, "optimism": optimism, "best_trials": _best(found, trials)}
        return {**summary, "sentences": list(_sentences(summary)), "warnings": list(_warnings(summary, folds))}
    except (OSError, ValueError, KeyError, TypeError) as error:
        what = f"damaged: {type(error).__name__}: {error}"
        remedy = "run the same `diascope tune` again: it writes it anew"
        raise RunError(what, where=str(folder), remedy=remedy) from error


# ---- the trials ----


def _trials(file: Path, found: dict[str, Any]) -> list[Row]:
    """Every trial in order; `so_far` is the best value up to it, `shown` its value or what it had when it was ended."""
    rows = list(csv.DictReader(StringIO(file.read_text(encoding="utf-8"))))
    better = min if found["lower_is_better"] else max
    so_far: float | None = None
    trials = []
    for row in rows:
        scores = [float(row[f"fold{fold}"]) for fold in range(found["folds"]) if row[f"fold{fold}"]]
        value = float(row["value"]) if row["value"] else None
        so_far = value if so_far is None else so_far if value is None else better(so_far, value)
        trials.append({
            "trial": int(row["trial"]),
            "state": row["state"],
            "value": value,
            "shown": value if value is not None else sum(scores) / len(scores) if scores else None,
            "so_far": so_far,
            "scores": scores,
            "seconds": float(row["seconds"]),
            "problem": unguard(row["problem"]),
            "values": {key: json.loads(row[key]) for key in found["space"]},
        })  # fmt: skip
    return trials


def _best(found: dict[str, Any], trials: list[Row]) -> list[Row]:
    """The best of those that were trained on every fold, equal ones in their order."""
    judged = [trial for trial in trials if trial["value"] is not None]
    sign = 1 if found["lower_is_better"] else -1
    return sorted(judged, key=lambda trial: (sign * trial["value"], trial["trial"]))[:BEST_SHOWN]


# ---- inner minus outer ----


def _optimism(found: dict[str, Any], arm: str, arms: dict[str, Any]) -> Row:
    """Inner score, mean over the seeds of the outer one of fold 0, and their difference; None where one is missing."""
    of = found["best"] if arm == TUNED else found["default"]
    inner = of["value"] if of else None
    runs = [run["last"][found["metric"]] for run in arms[arm]["runs"] if run["fold"] == 0 and run["state"] == "done"]
    scores = [value for value in runs if value is not None]
    outer = sum(scores) / len(scores) if scores else None
    difference = None if inner is None or outer is None else inner - outer
    sd = stdev(scores) if len(scores) > 1 else None
    return {"inner": inner, "outer": outer, "sd": sd, "difference": difference, "seeds": len(scores)}


# ---- words ----


def _sentences(found: dict[str, Any]) -> Iterator[str]:
    yield _what_was_done(found)
    yield _what_was_found(found)
    if (tuned := found["optimism"].get(TUNED)) and tuned["difference"] is not None:
        yield _inner_and_outer(found, tuned)
    if found["importances"]:
        ranked = sorted(found["importances"].items(), key=lambda item: -item[1])
        shares = ", ".join(f"{key} {share:.0%}" for key, share in ranked)
        yield f"How much of the differences in value goes back to each key (functional ANOVA): {shares}."


def _what_was_done(found: dict[str, Any]) -> str:
    counts, label = found["counts"], REGISTRY[found["metric"]].label
    parts = [f"{_were(counts['complete'])} trained on all {found['folds']} inner folds"]
    if counts["pruned"]:
        parts.append(f"{_were(counts['pruned'])} ended early, being below the median")
    if counts["failed"]:
        parts.append(f"{counts['failed']} failed")
    again = f" {_times(found['begun_again'])} a trial was taken up again after its command had stopped." * bool(
        found["begun_again"]
    )
    return (
        f"{sum(counts.values())} configurations were tried: {', '.join(parts)}. Training them took "
        f"{duration(found['seconds'])} in all. Each was judged by its mean {label} at the last epoch on folds made of "
        f"the training side alone.{again}"
    )


def _were(count: int) -> str:
    return f"{count} was" if count == 1 else f"{count} were"


def _times(count: int) -> str:
    return {1: "Once", 2: "Twice"}.get(count, f"{count} times")


def _what_was_found(found: dict[str, Any]) -> str:
    best, default, label = found["best"], found["default"], REGISTRY[found["metric"]].label
    if default and default["trial"] == best["trial"]:
        return f"No trial did better than the default (inner {label} {score(best['value'])}), which stays as it is."
    values = ", ".join(f"{key} {short(value)}" for key, value in best["values"].items())
    if default is None:
        against = "the default lies outside the space and was not tried"
    elif default["value"] is None:
        against = f"the default, trial {default['trial']}, did not end with a score"
    else:
        against = f"the default has {score(default['value'])}"
    return f"Trial {best['trial']} is the best: {values}. Its inner {label} is {score(best['value'])}; {against}."


def _inner_and_outer(found: dict[str, Any], tuned: Row) -> str:
    label = REGISTRY[found["metric"]].label
    seeds = "one run" if tuned["sd"] is None else f"the mean of {tuned['seeds']} runs, SD {score(tuned['sd'])}"
    text = (
        f"Trained anew on the whole training side and judged on the validation side, which no trial saw, its {label} "
        f"is {score(tuned['outer'])} ({seeds}): inner minus outer is {signed(tuned['difference'])}."
    )
    flattering = tuned["difference"] < 0 if found["lower_is_better"] else tuned["difference"] > 0
    if flattering:
        text += (
            " The inner score is the better one, as that of the best of many trials tends to be; "
            "rather believe the outer one, with its interval above."
        )
    else:
        text += " The outer score is no worse: its networks learned from more images than those of the inner folds."
    default = found["optimism"].get(DEFAULT)
    if default and default["difference"] is not None:
        same = signed(default["difference"])
        text += f" For the default, which was not chosen by its score, the same difference is {same}."
    return text


def _warnings(found: dict[str, Any], folds: int) -> Iterator[str]:
    if folds > 1:
        yield (
            "The search was made on the training side of fold 0, which holds the validation sides of the other "
            f"{folds - 1} folds: there the tuned arm is judged on images that it was chosen by. "
            "Only fold 0 is free of that."
        )


def search_warnings(summary: dict[str, Any]) -> list[str]:
    """What of a search makes the study's numbers less than they seem."""
    return list(summary["search"]["warnings"]) if summary["search"] else []


def short(value: Any) -> str:
    """A value of the space for people: three digits of a number."""
    return f"{value:.3g}" if isinstance(value, float) else setting(value)


# ---- tables of the charts ----


def search_tables(found: dict[str, Any] | None) -> dict[str, list[Row]]:
    """What the charts of search_panels.py draw; every row has a column arm, as those of the other tables."""
    if found is None:
        return {}
    return {
        "search_trials": [
            {"arm": "", **{key: trial[key] for key in ("trial", "state", "shown", "so_far")}, "values": _words(trial)}
            for trial in found["trials"]
        ],
        "search_importances": [{"arm": "", "key": key, "share": share} for key, share in found["importances"].items()],
        "search_lines": [row for trial in found["trials"] for row in _line(found, trial)],
        "search_ends": [*(row for key in found["space"] for row in _marks(found, key)), *_marks_of_values(found)],
    }


def _words(trial: Row) -> str:
    return ", ".join(f"{key} {short(value)}" for key, value in trial["values"].items())


def _line(found: dict[str, Any], trial: Row) -> Iterator[Row]:
    """The points of a trial in the parallel coordinates, from 0 to 1 along each axis; only of one with a value."""
    if trial["value"] is None:
        return
    head = {"arm": "", "trial": trial["trial"], "value": trial["value"], "values": _words(trial)}
    head |= {"best": trial["trial"] == found["best"]["trial"]}
    places = [(key, place_of(found["space"][key], value)) for key, value in trial["values"].items()]
    values = [other["value"] for other in found["trials"] if other["value"] is not None]
    low, high = min(values), max(values)
    places.append((_axis_of_values(found), (trial["value"] - low) / (high - low) if high > low else 0.5))
    for number, (key, place) in enumerate(places):
        yield {**head, "number": number, "axis": key, "place": place}


def _axis_of_values(found: dict[str, Any]) -> str:
    return f"inner {REGISTRY[found['metric']].label}"


def place_of(space: dict[str, Any], value: Any) -> float:
    """Where a value lies between the ends of its space, from 0 to 1."""
    from math import log

    if "choices" in space:
        return float(space["choices"].index(value) / (len(space["choices"]) - 1))
    scale = log if space.get("log") else float
    low, high = scale(space["low"]), scale(space["high"])
    return float((scale(value) - low) / (high - low))


def _marks(found: dict[str, Any], key: str) -> Iterator[Row]:
    """What is written along an axis: every choice, or the ends."""
    space = found["space"][key]
    for value in space.get("choices") or (space["low"], space["high"]):
        yield _mark(key, place_of(space, value), short(value))


def _marks_of_values(found: dict[str, Any]) -> Iterator[Row]:
    values = sorted(trial["value"] for trial in found["trials"] if trial["value"] is not None)
    for place, value in ((0.0, values[0]), (1.0, values[-1])) if values[-1] > values[0] else ((0.5, values[0]),):
        yield _mark(_axis_of_values(found), place, score(value))


def _mark(axis: str, place: float, text: str) -> Row:
    """Written a little beyond its place, away from the middle, where no line runs."""
    return {"arm": "", "axis": axis, "place": place + (0.06 if place > 0.5 else -0.06), "text": text}
