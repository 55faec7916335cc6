"""The chart of a cross-validation: every fold of every arm, folds joined across the arms, mean and SD below them."""

from collections.abc import Sequence
from typing import Any

import altair as alt

from diascope.report.panels import Panel, arm_colour

ROW = 64  # pixels of an arm
_BELOW = 20  # pixels from the dots down to the mean
_NAMES: dict[str, Any] = {"ticks": False, "domain": False, "labelPadding": 8, "labelFontSize": 12, "labelLimit": 140}


def fold_dots(title: str, arms: Sequence[str]) -> Panel:
    """A row an arm with a numbered dot for every fold; tables `folds` and `fold_means`."""
    dots, means = alt.Chart(alt.NamedData("folds")), alt.Chart(alt.NamedData("fold_means"))
    scale = alt.Scale(zero=False, nice=True)
    x = alt.X("score:Q", title=title, scale=scale, axis=alt.Axis(tickCount=6))
    y = alt.Y("arm:N", sort=list(arms), title=None, axis=alt.Axis(**_NAMES), scale=alt.Scale(domain=list(arms)))
    form = ".3f"
    tooltip = ["arm:N", "fold:O", alt.Tooltip("score:Q", title=title, format=form), "runs:Q", "images:Q"]
    bar = means.mark_rule(strokeWidth=2.5, yOffset=_BELOW).encode(
        alt.X("low:Q", title=title, scale=scale), y, arm_colour(arms), x2="high"
    )
    limits = [alt.Tooltip("low:Q", title="less 1 SD", format=form), alt.Tooltip("high:Q", title="plus", format=form)]
    mean = means.mark_tick(thickness=3, size=16, yOffset=_BELOW, color="currentColor").encode(
        alt.X("mean:Q", title=title, scale=scale), y, tooltip=["arm:N", alt.Tooltip("mean:Q", format=form), *limits]
    )
    return alt.LayerChart(layer=[
        dots.mark_line(strokeWidth=1, opacity=0.35, color="currentColor").encode(
            x, y, detail="fold:N", order="place:Q"
        ),
        dots.mark_circle(size=210, opacity=1).encode(x, y, arm_colour(arms), tooltip=tooltip),
        dots.mark_text(fontSize=10, fontWeight="bold", color="white").encode(x, y, text="fold:O", tooltip=tooltip),
        bar,
        mean,
    ])  # fmt: skip


def fold_height(arms: Sequence[str]) -> int:
    """Pixels."""
    return max(90, ROW * len(arms))
