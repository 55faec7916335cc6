"""The report's charts: specifications without data for the page, and finished SVG and PNG files."""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from math import ceil, floor
from pathlib import Path
from typing import Any

import altair as alt

from diascope.core.files import write_atomic
from diascope.metrics import REGISTRY
from diascope.report import panels
from diascope.report.fold_panels import fold_dots, fold_height
from diascope.report.interval_panels import drawn_subgroups, forest, forest_height, subgroup_dots, subgroup_height
from diascope.report.panels import Axes, Panel
from diascope.report.search_panels import search_charts
from diascope.report.tables import Row, Tables, chart_tables, of_arm

INK = "#1d2329"
PNG_SCALE = 2
DIAGONAL = [{"x": 0, "y": 0}, {"x": 1, "y": 1}]
OVERLAYS = {
    "validation_accuracy": "validation accuracy",
    "validation_loss": "validation loss",
    "training_accuracy": "training accuracy",
    "training_loss": "training loss",
}
BALANCED_OVERLAYS = {
    "validation_balanced_accuracy": "validation balanced accuracy",
    "validation_auroc": "validation AUROC",
}
LEARNING_RATE = {"learning_rate": "learning rate"}
Spec = dict[str, Any]


@dataclass(frozen=True)
class Domains:
    """The axes that all learning curves share, and how many values lie above the loss axis' end."""

    accuracy: tuple[float, float]
    loss: tuple[float, float]
    above: int
    epochs: tuple[int, int]
    of_column: dict[str, tuple[float, float]]  # the vertical axis of columns that have one of their own

    def of(self, column: str) -> Axes:
        """Horizontal and vertical axis of a column of the history, or of a measure."""
        if column in self.of_column:
            return Axes(self.epochs, self.of_column[column])
        return Axes(self.epochs, self.loss if column.endswith("loss") else self.accuracy)


def curve_domains(tables: Tables) -> Domains:
    """Accuracies from the lowest, rounded down, to 1; losses from 0 to their maximum, or to three times the 95th
    percentile where single spikes would press all curves flat."""
    rows = tables["runs"]
    values = {
        measure: sorted(row[f"{series}_{measure}"] for row in rows for series in panels.SERIES_NAMES
                        if row[f"{series}_{measure}"] is not None)
        for measure in panels.MEASURES
    }  # fmt: skip
    epochs = (1, max([2, *(row["epoch"] for row in rows)]))
    lowest = values["accuracy"][0] if values["accuracy"] else 0.5
    losses = values["loss"] or [1.0]
    end = min(losses[-1], 3 * losses[int(0.95 * (len(losses) - 1))])
    step = 10 ** floor(len(str(int(end))) - 2)
    top = ceil(end / step) * step
    return Domains(
        (floor(lowest * 20) / 20, 1.0),
        (0.0, top),
        sum(loss > top for loss in losses),
        epochs,
        _own_axes(rows),
    )


def _own_axes(rows: list[Row]) -> dict[str, tuple[float, float]]:
    """Of balanced accuracy and AUROC, which may lie far below any accuracy, and of the learning rate."""
    found = {}
    for column in (*BALANCED_OVERLAYS, *LEARNING_RATE):
        values = [row[column] for row in rows if row[column] is not None]
        found[column] = (floor(min(values, default=0.5) * 20) / 20, 1.0)
        if column in LEARNING_RATE:
            found[column] = (0.0, 1.05 * max(values, default=1.0))
    return found | {"balanced_accuracy": found["validation_balanced_accuracy"]}


def overlays(summary: dict[str, Any], tables: Tables) -> dict[str, str]:
    """The columns of the histories that have a chart of all arms, and their titles."""
    schedules = [arm["config"]["training"]["schedule"]["kind"] for arm in summary["arms"].values()]
    rates = LEARNING_RATE if any(kind != "constant" for kind in schedules) else {}
    if not _has_balanced(summary, tables):
        return OVERLAYS | rates
    losses = {column: title for column, title in OVERLAYS.items() if column.endswith("loss")}
    return BALANCED_OVERLAYS | losses | OVERLAYS | rates


def measures(summary: dict[str, Any], tables: Tables) -> list[str]:
    """What the charts of an arm's every run show."""
    return ["balanced_accuracy", "loss", "accuracy"] if _has_balanced(summary, tables) else list(panels.MEASURES)


def _has_balanced(summary: dict[str, Any], tables: Tables) -> bool:
    """Whether classes are unequal, and the runs noted what then leads."""
    noted = any(row["validation_balanced_accuracy"] is not None for row in tables["runs"])
    return bool(summary["balance"]["unequal"]) and noted


def page_specs(summary: dict[str, Any], tables: Tables) -> dict[str, Spec]:
    """Vega-Lite specifications for the page, by name: as wide as their container, text in the page's own colour."""
    arms, classes, domains = list(summary["arms"]), summary["data"]["classes"], curve_domains(tables)
    found = {
        f"overlay-{column}": (panels.overlaid_curves(column, title, arms, domains.of(column)), 260)
        for column, title in overlays(summary, tables).items()
    }
    found |= {
        f"curves-{measure}": (panels.arm_curves(measure, domains.of(measure)), 230)
        for measure in measures(summary, tables)
    }
    for name, metric in _scored(summary).items():
        found[name] = (_scores(summary, metric), _scores_height(summary))
    found["rocs"] = (panels.arm_rocs(arms), 320)
    found["arm-rocs"] = (panels.class_rocs(_drawn(summary)), 260)
    found["confusion"] = (panels.confusion(classes), max(200, 30 * len(classes)))
    if _folds(summary) > 1:
        found["folds"] = _fold_dots(summary, tables)
    if tables["comparisons"]:
        found["comparisons"] = (forest(summary), forest_height(summary))
    for place in drawn_subgroups(summary):
        found[f"subgroups-{place}"] = (subgroup_dots(summary, place), subgroup_height(summary, place))
    found |= search_charts(summary)
    return {name: _page_spec(panel, height) for name, (panel, height) in found.items()}


def write_charts(summary: dict[str, Any], folder: Path) -> list[str]:
    """Write every chart as SVG and PNG into `folder`; the names of the files, without their ending."""
    import vl_convert

    names = []
    for name, spec in _files(summary, chart_tables(summary)):
        svg = _numbered_anew(vl_convert.vegalite_to_svg(json.dumps(spec)))
        write_atomic(folder / f"{name}.svg", svg)
        write_atomic(folder / f"{name}.png", vl_convert.svg_to_png(svg, scale=PNG_SCALE))
        names.append(name)
    _remove_others(folder, names)
    return names


def _files(summary: dict[str, Any], tables: Tables) -> Iterator[tuple[str, Spec]]:
    """Name and complete specification of every chart file."""
    arms, domains = list(summary["arms"]), curve_domains(tables)
    if tables["comparisons"]:
        yield "comparisons", _file_spec(_sized(forest(summary), 460, forest_height(summary)), tables)
    if places := drawn_subgroups(summary):
        columns = [
            _sized(subgroup_dots(summary, place), 420, subgroup_height(summary, place)).properties(
                title=summary["subgroups"][place]["column"]
            )
            for place in places
        ]
        yield "subgroups", _file_spec(alt.vconcat(*columns), tables)
    for name, metric in _scored(summary).items():
        yield name, _file_spec(_sized(_scores(summary, metric), 420, _scores_height(summary)), tables)
    if _folds(summary) > 1:
        dots, height = _fold_dots(summary, tables)
        yield "folds", _file_spec(_sized(dots, 460, height), tables)
    for name, (panel, height) in search_charts(summary).items():
        yield name, _file_spec(_sized(panel, 460, height), tables)
    together = [
        _sized(panels.overlaid_curves(column, title, arms, domains.of(column), legend=True), 340, 230)
        for column, title in overlays(summary, tables).items()
    ]
    yield "learning-curves", _file_spec(alt.concat(*together, columns=2), tables)
    yield "roc", _file_spec(_sized(panels.arm_rocs(arms, legend=True), 320, 320), tables)
    curves = [_sized(panels.arm_curves(m, domains.of(m), legend=True), 340, 230) for m in measures(summary, tables)]
    of_one = {
        "learning-curves": alt.hconcat(*curves),
        "errors": alt.hconcat(
            _sized(panels.confusion(summary["data"]["classes"]), 260, 260),
            _sized(panels.class_rocs(_drawn(summary)), 260, 260),
        ).resolve_scale(color="independent"),
    }
    for kind, chart in of_one.items():
        spec = _file_spec(chart, {})
        for arm in arms:
            own = of_arm(tables, arm)
            yield f"{arm}-{kind}", {**spec, "title": arm, "datasets": {**spec["datasets"], **own}}


_SAME, _AROUND = 1e-3, 0.05  # runs that score alike are shown in the middle of an axis of this half width


def _scored(summary: dict[str, Any]) -> dict[str, str]:
    """The metrics with a dot for every run, by the chart's name: the leading one; with unequal classes, two."""
    leading = summary["primary"]["leading"]
    return {"scores": leading[0]} | ({"scores-second": leading[1]} if summary["balance"]["unequal"] else {})


def _scores(summary: dict[str, Any], metric: str) -> Panel:
    title = f"validation {REGISTRY[metric].label}, last epoch"
    runs = [run["last"][metric] for arm in summary["arms"].values() for run in arm["runs"] if run["last"]]
    values = [value for value in runs if value is not None]
    same = bool(values) and max(values) - min(values) < _SAME
    around = (values[0] - _AROUND, values[0] + _AROUND) if same else None
    return panels.score_dots(metric, title, list(summary["arms"]), folds=_folds(summary) > 1, domain=around)


def _scores_height(summary: dict[str, Any]) -> int:
    """Pixels: room for every arm, and within it for every fold."""
    return len(summary["arms"]) * max(34, 9 * _folds(summary))


def _fold_dots(summary: dict[str, Any], tables: Tables) -> tuple[Panel, int]:
    """The chart of the folds, and its height in pixels."""
    title = f"validation {REGISTRY[summary['primary']['metric']].label}, last epoch"
    levels = 1 + max((row["level"] for row in tables["folds"]), default=0)
    arms = list(summary["arms"])
    return fold_dots(title, arms, _folds(summary), levels), fold_height(len(arms), levels)


def _folds(summary: dict[str, Any]) -> int:
    return len(summary["data"]["folds"])


def _drawn(summary: dict[str, Any]) -> list[str]:
    """The classes that have a ROC curve of their own: the positive one of two, all of more."""
    data = summary["data"]
    return [data["positive"]] if len(data["classes"]) == 2 else data["classes"]


def _sized(panel: Panel, width: int | str, height: int) -> Panel:
    return panel.properties(width=width, height=height)


# Checking a specification against its schema takes half the time of a page: the tests draw every chart in a browser.
def _page_spec(panel: Panel, height: int) -> Spec:
    spec: Spec = _sized(panel, "container", height).to_dict(validate=False)
    return {**spec, "config": panels.theme("currentColor"), "autosize": {"type": "fit-x", "contains": "padding"}}


def _file_spec(chart: Any, tables: Tables) -> Spec:
    spec = json.loads(json.dumps(chart.to_dict(validate=False)).replace("currentColor", INK))
    datasets = {**tables, "diagonal": DIAGONAL}
    return {**spec, "config": {**panels.theme(INK), "background": "white"}, "datasets": datasets}


def _numbered_anew(svg: str) -> str:
    """The same picture with its clip paths counted from 0: Vega counts on over all charts of a process."""
    numbers: dict[str, str] = {}
    return re.sub(r"\bclip\d+\b", lambda found: numbers.setdefault(found[0], f"clip{len(numbers)}"), svg)


def _remove_others(folder: Path, names: list[str]) -> None:
    """Charts of arms that the study no longer has."""
    for path in folder.glob("*"):
        if path.suffix in (".svg", ".png") and path.stem not in names:
            path.unlink()
