"""summary.json: every number of the report, for programs (schema 1)."""

from dataclasses import asdict
from typing import TYPE_CHECKING, Any

from diascope.compare.arms import ArmInterval
from diascope.compare.curve_sentences import curve_sentences
from diascope.compare.curves import pair_readings
from diascope.compare.primary import Primary, leading_metrics, primary_of
from diascope.compare.subgroups import Subgroup, subgroups
from diascope.compare.verdict import Comparison, compare_arms
from diascope.core.text import listed
from diascope.report.answer import answer, beside
from diascope.report.arm_summary import summarize_arm
from diascope.report.class_balance import class_balance
from diascope.report.idle_keys import fitted_at_once
from diascope.report.judged_side import add_test_scores, judged_place, summarize_test_side
from diascope.report.looks import summarize_looks
from diascope.report.modes import fails_in_evaluation
from diascope.report.probes import probe_warnings, summarize_probes
from diascope.report.search import search_warnings, summarize_search
from diascope.report.warnings import warnings
from diascope.runs.folder import RunFolder
from diascope.runs.record import StudyRecord
from diascope.runs.seal import changed_files

if TYPE_CHECKING:
    from pandas import DataFrame

SIDE = "validation"
FEW_IMAGES = 20  # a value of a subgroup with fewer images is marked
MOST_VALUES = 30  # of a column, the most frequent ones


def summarize(record: StudyRecord) -> dict[str, Any]:
    """Everything that the report shows, as plain JSON values; None stands for what is undefined.

    Scores, mean curves and pooled tables are over finished runs alone. Raises RunError for a damaged folder.
    """
    data = _data(record)
    primary = primary_of(record)
    arms = {arm.name: summarize_arm(record, arm) for arm in record.arm_configs}
    place = judged_place(record)
    add_test_scores(record, arms, place)
    on_test = [_comparison(found) for found in compare_arms(record, primary.metric, place)] if place else []
    comparisons = compare_arms(record, primary.metric)
    summary: dict[str, Any] = {
        "schema": 1,
        "study": {"name": record.study.name, "question": record.study.question, "config": _base(record)},
        "answer": "",
        "beside": "",
        "warnings": [],
        "data": data,
        "primary": _primary(record, primary),
        "arms": arms,
        "balance": class_balance(data, arms, unequal=primary.unequal),
        "comparisons": [_comparison(found) for found in comparisons],
        "seeds": list(record.seeds),
        "looks": summarize_looks(record, primary.metric, comparisons),
        "test": summarize_test_side(record, primary.metric, place, on_test),
        "curves": _curves(record, arms),
        "subgroups": [_subgroups(record, name, primary.metric) for name in record.study.report.subgroups],
        "search": summarize_search(record, arms),
        "findings": [finding.model_dump(mode="json") for finding in record.findings],
        "probes": summarize_probes(record),
        "provenance": _provenance(record),
        "integrity": _integrity(record),
        "strays": [path.relative_to(record.folder).as_posix() for path in record.strays],
    }
    warned = warnings(summary) + summary["looks"]["warnings"] + search_warnings(summary) + probe_warnings(summary)
    return summary | {"answer": answer(summary), "beside": beside(summary), "warnings": warned}


def _primary(record: StudyRecord, primary: Primary) -> dict[str, Any]:
    compare = record.study.compare
    return {
        "metric": primary.metric,
        "side": SIDE,
        "at": compare.at,
        "margin": compare.margin,
        "reason": primary.reason,
        "warning": primary.warning,
        "leading": list(leading_metrics(primary)),
    }


def _base(record: StudyRecord) -> dict[str, Any]:
    """The study's configuration apart from what names it and from its arms."""
    return record.study.model_dump(mode="json", exclude={"diascope", "name", "question", "arms"})


# ---- what may be said: comparisons, curves, subgroups ----


def _comparison(found: Comparison) -> dict[str, Any]:
    paired = [{"fold": fold, "seed": seed, "difference": value} for fold, seed, value in found.paired]
    return {**asdict(found), "paired": paired}


def _curves(record: StudyRecord, arms: dict[str, Any]) -> dict[str, Any]:
    """Two kinds of arms are left out of the sentences: arms that are fitted at once, whose one epoch is not a curve,
    and arms that fail in evaluation mode, whose losses and gaps show that fault alone."""
    pairs = [pair_readings(record, arm, against) for arm, against in record.study.pairs]
    fitted = [name for name, arm in arms.items() if fitted_at_once(arm["config"]) and arm["readings"]["runs"]]
    failing = [name for name, arm in arms.items() if fails_in_evaluation(arm)]
    curved = {
        name: arm["readings"] for name, arm in arms.items() if name not in failing and not fitted_at_once(arm["config"])
    }
    read = [pair for pair in pairs if {pair["arm"], pair["against"]} <= set(curved)]
    sentences = curve_sentences({"arms": list(curved.values()), "pairs": read})
    return {"pairs": pairs, "sentences": [*sentences, *_without_curve(fitted), *_without_reading(failing)]}


def _without_curve(fitted: list[str]) -> list[str]:
    if not fitted:
        return []
    return [f"{listed(fitted)} {'is' if len(fitted) == 1 else 'are'} fitted at once: one epoch, and no curve."]


def _without_reading(failing: list[str]) -> list[str]:
    if not failing:
        return []
    return [f"The curves of {listed(failing)} are not read, because evaluation mode fails there: see the warnings."]


def _subgroups(record: StudyRecord, column: str, primary: str) -> dict[str, Any]:
    """A column of index.csv, value by value; `found` is False where the folder was written without the column."""
    two = ("sensitivity", "specificity", "auroc") if len(record.classes) == 2 else ()
    metrics = tuple(dict.fromkeys((primary, *two)))
    found = subgroups(record, column, metrics, MOST_VALUES)
    values = [] if found is None else [_subgroup(value) for value in found]
    return {"column": column, "found": found is not None, "metrics": list(metrics), "values": values}


def _subgroup(found: Subgroup) -> dict[str, Any]:
    return {
        "value": found.value,
        "images": found.images,
        "groups": found.groups,
        "classes": list(found.classes),
        "few": found.images < FEW_IMAGES,
        "arms": {
            arm: {name: _plain(interval) for name, interval in metrics.items()} for arm, metrics in found.arms.items()
        },
    }


def _plain(found: ArmInterval) -> dict[str, Any]:
    return {**asdict(found), "n": found.cases}


# ---- data: what there is, and which side has how much of it ----


def _data(record: StudyRecord) -> dict[str, Any]:
    """Counts; `sides` describes the first fold, `folds` every one. Of the test side nothing but counts is known."""
    index = record.index.set_index("path")
    folds = [{side: _side(record, index, fold[side]) for side in ("training", SIDE)} for fold in record.folds["folds"]]
    test = _side(record, index, record.folds.get("test", []))
    sides = {**folds[0], "test": test}
    first = folds[0]
    both = {name: first["training"]["per_class"][name] + first[SIDE]["per_class"][name] for name in record.classes}
    return {
        "source": record.study.data.source,
        "images": len(index),
        "classes": list(record.classes),
        "positive": record.positive,
        "per_class": both,
        "split": record.folds.get("kind", record.study.split.kind),
        "sides": sides,
        "folds": folds,
    }


def _side(record: StudyRecord, index: "DataFrame", paths: list[str]) -> dict[str, Any]:
    rows = index.loc[paths]
    groups = int(rows["group"].nunique()) if "group" in rows and (rows["group"] != "").any() else None
    counts = rows["label"].value_counts()
    per_class = {name: int(counts.get(name, 0)) for name in record.classes}
    return {"images": len(rows), "groups": groups, "per_class": per_class}


# ---- provenance ----


def _provenance(record: StudyRecord) -> dict[str, Any]:
    """What the finished runs were made with; every value that occurs, since runs may come from several machines."""
    found = [run.provenance for run in record.runs if run.state == "done"]
    keys = dict.fromkeys(key for origin in found for key in origin if key not in ("started", "finished", "seconds"))
    started = [str(origin["started"]) for origin in found if origin.get("started")]
    finished = [str(origin["finished"]) for origin in found if origin.get("finished")]
    return {
        "values": {key: sorted({str(origin[key]) for origin in found if origin.get(key) is not None}) for key in keys},
        "started": min(started, default=None),
        "finished": max(finished, default=None),
        "seconds": sum(float(origin.get("seconds") or 0) for origin in found),
    }


def _integrity(record: StudyRecord) -> dict[str, Any]:
    """Runs whose results are as they were written; without digests, by an earlier version; with changed files."""
    finished = [run for run in record.runs if run.state == "done"]
    found = [(f"{run.arm} {run.name}", changed_files(RunFolder(run.folder))) for run in finished]
    return {
        "verified": sum(files == () for _, files in found),
        "without_digests": sum(files is None for _, files in found),
        "changed": {name: list(files) for name, files in found if files},
    }
