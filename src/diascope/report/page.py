"""report.html: all of a study for people, in one file that opens offline; with it summary.json and charts/."""

import json
import re
from base64 import b64encode
from pathlib import Path
from typing import Any

from diascope.errors import RunError
from diascope.metrics import METRICS, REGISTRY
from diascope.report.answer import reading
from diascope.report.charts import DIAGONAL, OVERLAYS, curve_domains, page_specs, write_charts
from diascope.report.panels import ARM_COLOURS, SERIES_COLOURS, SERIES_DASH, SERIES_NAMES, SHOWN_FIRST, arm_dash_pattern
from diascope.report.summary import summarize
from diascope.report.tables import Tables, chart_tables, run_label
from diascope.runs.folder import write_atomic
from diascope.runs.record import StudyRecord

TEMPLATES = Path(__file__).parent / "templates"
OPEN_RUNS = 30  # a longer table of runs starts closed


def write_report(folder: Path) -> Path:
    """Write summary.json, charts/*.svg, charts/*.png and report.html into a study folder; returns the page's path.

    Reads the folder alone, so the same runs give the same bytes. Raises RunError for a folder that is no study, a
    damaged file in it, or a disk that does not take the report.
    """
    record = StudyRecord(folder)
    summary = summarize(record)
    page = render(summary, sample_pictures(record))
    try:
        write_atomic(folder / "summary.json", readable_json(summary))
        write_charts(summary, folder / "charts")
        write_atomic(folder / "report.html", page)
    except OSError as error:
        what = f"the report cannot be written ({error.strerror}); the runs are kept"
        remedy = f"make room for it, then `diascope report {folder}`"
        raise RunError(what, where=str(folder), remedy=remedy) from error
    return folder / "report.html"


def render(summary: dict[str, Any], samples: dict[str, list[str]]) -> str:
    """The page, from a summary and, by class, pictures as data URIs."""
    tables = chart_tables(summary)
    return str(
        _environment()
        .get_template("report.html.j2")
        .render(
            summary=summary,
            samples=samples,
            metrics=_shown_metrics(summary),
            metric_names={name: metric.label for name, metric in REGISTRY.items()},
            meanings=METRICS,
            base=_base(summary),
            overlays=OVERLAYS,
            arms=_arm_marks(summary),
            series=_series_marks(),
            domains=curve_domains(tables),
            reading=reading(summary),
            open_runs=sum(len(arm["runs"]) for arm in summary["arms"].values()) <= OPEN_RUNS,
            charts={"specs": page_specs(summary, tables), "tables": _columns(tables), "diagonal": DIAGONAL},
            bundle=script_bundle(),
            style=(TEMPLATES / "report.css").read_text(encoding="utf-8"),
            script=(TEMPLATES / "report.js").read_text(encoding="utf-8"),
        )
    )


def sample_pictures(record: StudyRecord) -> dict[str, list[str]]:
    """By class, the study's sample pictures as data URIs."""
    return {
        name: [f"data:image/png;base64,{b64encode(path.read_bytes()).decode()}" for path in record.samples(name)]
        for name in record.classes
    }


def readable_json(tree: Any) -> str:
    """JSON with an indent, but lists of plain values on one line: a curve is not fifty lines."""
    text = json.dumps(tree, indent=1, ensure_ascii=False, allow_nan=False)
    return (
        re.sub(r"\[\n\s+([^\[\]{}]*?)\n\s*\]", lambda found: "[" + re.sub(r",\n\s+", ", ", found[1]) + "]", text) + "\n"
    )


def script_bundle() -> str:
    """Vega, Vega-Lite and Vega-Embed as one script that needs nothing else."""
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
    """The base configuration with dotted keys; how phantoms are drawn only where phantoms are drawn."""
    drawn = summary["data"]["source"].startswith("phantom:")
    base = flat(summary["study"]["config"])
    return {key: value for key, value in base.items() if drawn or not key.startswith("data.phantom.")}


def _environment() -> Any:
    from jinja2 import Environment, FileSystemLoader, StrictUndefined

    environment = Environment(
        loader=FileSystemLoader(TEMPLATES),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
    )
    environment.filters |= {
        "score": _score,
        "spread": _spread,
        "value": _value,
        "duration": _duration,
        "run": run_label,
    }
    return environment


def _shown_metrics(summary: dict[str, Any]) -> list[str]:
    """The primary metric first; balanced accuracy only where it leads, being the accuracy of equal classes."""
    primary = summary["primary"]["metric"]
    return [primary, *(name for name in ("accuracy", "loss", "auroc") if name != primary)]


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


def _score(value: float | None) -> str:
    return "–" if value is None else f"{value:.3f}"


def _spread(score: dict[str, Any]) -> str:
    """A mean and its SD, as in 0.730 ± 0.013."""
    return _score(score["mean"]) + ("" if score["sd"] is None else f" ± {score['sd']:.3f}")


def _value(value: Any) -> str:
    """A configuration value as it would stand in a study file."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def _duration(seconds: float | None) -> str:
    if seconds is None:
        return "–"
    minutes, rest = divmod(round(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours} h {minutes} min" if hours else f"{minutes} min {rest} s" if minutes else f"{seconds:.1f} s"
