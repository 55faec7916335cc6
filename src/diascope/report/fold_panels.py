"""The chart of a cross-validation: every fold of every arm, folds joined across the arms, mean and SD below them."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from diascope.report.panels import Panel, arm_colour

_TOP, _LEVEL, _BELOW, _FOOT = 18, 14, 21, 15  # pixels: to the highest dot, dot to dot, dots to mean, to the row's end
_EDGE = 14  # pixels that keep a dot from the ends of the axis
_NAMES: dict[str, Any] = {"ticks": False, "domain": False, "labelPadding": 8, "labelFontSize": 12, "labelLimit": 140}


def fold_dots(title: str, arms: Sequence[str], folds: int, levels: int) -> Panel:
    """A row an arm with a numbered dot for every fold on one of `levels` levels; tables `folds` and `fold_means`."""
    lowest = _TOP + _LEVEL * (levels - 1)
    dots = alt.Chart(alt.NamedData("folds")).transform_calculate(lift=f"{lowest} - {_LEVEL} * datum.level")
    means = alt.Chart(alt.NamedData("fold_means")).transform_calculate(lift=str(lowest + _BELOW))
    scale, lift = alt.Scale(zero=False, nice=False, padding=_EDGE), alt.YOffset("lift:Q", scale=None)
    rows = alt.Scale(domain=list(arms), padding=0)
    y = alt.Y("arm:N", sort=list(arms), title=None, axis=alt.Axis(**_NAMES), scale=rows)
    at = alt.X("score:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6)), y, lift
    form = ".3f"
    tooltip = ["arm:N", "fold:O", alt.Tooltip("score:Q", title=title, format=form), "runs:Q", "images:Q"]
    limits = [alt.Tooltip("low:Q", title="less 1 SD", format=form), alt.Tooltip("high:Q", title="plus", format=form)]
    reach = alt.X("low:Q", title=title, scale=scale)
    mean = alt.X("mean:Q", title=title, scale=scale), y, lift
    return alt.LayerChart(layer=[
        dots.mark_line(strokeWidth=1, opacity=0.35 if folds <= 5 else 0.22, color="currentColor").encode(
            *at, detail="fold:N", order="place:Q"
        ),
        dots.mark_circle(size=210, opacity=1).encode(*at, arm_colour(arms), tooltip=tooltip),
        dots.mark_text(fontSize=10, fontWeight="bold", color="white").encode(*at, text="fold:O", tooltip=tooltip),
        means.mark_rule(strokeWidth=2.5).encode(reach, y, lift, arm_colour(arms), x2="high"),
        means.mark_tick(thickness=3, size=16, color="currentColor").encode(
            *mean, tooltip=["arm:N", alt.Tooltip("mean:Q", format=form), *limits]
        ),
    ])  # fmt: skip


def fold_height(arms: int, levels: int) -> int:
    """Pixels."""
    return arms * (_TOP + _LEVEL * (levels - 1) + _BELOW + _FOOT)
