"""Parts of an image: the centre and the rim around it, the corners, the frame, and boxes of text."""

from collections.abc import Sequence
from math import ceil
from typing import Any

import numpy as np
from numpy.typing import NDArray

from diascope.audit.facts import CORNER_SHARE

FRAME_SHARE = 0.06  # of height and width: how wide a frame around the image is

Mask = NDArray[np.bool_]  # (H, W)


def disk(height: int, width: int, radius: float) -> Mask:
    """The centre: what lies within `radius` of the middle, in sides (of an oblong image, of each side)."""
    y = (np.arange(height) + 0.5) / height - 0.5
    x = (np.arange(width) + 0.5) / width - 0.5
    inside: Mask = y[:, None] ** 2 + x[None, :] ** 2 <= radius**2
    return inside


def corners(height: int, width: int) -> Mask:
    """All four."""
    tall, wide = ceil(CORNER_SHARE * height), ceil(CORNER_SHARE * width)
    y, x = np.arange(height), np.arange(width)
    found: Mask = ((y < tall) | (y >= height - tall))[:, None] & ((x < wide) | (x >= width - wide))[None, :]
    return found


def edge_middles(height: int, width: int) -> Mask:
    """Four patches of the size of corners, in the middle of each edge."""
    tall, wide = ceil(CORNER_SHARE * height), ceil(CORNER_SHARE * width)
    top, left = (height - tall) // 2, (width - wide) // 2
    found = np.zeros((height, width), dtype=bool)
    found[top : top + tall, :wide] = found[top : top + tall, width - wide :] = True
    found[:tall, left : left + wide] = found[height - tall :, left : left + wide] = True
    return found


def ring(height: int, width: int, first: float, last: float) -> Mask:
    """What is at least `first` and less than `last` away from the nearest edge, in sides."""
    y, x = np.arange(height), np.arange(width)
    down = np.minimum(y, y[::-1])[:, None] / height
    right = np.minimum(x, x[::-1])[None, :] / width
    found: Mask = (np.minimum(down, right) >= first) & (np.minimum(down, right) < last)
    return found


def border(height: int, width: int) -> Mask:
    """The corners and a frame along the edges."""
    tall, wide = max(1, round(FRAME_SHARE * height)), max(1, round(FRAME_SHARE * width))
    found = corners(height, width)
    found[:tall] = found[height - tall :] = found[:, :wide] = found[:, width - wide :] = True
    return found


def of_boxes(height: int, width: int, boxes: Sequence[Any]) -> Mask:
    """What lies within boxes (left, top, right, bottom, in pixels)."""
    found = np.zeros((height, width), dtype=bool)
    for box in boxes:
        top, left = max(0, int(box.top)), max(0, int(box.left))
        found[top : max(top + 1, ceil(box.bottom)), left : max(left + 1, ceil(box.right))] = True
    return found


def moved(mask: Mask, avoid: Mask, random: np.random.Generator) -> Mask | None:
    """The same pixels shifted to where none of them meets `avoid`; None where no place was found."""
    y, x = np.nonzero(mask)
    for _ in range(200):
        up = random.integers(-y.min(), len(mask) - y.max())
        left = random.integers(-x.min(), mask.shape[1] - x.max())
        if not avoid[y + up, x + left].any():
            found = np.zeros_like(mask)
            found[y + up, x + left] = True
            return found
    return None
