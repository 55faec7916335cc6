"""Pictures that a finding shows: a few sets of images, small enough for a page, as PNG files beside the findings."""

from io import BytesIO
from typing import Any

import numpy as np
from PIL import Image

from diascope.audit.facts import Audited
from diascope.data.prepare import prepared_images

SHOWN = 8  # sets of images a finding
_SIDE = 192  # pixels


def write_pictures(audited: Audited, code: str, sets: list[tuple[str, list[int]]]) -> list[dict[str, Any]]:
    """Of each set (caption, rows) {"caption", "images": [{"file", "path", "label"}]}, files as in audited.pictures.

    The first SHOWN sets are drawn; none where no pictures are wanted.
    """
    if audited.pictures is None or not sets:
        return []
    index, sets = audited.index, sets[:SHOWN]
    view = audited.config.model_copy(update={"image_size": (_SIDE, _SIDE), "resize": "pad", "channels": 3})
    rows = sorted({row for _, members in sets for row in members})
    files: dict[int, str] = {}
    for place, (row, image) in enumerate(zip(rows, prepared_images(index, rows, view, jobs=1), strict=True)):
        if not isinstance(image, str):  # a file that has gone since it was measured has no picture
            files[row] = f"pictures/{code}-{place}.png"
            audited.pictures[files[row]] = as_png(_trimmed(image.pixels, image.width, image.height))
    return [
        {
            "caption": caption,
            "images": [
                {"file": files[row], "path": index.paths[row], "label": index.classes[index.labels[row]]}
                for row in members
                if row in files
            ],
        }
        for caption, members in sets
    ]


def as_png(image: Image.Image) -> bytes:
    content = BytesIO()
    image.save(content, "PNG")  # optimize=True takes twice as long and saves 1%
    return content.getvalue()


def _trimmed(pixels: np.ndarray[Any, np.dtype[np.uint8]], width: int, height: int) -> Image.Image:
    """Without the borders that made it square."""
    scale = _SIDE / max(width, height)
    inner_width, inner_height = max(1, round(width * scale)), max(1, round(height * scale))
    left, top = (_SIDE - inner_width) // 2, (_SIDE - inner_height) // 2
    return Image.fromarray(pixels).crop((left, top, left + inner_width, top + inner_height))
