"""Colours that can be told from both grounds, and specifications that hold no data."""

import json
import re

import pytest
import vl_convert

from diascope.report import panels
from diascope.report.environment import TEMPLATES


def _luminance(colour: str) -> float:
    """Relative luminance as WCAG 2 defines it."""
    channels = [int(colour[place : place + 2], 16) / 255 for place in (1, 3, 5)]
    linear = [value / 12.92 if value <= 0.03928 else ((value + 0.055) / 1.055) ** 2.4 for value in channels]
    return 0.2126 * linear[0] + 0.7152 * linear[1] + 0.0722 * linear[2]


def _contrast(one: str, other: str) -> float:
    light, dark = sorted([_luminance(one), _luminance(other)], reverse=True)
    return (light + 0.05) / (dark + 0.05)


def _palette() -> list[dict[str, str]]:
    """The page's colours by variable, in light and in dark."""
    style = (TEMPLATES / "report.css").read_text()
    light, dark = style.split("prefers-color-scheme: dark")
    return [dict(re.findall(r"--([\w-]+): (#[0-9a-f]{6})", part)) for part in (light, dark)]


@pytest.mark.parametrize("colour", [*panels.ARM_COLOURS, *panels.SERIES_COLOURS.values()])
@pytest.mark.parametrize("palette", _palette(), ids=["light", "dark"])
def test_lines_stand_out_from_light_and_dark(colour: str, palette: dict[str, str]) -> None:
    assert _contrast(colour, palette["ground"]) >= 3


@pytest.mark.parametrize("palette", _palette(), ids=["light", "dark"])
def test_text_stands_out(palette: dict[str, str]) -> None:
    for ink in ("ink", "quiet", "accent"):
        assert _contrast(palette[ink], palette["ground"]) >= 4.5
    assert _contrast(palette["ink"], palette["warn-ground"]) >= 4.5


def test_sixteen_arms_differ_in_colour_or_dash() -> None:
    looks = {
        (panels.ARM_COLOURS[number % len(panels.ARM_COLOURS)], tuple(panels.arm_dash_pattern(number)))
        for number in range(16)
    }
    assert len(looks) == 16


@pytest.mark.parametrize("epochs", [2, 3, 4, 5, 6, 10, 11, 150])
@pytest.mark.parametrize("width", [200, 900])
def test_epochs_are_counted_in_whole_numbers(epochs: int, width: int) -> None:
    history = [{"arm": "a", "epoch": epoch, "n": 1, "part": "all", "only": False, "loss": 0.5, "sd_loss": None}
               for epoch in range(1, epochs + 1)]  # fmt: skip
    panel = panels.overlaid_curves("loss", "loss", ["a"], panels.Axes((1, epochs), (0, 1)))
    spec = panel.properties(width=width, height=100).to_dict() | {"datasets": {"means": history}}
    svg = vl_convert.vegalite_to_svg(json.dumps(spec))
    labels = re.findall(r">([^<>]+)</text>", svg.split('aria-label="Y-axis')[0].split('aria-label="X-axis')[1])
    ticks = labels[: labels.index("epoch")]
    assert len(ticks) > 1
    assert ticks == sorted({str(int(label)) for label in ticks}, key=int)


def test_specifications_are_the_same_every_time_and_hold_no_data() -> None:
    axes = panels.Axes((1, 10), (0, 1))
    first, second = (panels.arm_curves("loss", axes).to_dict() for _ in range(2))
    assert first == second
    assert "datasets" not in first
