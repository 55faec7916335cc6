"""report.html: a study for people, in one file that opens offline; with it summary.json, checklist.md and charts."""

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import cache
from itertools import count
from pathlib import Path
from typing import Any

from diascope.compare.looks import log_look
from diascope.core.errors import RunError
from diascope.core.files import write_atomic
from diascope.core.findings import Finding, outcomes
from diascope.metrics import METRICS, REGISTRY
from diascope.report.answer import head, reading, verdicts
from diascope.report.audit_page import shown_findings
from diascope.report.augmentation_words import copied_arms
from diascope.report.charts import DIAGONAL, curve_domains, measures, overlays, page_specs, write_charts
from diascope.report.checklist import checklist_markdown, checklist_section
from diascope.report.environment import TEMPLATES, environment
from diascope.report.explanations import KINDS, explained_pictures
from diascope.report.idle_keys import fitted_at_once, is_idle
from diascope.report.interval_panels import drawn_subgroups
from diascope.report.panels import ARM_COLOURS, SERIES_COLOURS, SERIES_DASH, SERIES_NAMES, SHOWN_FIRST, arm_dash_pattern
from diascope.report.probes import PROBE_MARKS, probe_pictures
from diascope.report.sample_strips import data_uri, sample_strips
from diascope.report.starts import fold_starts
from diascope.report.stopping import chosen_by
from diascope.report.summary import summarize
from diascope.report.tables import Tables, chart_tables
from diascope.runs.record import StudyRecord

OPEN_RUNS = 30  # a longer table of runs starts closed
CLASS_METRICS = ("sensitivity", "specificity", "ppv", "f1", "auroc")
READING_NAMES = {
    "convergence_validation": "epoch by which 90% of the fall of validation loss was made",
    "convergence_training": "epoch by which 90% of the fall of training loss was made",
    "overfitting": "epoch at which overfitting set in",
    "best_epoch": "epoch of the lowest validation loss",
    "final_training_accuracy": "training accuracy at the last epoch",
    "final_validation_accuracy": "validation accuracy at the last epoch",
    "final_validation_loss": "validation loss at the last epoch",
    "slope_validation_loss": "slope of validation loss over the last fifth, an epoch",
    "gap_loss": "gap between validation and training loss at the last epoch",
    "gap_accuracy": "gap between training and validation accuracy at the last epoch",
    "roughness_loss": "change of validation loss from epoch to epoch (SD)",
    "roughness_accuracy": "change of validation accuracy from epoch to epoch (SD)",
}


@dataclass(frozen=True)
class Pictures:
    """What the page shows beside the summary; images as data URIs."""

    samples: Mapping[str, list[str]] = field(default_factory=dict)  # by class
    strips: Sequence[dict[str, Any]] = ()  # of augmented images, see sample_strips
    explained: Mapping[str, Sequence[dict[str, Any]]] = field(default_factory=dict)  # by arm, see explained_pictures
    audit: Path | None = None  # the folder of the pictures that findings name
    probed: Mapping[str, list[dict[str, str]]] = field(default_factory=dict)  # by arm, see probe_pictures


def write_report(folder: Path) -> Path:
    """Write summary.json, checklist.md, charts/ (SVG and PNG) and report.html into a study folder; returns the page.

    Reads the folder alone, so the same runs give the same bytes. The look at its verdicts is logged before anything of
    it is written. Raises RunError for a folder that is no study, a damaged file in it, or a disk that does not take the
    report.
    """
    record = StudyRecord(folder)
    summary = summarize(record)
    pictures = Pictures(
        samples=sample_pictures(record),
        strips=sample_strips(record),
        explained=explained_pictures(record),
        audit=folder / "audit",
        probed=probe_pictures(record),
    )
    page = render(summary, pictures)
    seen = [(found["p"], found["verdict"]) for found in summary["comparisons"]]
    log_look(record, summary["primary"]["metric"], seen)
    try:
        write_atomic(folder / "summary.json", readable_json(summary))
        write_atomic(folder / "checklist.md", checklist_markdown(checklist_section(summary)["rows"]))
        write_charts(summary, folder / "charts")
        write_atomic(folder / "report.html", page)
    except OSError as error:
        what = f"the report cannot be written ({error.strerror}); the runs are kept"
        remedy = f"make room for it, then `diascope report {folder}`"
        raise RunError(what, where=str(folder), remedy=remedy) from error
    return folder / "report.html"


def render(summary: dict[str, Any], pictures: Pictures = Pictures()) -> str:
    """The page, from a summary and the pictures in it."""
    findings = [Finding.model_validate(found) for found in summary["findings"]]
    tables = chart_tables(summary)
    template = environment().get_template("report.html.j2")
    return str(
        template.render(
            summary=summary,
            samples=pictures.samples,
            strips=pictures.strips,
            explained=pictures.explained,
            kinds=KINDS,
            findings=shown_findings(findings, pictures.audit),
            findings_told=outcomes(findings),
            probe_pictures=pictures.probed,
            **_facts(summary),
            **_looks(summary, tables),
        )
    )


def _facts(summary: dict[str, Any]) -> dict[str, Any]:
    """What the template says beside the summary's own numbers."""
    runs = [run for arm in summary["arms"].values() for run in arm["runs"]]
    return {
        "verdicts": verdicts(summary),
        "head": head(summary),
        "test_verdicts": verdicts(summary | {"comparisons": (summary.get("test") or {}).get("comparisons", [])}),
        "finished": any(run["state"] == "done" for run in runs),
        "checklist": checklist_section(summary),
        "metrics": summary["primary"]["leading"],
        "metric_names": {name: metric.label for name, metric in REGISTRY.items()},
        "class_metrics": CLASS_METRICS,
        "classes_shown": any(arm["per_class"] for arm in summary["arms"].values()),
        "reading_names": READING_NAMES,
        "meanings": METRICS,
        "probe_marks": PROBE_MARKS,
        "base": _base(summary),
        "reading": reading(summary),
        "unit": "images" if summary["data"]["sides"]["training"]["groups"] is None else "groups",
        "validation_images": {
            name: sum(fold["validation"]["per_class"][name] for fold in summary["data"]["folds"])
            for name in summary["data"]["classes"]
        },
        "has_groups": summary["data"]["sides"]["training"]["groups"] is not None,
        "fold_starts": fold_starts(summary),
        "chosen_by": list(dict.fromkeys(chosen_by(arm["config"]["training"]) for arm in summary["arms"].values())),
        "copied": copied_arms(summary["arms"]),
        "fitted": [name for name, arm in summary["arms"].items() if fitted_at_once(arm["config"])],
        "open_runs": len(runs) <= OPEN_RUNS,
    }


def _looks(summary: dict[str, Any], tables: Tables) -> dict[str, Any]:
    """Charts, legends, style and script, and the counters of tables and figures."""
    return {
        "unequal_lengths": any(row["part"] == "left" for row in tables["means"]),
        "overlays": overlays(summary, tables),
        "measures": {name: name.replace("_", " ") for name in measures(summary, tables)},
        "arms": _arm_marks(summary),
        "series": _series_marks(),
        "domains": curve_domains(tables),
        "subgroup_charts": drawn_subgroups(summary),
        "charts": {"specs": page_specs(summary, tables), "tables": _columns(tables), "diagonal": DIAGONAL},
        "bundle": script_bundle(),
        "style": (TEMPLATES / "report.css").read_text(encoding="utf-8"),
        "script": (TEMPLATES / "report.js").read_text(encoding="utf-8"),
        "next_table": count(1).__next__,
        "next_figure": count(1).__next__,
    }


def sample_pictures(record: StudyRecord) -> dict[str, list[str]]:
    """By class, the study's sample pictures as data URIs."""
    return {name: [data_uri(path) for path in record.samples(name)] for name in record.classes}


def readable_json(tree: Any) -> str:
    """JSON with an indent, but lists of plain values on one line: a curve is not fifty lines."""
    text = json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)
    return (
        re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s*\]", lambda found: "[" + re.sub(r",\n\s+", ", ", found[1]) + "]", text) + "\n"
    )


@cache
def script_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that needs nothing else; putting it together takes a second."""
    import vl_convert

    return str(vl_convert.javascript_bundle("window.vegaEmbed = vegaEmbed;")).replace("</script", "<\\/script")


def flat(tree: Any, key: str = "") -> dict[str, Any]:
    """A nested configuration with dotted keys."""
    if not isinstance(tree, dict):
        return {key: tree}
    found: dict[str, Any] = {}
    for name, value in tree.items():
        found |= flat(value, f"{key}.{name}" if key else name)
    return found


def _base(summary: dict[str, Any]) -> dict[str, Any]:
    """The base configuration with dotted keys; how phantoms are drawn only where phantoms are drawn.

    Without keys that its network has no use for. What the author states for the checklist stands there.
    """
    config = summary["study"]["config"]
    drawn = summary["data"]["source"].startswith("phantom:")
    base = flat({name: section for name, section in config.items() if name != "report"})
    base = {key: value for key, value in base.items() if not is_idle(config, key)}
    return {key: value for key, value in base.items() if drawn or not key.startswith("data.phantom.")}


def _arm_marks(summary: dict[str, Any]) -> dict[str, dict[str, Any]]:
    """How each arm's lines look, for the page's own legend."""
    return {
        name: {"colour": ARM_COLOURS[number % len(ARM_COLOURS)], "dash": _dash(arm_dash_pattern(number))}
        for number, name in enumerate(summary["arms"])
    }


def _series_marks() -> list[dict[str, Any]]:
    return [
        {
            "param": f"show_{series}",
            "name": name,
            "colour": SERIES_COLOURS[series],
            "dash": _dash(SERIES_DASH[series]),
            "on": series in SHOWN_FIRST,
        }
        for series, name in SERIES_NAMES.items()
    ]


def _dash(pattern: list[int]) -> str:
    return "none" if pattern[1] == 0 else " ".join(map(str, pattern))


def _columns(tables: Tables) -> dict[str, dict[str, Any]]:
    """Tables as {"columns": [name, ...], "rows": [[value, ...], ...]}: names once, not once a row."""
    return {
        name: {"columns": list(rows[0]) if rows else [], "rows": [list(row.values()) for row in rows]}
        for name, rows in tables.items()
    }
