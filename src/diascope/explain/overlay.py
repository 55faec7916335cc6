"""A map over its image, as a picture: the image beside it, the scale with its numbers, and what was said of it."""

from functools import cache
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

from diascope.explain.scale import Scale

Pixels = NDArray[np.uint8]

SIDE = 192  # pixels of the longer side of the image
_GAP, _BAR, _NUMBERS = 8, 12, 62  # between things, width of the colour bar and of its numbers
_LARGE, _SMALL, _LEAST = 17, 14, 10  # sizes of letters in pixels
_INK, _QUIET, _ALARM, _PAPER = (25, 25, 25), (90, 90, 90), (170, 20, 35), (255, 255, 255)
_STRONGEST = 0.85  # opacity of the largest value: the image shows through
# From nothing to much: yellow, orange, red (after ColorBrewer's YlOrRd); against the class: its blues.
_FOR = np.array([(255, 237, 140), (254, 178, 60), (240, 80, 35), (189, 0, 38)], dtype=np.float64)
_AGAINST = np.array([(200, 225, 245), (120, 180, 225), (45, 115, 190), (8, 48, 120)], dtype=np.float64)


def draw_overlay(
    pixels: Pixels,
    attribution: NDArray[np.float32],
    scale: Scale,
    *,
    signed: bool,
    title: str,
    remark: str,
    alarm: str = "",
) -> Image.Image:
    """Image (H, W, C) uint8 and its map (H, W) -> a picture of both, with a colour bar from 0 (or minus the scale)."""
    size = _size(pixels)
    plain = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels).convert("RGB")
    gray = np.asarray(plain.convert("L").convert("RGB"), dtype=np.float64)
    blended = Image.fromarray(blend(gray, attribution, scale.value))
    width = 2 * size[0] + 4 * _GAP + _BAR + _NUMBERS
    lines = [(title, _LARGE, _INK), (remark, _SMALL, _QUIET)] + ([(alarm, _SMALL, _ALARM)] if alarm else [])
    top = _GAP + sum(letters + 6 for _, letters, _ in lines) + 2
    sheet = Image.new("RGB", (width, top + size[1] + _GAP), _PAPER)
    draw, y = ImageDraw.Draw(sheet), _GAP
    for text, letters, ink in lines:
        draw.text((_GAP, y), *_fitting(text, letters, width - 2 * _GAP, ink))
        y += letters + 6
    sheet.paste(plain.resize(size, Image.Resampling.BILINEAR), (_GAP, top))
    sheet.paste(blended.resize(size, Image.Resampling.BILINEAR), (2 * _GAP + size[0], top))
    _draw_bar(sheet, (3 * _GAP + 2 * size[0], top), size[1], scale.value, signed)
    return sheet


def blend(gray: NDArray[np.float64], attribution: NDArray[np.float32], scale: float) -> Pixels:
    """A gray image (H, W, 3), 0 to 255, under a map (H, W): what is 0 shows nothing but the image."""
    values = attribution.astype(np.float64) / scale if scale > 0 else np.zeros(attribution.shape)
    strength = np.clip(np.abs(values), 0, 1)
    colours = np.where(values[..., None] >= 0, _ramp(_FOR, strength), _ramp(_AGAINST, strength))
    opacity = _STRONGEST * np.sqrt(strength)[..., None]  # so that a fifth of the scale can be told from nothing
    blended: Pixels = np.rint(gray * (1 - opacity) + colours * opacity).clip(0, 255).astype(np.uint8)
    return blended


def number(value: float) -> str:
    """Three digits of a logit: 2.41, 0.0312, 1.2e-05; a true minus."""
    return f"{value:.3g}".replace("-", "−", 1) if value < 0 else f"{value:.3g}"


def _ramp(stops: NDArray[np.float64], strength: NDArray[np.float64]) -> NDArray[np.float64]:
    places = np.linspace(0, 1, len(stops))
    return np.stack([np.interp(strength, places, stops[:, channel]) for channel in range(3)], axis=-1)


def _draw_bar(sheet: Image.Image, corner: tuple[int, int], height: int, scale: float, signed: bool) -> None:
    """The colours as they lie over a middle gray, from the scale at the top downwards, with their numbers."""
    x, y = corner
    values = np.linspace(1, -1 if signed else 0, height)[:, None].repeat(_BAR, axis=1).astype(np.float32)
    shown = values if scale > 0 else np.zeros_like(values)
    sheet.paste(Image.fromarray(blend(np.full((height, _BAR, 3), 128.0), shown, 1.0)), corner)
    draw, font = ImageDraw.Draw(sheet), _font(_SMALL)
    draw.rectangle((x - 1, y - 1, x + _BAR, y + height), outline=_QUIET)
    names = {0.0: number(scale), 1.0: "−" + number(scale) if signed else "0"}
    if signed:
        names[0.5] = "0"
    if scale == 0:
        names = {1.0: "0"}
    for place, name in names.items():
        anchor = {0.0: "lt", 0.5: "lm", 1.0: "lb"}[place]
        draw.text((x + _BAR + 4, y + place * height), name, _INK, font, anchor=anchor)


def _size(pixels: Pixels) -> tuple[int, int]:
    """Width and height at which an image is shown: its longer side has SIDE pixels."""
    height, width = pixels.shape[:2]
    longer = max(height, width)
    return max(1, round(width * SIDE / longer)), max(1, round(height * SIDE / longer))


def _fitting(
    text: str, letters: int, width: int, ink: tuple[int, int, int]
) -> tuple[str, tuple[int, int, int], ImageFont.FreeTypeFont]:
    """The text in smaller letters where it is too wide, and cut where that does not do."""
    size = letters
    while size > _LEAST and _font(size).getlength(text) > width:
        size -= 1
    shown = text
    while len(shown) > 1 and _font(size).getlength(shown) > width:
        shown = shown.rstrip("…")[:-1] + "…"
    return shown, ink, _font(size)


@cache
def _font(size: int) -> ImageFont.FreeTypeFont:
    """DejaVu Sans, which Captum brings along with Matplotlib: names of classes may have any letters."""
    place = find_spec("matplotlib")
    assert place is not None
    assert place.submodule_search_locations is not None
    return ImageFont.truetype(Path(place.submodule_search_locations[0]) / "mpl-data/fonts/ttf/DejaVuSans.ttf", size)
