"""Charts of estimates with intervals: the differences of arms (a forest plot), and the arms in each subgroup."""

from typing import Any

import altair as alt

from diascope.metrics import LOWER_IS_BETTER, REGISTRY
from diascope.report.panels import Panel, arm_colour

# Shapes tell the verdicts apart, colours repeat it; they are those of answer.MARKS as far as Vega draws them.
SHAPES = {"better": "triangle-up", "worse": "triangle-down", "equivalent": "square", "not shown": "circle"}
COLOURS = {"better": "#2f9a5a", "worse": "#d1495b", "equivalent": "#3b82c4", "not shown": "#80868c"}
MOST_SUBGROUP_ARMS = 6  # more arms in a row of a subgroup are no longer told apart
_ROOM = 0.05  # of the horizontal axis beyond the furthest value on each side
_SHORT_NAME = 20  # characters
_ROWS: dict[str, Any] = {"ticks": False, "domain": False, "labelPadding": 8, "labelFontSize": 12, "labelLimit": 140}


def forest(summary: dict[str, Any]) -> Panel:
    """A row a pair: difference, 95% interval, and faintly every paired run; tables `comparisons`, `paired`, `margin`.

    The axis' title says on which side of zero the arm is the better one.
    """
    compared = [found for found in summary["comparisons"] if found["difference"] is not None]
    # Anchored at its end a title may reach below the names, where there is room on a narrow screen, too.
    axis = alt.Axis(titleAnchor="end", tickCount=6)
    x = alt.X("difference:Q", title=_title(summary, compared), scale=_around_zero(summary, compared), axis=axis)
    labels = alt.Axis(labelExpr="split(datum.label, ' − ')", **_ROWS)
    y = alt.Y("pair:N", sort=[pair_label(summary, found) for found in compared], title=None, axis=labels)
    base = alt.Chart(alt.NamedData("comparisons"))
    band = alt.Chart(alt.NamedData("margin")).mark_rect(opacity=0.13, color="#80868c").encode(alt.X("low:Q"), x2="high")
    zero = base.mark_rule(strokeDash=[4, 3], opacity=0.7).encode(x=alt.datum(0))
    runs = alt.Chart(alt.NamedData("paired")).mark_circle(size=30, opacity=0.4, color="currentColor", yOffset=10)
    tooltip = [alt.Tooltip("pair:N"), alt.Tooltip("verdict:N"), *_limits("difference", "+.3f")]
    verdict = list(SHAPES)
    return alt.LayerChart(layer=[
        band,
        zero,
        runs.encode(x, y, tooltip=["run:N", alt.Tooltip("difference:Q", format="+.3f")]),
        base.mark_rule(strokeWidth=2.5, color="currentColor").encode(alt.X("low:Q"), y, x2="high"),
        base.mark_point(size=130, filled=True, opacity=1).encode(
            x,
            y,
            alt.Shape("verdict:N", scale=alt.Scale(domain=verdict, range=list(SHAPES.values())), legend=None),
            alt.Color("verdict:N", scale=alt.Scale(domain=verdict, range=list(COLOURS.values())), legend=None),
            tooltip=tooltip,
        ),
    ])  # fmt: skip


def forest_height(summary: dict[str, Any]) -> int:
    """Pixels."""
    return max(64, 34 * sum(found["difference"] is not None for found in summary["comparisons"]))


def pair_label(summary: dict[str, Any], found: dict[str, Any]) -> str:
    """The arm alone where several are compared with the same one."""
    compared = summary["comparisons"]
    common = len(compared) > 1 and len({pair["against"] for pair in compared}) == 1
    return str(found["arm"]) if common else f"{found['arm']} − {found['against']}"


def _title(summary: dict[str, Any], compared: list[dict[str, Any]]) -> list[str]:
    """Which side is better for the arm, and what is measured; long names would not fit a narrow screen."""
    metric = summary["primary"]["metric"]
    arms = {found["arm"] for found in compared if len(found["arm"]) <= _SHORT_NAME}
    arm = arms.pop() if len(arms) == len(compared) == 1 else "first arm"
    if pair_label(summary, compared[0]) == compared[0]["arm"] and len(compared) > 1:
        arm = "arm"
    better = f"← {arm} better" if metric in LOWER_IS_BETTER else f"{arm} better →"
    return [better, f"difference in {REGISTRY[metric].label}"]


def _around_zero(summary: dict[str, Any], compared: list[dict[str, Any]]) -> alt.Scale:
    """From the least to the largest of all that is drawn, zero and the margin among it, with some room."""
    values = [found[key] for found in compared for key in ("difference", "low", "high") if found[key] is not None]
    values += [run["difference"] for found in compared for run in found["paired"]]
    margin = summary["primary"]["margin"] or 0.0
    low, high = min([*values, -margin, 0.0]), max([*values, margin, 0.0])
    room = _ROOM * (high - low) or 0.01
    return alt.Scale(domain=[low - room, high + room], nice=False)


def subgroup_dots(summary: dict[str, Any], place: int) -> Panel:
    """The primary metric of every arm for each value of one column, with 95% interval; table `subgroups`."""
    arms, found = list(summary["arms"]), summary["subgroups"][place]
    title = f"validation {REGISTRY[summary['primary']['metric']].label}"
    base = alt.Chart(alt.NamedData("subgroups")).transform_filter(f"datum.place == {place} && isValid(datum.mean)")
    shown = [value_label(value) for value in found["values"]]
    y = alt.Y("value:N", sort=shown, title=None, axis=alt.Axis(**_ROWS), scale=alt.Scale(domain=shown))
    scale, axis = alt.Scale(zero=False), alt.Axis(tickCount=5)
    tooltip = [alt.Tooltip("value:N"), alt.Tooltip("arm:N"), *_limits("mean", ".3f"), alt.Tooltip("images:Q")]
    position, colour = (y, alt.YOffset("arm:N", sort=arms, scale=alt.Scale(domain=arms))), arm_colour(arms)
    reach = base.mark_rule(strokeWidth=2).encode(
        alt.X("low:Q", title=title, scale=scale, axis=axis), *position, colour, x2="high"
    )
    dots = base.mark_circle(size=55, opacity=1).encode(
        alt.X("mean:Q", title=title, scale=scale, axis=axis), *position, colour, tooltip=tooltip
    )
    return alt.LayerChart(layer=[reach, dots])


def subgroup_height(summary: dict[str, Any], place: int) -> int:
    """Pixels: room for every arm of every value."""
    return max(64, len(summary["subgroups"][place]["values"]) * max(24, 11 * len(summary["arms"]) + 6))


def drawn_subgroups(summary: dict[str, Any]) -> list[int]:
    """The places of the columns that a chart helps with: several values with a score, and not too many arms."""
    metric = summary["primary"]["metric"]
    return [
        place
        for place, found in enumerate(summary["subgroups"])
        if len(summary["arms"]) <= MOST_SUBGROUP_ARMS
        and sum(any(arm[metric]["mean"] is not None for arm in value["arms"].values()) for value in found["values"]) > 1
    ]


def value_label(value: dict[str, Any]) -> str:
    """What a value is called, with its number of images."""
    return f"{value['value'] or 'not stated'} (n = {value['images']:,})"


def _limits(column: str, form: str) -> list[alt.Tooltip]:
    limits = [alt.Tooltip("low:Q", title="95% from", format=form), alt.Tooltip("high:Q", title="to", format=form)]
    return [alt.Tooltip(f"{column}:Q", format=form), *limits]
