"""The panels that the report's charts are made of, as Altair charts over named tables (see tables.py).

A panel knows no data, so that one specification serves every arm, on the page and in the saved files. Colours of lines
reach a contrast of 3:1 on white and on the page's dark ground; everything else takes the colour of the text around it.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import altair as alt

ARM_COLOURS = ("#3b82c4", "#cf6a1c", "#2f9a5a", "#c2509b", "#8a67d6", "#1b95a0", "#a37c17", "#d1495b")
SERIES_COLOURS = {"validation": "#3b82c4", "training": "#cf6a1c", "training_eval": "#8a67d6"}
SERIES_NAMES = {
    "validation": "validation",
    "training": "training, while learning",
    "training_eval": "training, evaluation mode",
}
SERIES_DASH = {"validation": [1, 0], "training": [1, 0], "training_eval": [5, 3]}
SHOWN_FIRST = ("validation", "training")  # the rest is there to be switched on
FEW_EPOCHS = 5  # so many have a tick each: for fewer than four Vega's own would be half epochs
SHARE_RANGE = ["rgba(59,130,196,0.04)", "rgba(59,130,196,0.60)"]

_FIFTHS = [0, 0.2, 0.4, 0.6, 0.8, 1]
_ROC_AXES = tuple(
    channel(f"{field}:Q", title=f"{what} positive rate", scale=alt.Scale(domain=[0, 1]), axis=alt.Axis(values=_FIFTHS))
    for channel, field, what in ((alt.X, "x", "false"), (alt.Y, "y", "true"))
)

MEASURES = {"accuracy": "accuracy", "loss": "loss (cross-entropy)"}
BALANCED = {"balanced_accuracy": "balanced accuracy"}  # of the validation side alone
_PART = alt.condition("datum.part === 'all'", alt.value(1), alt.value(0.4))  # of a line, by its first row
Panel = alt.LayerChart


@dataclass(frozen=True)
class Axes:
    """First and last epoch, lowest and highest value."""

    epochs: tuple[int, int]
    values: tuple[float, float]


def theme(ink: str) -> dict[str, Any]:
    """Vega-Lite configuration with text and axes in the colour `ink`."""
    font = "system-ui, -apple-system, 'Segoe UI', 'Liberation Sans', Arial, sans-serif"
    line = {"labelColor": ink, "titleColor": ink, "tickColor": ink, "domainColor": ink, "gridColor": ink}
    text = {"labelFontSize": 11, "titleFontSize": 12, "titleFontWeight": "normal"}
    faint = {"gridOpacity": 0.12, "tickOpacity": 0.5, "domainOpacity": 0.5, "tickSize": 4}
    return {
        "font": font,
        "aria": False,
        "background": None,
        "view": {"stroke": None},
        "axis": {**line, **text, **faint, "labelLimit": 150},
        "legend": {"labelColor": ink, "titleColor": ink, "labelLimit": 220, "symbolStrokeWidth": 2.5, **text},
        "title": {"color": ink, "fontSize": 13, "fontWeight": "bold", "anchor": "start"},
        "header": {"labelColor": ink, "titleColor": ink},
        "text": {"color": ink},
        "rule": {"color": ink},
    }


def arm_curves(measure: str, axes: Axes, *, legend: bool = False) -> Panel:
    """Learning curves of one arm: every run thin, the mean of the finished runs thick; tables `runs` and `means`."""
    columns = [f"{series}_{measure}" for series in SERIES_NAMES]
    listed = SHOWN_FIRST if legend else tuple(SERIES_NAMES)
    names = [SERIES_NAMES[series] for series in listed]
    colour = alt.Color(
        "side:N",
        scale=alt.Scale(domain=names, range=[SERIES_COLOURS[series] for series in listed]),
        legend=_line_legend() if legend else None,
    )
    dashes = [SERIES_DASH[series] for series in listed]
    dash = alt.StrokeDash("side:N", scale=alt.Scale(domain=names, range=dashes), legend=None)
    position = _epoch_and_value((MEASURES | BALANCED)[measure], axes)
    runs = _folded(alt.Chart(alt.NamedData("runs")), columns).encode(
        *position, colour, dash, detail="run:N", tooltip=[alt.Tooltip("run:N"), alt.Tooltip("side:N"), "state:N"]
    )
    means = _folded(alt.Chart(alt.NamedData("means")), columns).encode(*position, colour, dash)
    tooltip = [
        alt.Tooltip("side:N", title="mean of runs"),
        alt.Tooltip("epoch:Q"),
        alt.Tooltip("value:Q", title=measure, format=".3f"),
        alt.Tooltip("sd:Q", title="SD", format=".3f"),
        alt.Tooltip("n:Q", title="runs"),
    ]
    return _layered(
        runs.mark_line(strokeWidth=1, opacity=0.4, clip=True),
        means.mark_line(strokeWidth=2.5, clip=True).encode(opacity=_PART, detail="part:N"),
        runs.transform_filter("datum.mark === 'only'").mark_point(size=30, filled=True, opacity=0.4),
        means.transform_filter("datum.only").mark_point(size=60, filled=True, opacity=1),
        runs.transform_filter("datum.mark === 'end'").mark_point(size=38, filled=True, opacity=0.9),
        runs.transform_filter("datum.mark === 'kept'").mark_point(size=70, filled=False, strokeWidth=1.5, opacity=0.9),
        means.mark_circle(size=60, opacity=0, clip=True).encode(tooltip=tooltip),
    ).add_params(*[alt.param(name=f"show_{series}", value=series in SHOWN_FIRST) for series in SERIES_NAMES])


def overlaid_curves(column: str, title: str, arms: Sequence[str], axes: Axes, *, legend: bool = False) -> Panel:
    """The mean curve of every arm, with a band of one SD; table `means`."""
    sd, form = f"sd_{column}", ".3g" if column == "learning_rate" else ".3f"
    base = (
        alt.Chart(alt.NamedData("means"))
        .transform_filter(f"isValid(datum.{column}) && indexof(shown, datum.arm) >= 0")
        .encode(*_epoch_and_value(title, axes, column), arm_colour(arms, legend=legend))
    )
    band = (
        base.transform_filter(f"show_spread && isValid(datum.{sd}) && datum.part === 'all'")
        .transform_calculate(low=f"datum.{column} - datum.{sd}", high=f"datum.{column} + datum.{sd}")
        .mark_area(opacity=0.14, clip=True)
        .encode(y=alt.Y("low:Q", title=title, scale=alt.Scale(domain=list(axes.values), zero=False)), y2="high:Q")
    )
    tooltip = [
        "arm:N",
        "epoch:Q",
        alt.Tooltip(f"{column}:Q", title="mean", format=form),
        alt.Tooltip(f"{sd}:Q", title="SD", format=form),
        alt.Tooltip("n:Q", title="runs"),
    ]
    return _layered(
        band,
        base.mark_line(strokeWidth=2, clip=True).encode(arm_dash(arms), opacity=_PART, detail="part:N"),
        base.transform_filter("datum.only").mark_point(size=60, filled=True, opacity=1),
        base.mark_circle(size=60, opacity=0, clip=True).encode(tooltip=tooltip),
    ).add_params(alt.param(name="shown", value=list(arms)), alt.param(name="show_spread", value=len(arms) <= 4))


def score_dots(
    metric: str, title: str, arms: Sequence[str], *, folds: bool, domain: tuple[float, float] | None = None
) -> Panel:
    """A dot for every run and a bar at their mean, a row an arm; table `scores`. Folds lie below one another.

    The axis fits the scores where `domain` does not say how far it reaches.
    """
    base = alt.Chart(alt.NamedData("scores")).transform_filter(f"isValid(datum.{metric})")
    y = alt.Y(
        "arm:N", sort=list(arms), title=None, axis=alt.Axis(ticks=False, domain=False, labelPadding=8, labelFontSize=12)
    )
    scale = alt.Scale(zero=False, nice=False, padding=10) if domain is None else alt.Scale(domain=list(domain))
    x = alt.X(f"{metric}:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))
    tooltip = ["arm:N", "run:N", alt.Tooltip(f"{metric}:Q", title=title, format=".3f")]
    dots = base.mark_circle(size=70, opacity=0.75).encode(x, y, arm_colour(arms), tooltip=tooltip)
    if folds:
        dots = dots.encode(yOffset=alt.YOffset("fold:O"))
    bars = base.mark_tick(thickness=2.5, size=24, color="currentColor").encode(
        alt.X(f"mean({metric}):Q", title=title), y
    )
    return _layered(bars, dots)


def arm_rocs(arms: Sequence[str], *, legend: bool = False) -> Panel:
    """The mean ROC curve of every arm; table `rocs`."""
    mean = alt.Chart(alt.NamedData("rocs")).transform_filter("indexof(shown, datum.arm) >= 0")
    lines = mean.mark_line(strokeWidth=2).encode(
        *_ROC_AXES, arm_colour(arms, legend=legend), arm_dash(arms), order="rank:Q", tooltip="arm:N"
    )
    return _layered(_chance(), lines).add_params(alt.param(name="shown", value=list(arms)))


def class_rocs(classes: Sequence[str]) -> Panel:
    """The mean ROC curve of each of `classes` against the rest, every run's behind; tables `class_rocs`, `run_rocs`."""
    colours = [ARM_COLOURS[number % len(ARM_COLOURS)] for number in range(len(classes))]
    legend = _line_legend() if len(classes) > 1 else None
    colour = alt.Color("name:N", scale=alt.Scale(domain=list(classes), range=colours), legend=legend)
    runs = alt.Chart(alt.NamedData("run_rocs")).mark_line(strokeWidth=1, opacity=0.4)
    mean = alt.Chart(alt.NamedData("class_rocs")).mark_line(strokeWidth=2.5)
    return _layered(
        _chance(),
        runs.encode(*_ROC_AXES, colour, detail="run:N", order="rank:Q", tooltip="run:N"),
        mean.encode(*_ROC_AXES, colour, order="rank:Q", tooltip=alt.Tooltip("name:N", title="mean of runs")),
    )


def _line_legend() -> alt.Legend:
    return alt.Legend(
        title=None, orient="bottom", columns=3, symbolType="stroke", symbolOpacity=1, symbolStrokeWidth=2.5
    )


def _layered(*charts: alt.Chart) -> Panel:
    return alt.LayerChart(layer=list(charts))


def _chance() -> alt.Chart:
    line: alt.Chart = alt.Chart(alt.NamedData("diagonal")).mark_line(strokeDash=[3, 3], strokeWidth=1, opacity=0.5)
    return line.encode(*_ROC_AXES, color=alt.value("currentColor"))


def arm_colour(arms: Sequence[str], *, legend: bool = False) -> alt.Color:
    """A colour an arm; from the ninth on they repeat, with other dashes."""
    colours = [ARM_COLOURS[number % len(ARM_COLOURS)] for number in range(len(arms))]
    shown = _line_legend() if legend else None
    return alt.Color("arm:N", scale=alt.Scale(domain=list(arms), range=colours), legend=shown)


def arm_dash(arms: Sequence[str]) -> alt.StrokeDash:
    dashes = [arm_dash_pattern(number) for number in range(len(arms))]
    return alt.StrokeDash("arm:N", scale=alt.Scale(domain=list(arms), range=dashes), legend=None)


def arm_dash_pattern(number: int) -> list[int]:
    """Strokes and gaps in pixels."""
    return ([1, 0], [6, 3], [2, 2])[(number // len(ARM_COLOURS)) % 3]


def confusion(classes: Sequence[str]) -> Panel:
    """Predicted against true class: share of each true class, and number of images; table `confusion`."""
    angle = -40 if len(classes) > 3 else 0
    x = alt.X(
        "predicted:N", sort=list(classes), axis=alt.Axis(orient="top", labelAngle=angle, **_BARE), title="predicted"
    )
    y = alt.Y("true:N", sort=list(classes), axis=alt.Axis(**_BARE), title="true")
    base = alt.Chart(alt.NamedData("confusion")).encode(x, y)
    scale = alt.Scale(domain=[0, 1], range=SHARE_RANGE)
    tooltip = [
        "true:N",
        "predicted:N",
        "images:Q",
        alt.Tooltip("share:Q", title="share of the true class", format=".1%"),
    ]
    cells = base.mark_rect().encode(alt.Color("share:Q", scale=scale, legend=None), tooltip=tooltip)
    few = len(classes) <= 4
    shares = base.mark_text(fontSize=13 if few else 10, dy=-7 if few else 0).encode(
        text=alt.Text("share:Q", format=".0%")
    )
    counts = base.mark_text(fontSize=11, dy=10, opacity=0.75).encode(text=alt.Text("images:Q", format=","))
    return _layered(cells, shares, counts) if few else _layered(cells, shares)


_BARE: dict[str, Any] = {"ticks": False, "domain": False, "grid": False}


def _epoch_and_value(title: str, axes: Axes, column: str = "value") -> tuple[alt.X, alt.Y]:
    first, last = axes.epochs
    ticks = {"values": list(range(first, last + 1))} if last <= FEW_EPOCHS else {"tickMinStep": 1}
    x = alt.X(
        "epoch:Q",
        title="epoch",
        axis=alt.Axis(format="d", grid=False, **ticks),
        scale=alt.Scale(domain=list(axes.epochs), nice=False),
    )
    scale = alt.Scale(domain=list(axes.values), zero=False)
    if column == "learning_rate":
        return x, alt.Y(f"{column}:Q", title=title, scale=scale, axis=alt.Axis(format="~e"))
    return x, alt.Y(f"{column}:Q", title=title, scale=scale)


def _folded(chart: alt.Chart, columns: Sequence[str]) -> alt.Chart:
    """From a column a series to rows (series, side, value, sd), those that are switched on."""
    names = ", ".join(f"'{column}': '{name}'" for column, name in zip(columns, SERIES_NAMES.values(), strict=True))
    switches = " || ".join(
        f"(datum.series == '{column}' && show_{series})" for column, series in zip(columns, SERIES_NAMES, strict=True)
    )
    return (
        chart.transform_fold(list(columns), as_=["series", "value"])
        .transform_filter(f"isValid(datum.value) && ({switches})")
        .transform_calculate(side=f"({{{names}}})[datum.series]", sd="datum['sd_' + datum.series]")
    )
