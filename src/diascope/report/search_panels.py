"""The charts of a search: the values of its trials in order, what mattered, and every trial across all keys."""

from typing import Any

import altair as alt

from diascope.metrics import REGISTRY
from diascope.report.panels import ARM_COLOURS, Panel

STATES = {"complete": "circle", "pruned": "triangle-down", "failed": "cross"}
_ROWS: dict[str, Any] = {"ticks": False, "domain": False, "labelPadding": 8, "labelFontSize": 12, "labelLimit": 180}


def search_charts(summary: dict[str, Any]) -> dict[str, tuple[Panel, int]]:
    """Chart and height in pixels, by name; empty for a study that no search came before."""
    found = summary["search"]
    if found is None:
        return {}
    charts = {"search-history": (_history(found), 260), "search-parallel": (_parallel(found), 300)}
    if found["importances"]:
        charts["search-importances"] = (_importances(), max(60, 30 * len(found["importances"])))
    return charts


def _history(found: dict[str, Any]) -> Panel:
    """A mark a trial and the best value so far as a line; table `search_trials`."""
    title = f"inner {REGISTRY[found['metric']].label}"
    base = alt.Chart(alt.NamedData("search_trials"))
    axis = alt.Axis(tickMinStep=1, grid=False)
    x = alt.X("trial:Q", title="trial", axis=axis, scale=alt.Scale(nice=False, padding=8))
    states = list(STATES)
    tooltip = ["trial:Q", "state:N", alt.Tooltip("shown:Q", title=title, format=".3f"), "values:N"]
    marks = base.mark_point(size=55, filled=True, opacity=0.85).encode(
        x,
        alt.Y("shown:Q", title=title, scale=alt.Scale(zero=False, padding=8)),
        alt.Shape("state:N", scale=alt.Scale(domain=states, range=list(STATES.values())), legend=None),
        alt.Color("state:N", scale=alt.Scale(domain=states, range=[ARM_COLOURS[0], "#80868c", "#d1495b"]), legend=None),
        tooltip=tooltip,
    )
    best = base.mark_line(interpolate="step-after", strokeWidth=2, color=ARM_COLOURS[1]).encode(
        x, alt.Y("so_far:Q", title=title)
    )
    return alt.LayerChart(layer=[best, marks.transform_filter("isValid(datum.shown)")])


def _importances() -> Panel:
    """A bar a key; table `search_importances`."""
    base = alt.Chart(alt.NamedData("search_importances"))
    bars = base.mark_bar(color=ARM_COLOURS[0], height={"band": 0.6}).encode(
        alt.X("share:Q", title="share of the spread", axis=alt.Axis(format=".0%", tickCount=5)),
        alt.Y("key:N", sort="-x", title=None, axis=alt.Axis(**_ROWS)),
        tooltip=["key:N", alt.Tooltip("share:Q", format=".1%")],
    )
    return alt.LayerChart(layer=[bars])


def _parallel(found: dict[str, Any]) -> Panel:
    """A line a trial across the keys to its value, the better the stronger; tables `search_lines`, `search_ends`."""
    axes = [*found["space"], f"inner {REGISTRY[found['metric']].label}"]
    x = alt.X(
        "axis:N",
        sort=axes,
        title=None,
        scale=alt.Scale(domain=axes, padding=0.35),
        axis=alt.Axis(orient="top", labelAngle=0, grid=True, ticks=False, domain=False, labelFontSize=11,
                      labelExpr="split(datum.label, '.')", labelPadding=14),
    )  # fmt: skip
    y = alt.Y("place:Q", axis=None, scale=alt.Scale(domain=[-0.1, 1.1], nice=False))
    lines = alt.Chart(alt.NamedData("search_lines"))
    ends = [0.85, 0.1] if found["lower_is_better"] else [0.1, 0.85]
    tooltip = ["trial:Q", alt.Tooltip("value:Q", format=".3f"), "values:N"]
    others = lines.transform_filter("!datum.best").mark_line(strokeWidth=1.5, color=ARM_COLOURS[0])
    best = lines.transform_filter("datum.best").mark_line(strokeWidth=3, color=ARM_COLOURS[1])
    opacity = alt.Opacity("value:Q", scale=alt.Scale(range=ends), legend=None)
    texts = alt.Chart(alt.NamedData("search_ends")).mark_text(align="left", dx=5, fontSize=10, opacity=0.85)
    return alt.LayerChart(
        layer=[
            others.encode(x, y, opacity, detail="trial:N", order="number:Q", tooltip=tooltip),
            best.encode(x, y, detail="trial:N", order="number:Q", tooltip=tooltip),
            texts.encode(x, y, text="text:N"),
        ]
    )
