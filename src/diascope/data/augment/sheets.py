"""Contact sheets: rows of pictures with a name at the left and a caption under each, as one PNG."""

from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image, ImageDraw, ImageFont

Pixels = NDArray[np.uint8]
Lines = list[str]

_TILE = 128  # pixels of the longer side of a picture on the sheet
_GAP = 10
_CAPTION, _NAME, _TITLE = 14, 16, 20  # sizes of the letters in pixels
_INK, _PALE, _PAPER = (25, 25, 25), (95, 95, 95), (255, 255, 255)


@dataclass(frozen=True)
class Row:
    """A row of a sheet: its name, what stands under the name, and pictures (H, W, C) with their captions."""

    name: str
    remark: str
    pictures: list[tuple[str, Pixels]]


def write_sheet(file: Path, title: str, rows: list[Row]) -> None:
    """Draw the rows below one another, their pictures in columns of one width."""
    tiles = [[_tile(pixels) for _, pixels in row.pictures] for row in rows]
    widths = [tile.width for row in tiles for tile in row]
    width, height = max(widths), max(tile.height for row in tiles for tile in row)
    left = _GAP + max(_name_width(row) for row in rows) + 2 * _GAP
    top, below = 2 * _GAP + 2 * _TITLE, height + _CAPTION + 2 * _GAP
    columns = max(len(row) for row in tiles)
    across = max(left + columns * (width + _GAP), 2 * _GAP + round(_font(_TITLE).getlength(title)))
    sheet = Image.new("RGB", (across, top + len(rows) * below), _PAPER)
    draw = ImageDraw.Draw(sheet)
    draw.text((_GAP, _GAP), title, _INK, _font(_TITLE))
    for number, (row, pictures) in enumerate(zip(rows, tiles, strict=True)):
        y = top + number * below
        draw.text((_GAP, y), row.name, _INK, _font(_NAME))
        draw.multiline_text((_GAP, y + 1.5 * _NAME), row.remark, _PALE, _font(_CAPTION))
        for column, ((caption, _), picture) in enumerate(zip(row.pictures, pictures, strict=True)):
            x = left + column * (width + _GAP)
            sheet.paste(picture, (x + (width - picture.width) // 2, y))
            draw.text((x + width / 2, y + height + 3), caption, _PALE, _font(_CAPTION), anchor="ma")
    file.parent.mkdir(parents=True, exist_ok=True)
    sheet.save(file)


def _tile(pixels: Pixels) -> Image.Image:
    """The picture at the size of a tile: small ones enlarged by whole pixels, for one to see each of them."""
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    longer = max(image.size)
    if longer <= _TILE:
        return image.resize(
            (image.width * (_TILE // longer), image.height * (_TILE // longer)), Image.Resampling.NEAREST
        )
    image.thumbnail((_TILE, _TILE), Image.Resampling.LANCZOS)
    return image


def _name_width(row: Row) -> int:
    remarks = [_font(_CAPTION).getlength(line) for line in row.remark.split("\n")]
    return round(max(_font(_NAME).getlength(row.name), *remarks))


def _font(size: int) -> ImageFont.FreeTypeFont | ImageFont.ImageFont:
    return ImageFont.load_default(size)
