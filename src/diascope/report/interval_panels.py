"""Charts of estimates with intervals: the differences of arms (a forest plot), and the arms in each subgroup."""

from typing import Any

import altair as alt

from diascope.metrics import LOWER_IS_BETTER, REGISTRY
from diascope.report.panels import Panel, arm_colour

# Shapes tell the verdicts apart, colours repeat it; they are those of answer.MARKS as far as Vega draws them.
SHAPES = {"better": "triangle-up", "worse": "triangle-down", "equivalent": "square", "not shown": "circle"}
COLOURS = {"better": "#2f9a5a", "worse": "#d1495b", "equivalent": "#3b82c4", "not shown": "#80868c"}
MOST_SUBGROUP_ARMS = 6  # more arms in a row of a subgroup are no longer told apart
_ROOM = 1.06  # of the horizontal axis beyond the furthest value
_ROWS: dict[str, Any] = {"ticks": False, "domain": False, "labelPadding": 8, "labelFontSize": 12, "labelLimit": 190}


def forest(summary: dict[str, Any]) -> Panel:
    """A row a pair: difference, 95% interval, and faintly every paired run; tables `comparisons`, `paired`, `margin`.

    The axis is as long on both sides of zero, so that its title can say under each side which arm is better there.
    """
    compared = [found for found in summary["comparisons"] if found["difference"] is not None]
    x = alt.X("difference:Q", title=_title(summary, compared), scale=_around_zero(summary, compared))
    labels = alt.Axis(labelExpr="split(datum.label, ' − ')", **_ROWS)
    y = alt.Y("pair:N", sort=[pair_label(summary, found) for found in compared], title=None, axis=labels)
    base = alt.Chart(alt.NamedData("comparisons"))
    band = alt.Chart(alt.NamedData("margin")).mark_rect(opacity=0.13, color="#80868c").encode(alt.X("low:Q"), x2="high")
    zero = base.mark_rule(strokeDash=[4, 3], opacity=0.7).encode(x=alt.datum(0))
    runs = alt.Chart(alt.NamedData("paired")).mark_circle(size=30, opacity=0.35, color="currentColor")
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
    """The arm alone where all are compared with the same one."""
    common = len({pair["against"] for pair in summary["comparisons"]}) == 1
    return str(found["arm"]) if common else f"{found['arm']} − {found['against']}"


def _title(summary: dict[str, Any], compared: list[dict[str, Any]]) -> list[str]:
    metric = summary["primary"]["metric"]
    arms, references = {found["arm"] for found in compared}, {found["against"] for found in compared}
    reference = references.pop() if len(references) == 1 else "reference"
    arm = arms.pop() if len(arms) == 1 else "arm"
    left, right = (arm, reference) if metric in LOWER_IS_BETTER else (reference, arm)
    what = f"difference in validation {REGISTRY[metric].label}: {arm} minus {reference}"
    return [f"← {left} better       {right} better →", what]


def _around_zero(summary: dict[str, Any], compared: list[dict[str, Any]]) -> alt.Scale:
    values = [abs(found[key]) for found in compared for key in ("difference", "low", "high") if found[key] is not None]
    values += [abs(run["difference"]) for found in compared for run in found["paired"]]
    reach = max([*values, summary["primary"]["margin"] or 0, 1e-6]) * _ROOM
    return alt.Scale(domain=[-reach, reach], nice=False)


def subgroup_dots(summary: dict[str, Any], place: int) -> Panel:
    """The primary metric of every arm for each value of one column, with 95% interval; table `subgroups`."""
    arms, found = list(summary["arms"]), summary["subgroups"][place]
    title = f"validation {REGISTRY[summary['primary']['metric']].label}"
    base = alt.Chart(alt.NamedData("subgroups")).transform_filter(f"datum.place == {place} && isValid(datum.mean)")
    shown = [value_label(value) for value in found["values"]]
    y = alt.Y("value:N", sort=shown, title=None, axis=alt.Axis(**_ROWS), scale=alt.Scale(domain=shown))
    offset = alt.YOffset("arm:N", sort=arms, scale=alt.Scale(domain=arms))
    scale = alt.Scale(zero=False)
    tooltip = [alt.Tooltip("value:N"), alt.Tooltip("arm:N"), *_limits("mean", ".3f"), alt.Tooltip("images:Q")]
    return alt.LayerChart(layer=[
        base.mark_rule(strokeWidth=2).encode(alt.X("low:Q", title=title, scale=scale), y, offset, arm_colour(arms),
                                             x2="high"),
        base.mark_circle(size=55, opacity=1).encode(alt.X("mean:Q", title=title, scale=scale), y, offset,
                                                    arm_colour(arms), tooltip=tooltip),
    ])  # fmt: skip


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
