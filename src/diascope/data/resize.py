"""Pixels of any size -> uint8 pixels of one size, antialiased: stretched, padded with black, or cropped, centred."""

from typing import Literal

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diascope.data.decoded import Pixels

Policy = Literal["stretch", "pad", "crop"]
_Box = tuple[float, float, float, float]


def resize(pixels: Pixels, height: int, width: int, policy: Policy) -> NDArray[np.uint8]:
    """(H, W, C) uint8 or uint16 -> (height, width, C) uint8, bilinear with antialiasing as Pillow does it.

    8 bits: exactly Pillow's `resize((width, height), BILINEAR)`. 16 bits: resized as floats, then divided by 257 and
    rounded, so that 0 to 65535 becomes 0 to 255.
    """
    if policy == "pad":
        return _pad(pixels, height, width)
    box = _centred_box(pixels, height, width) if policy == "crop" else None
    return _stretch(pixels, height, width, box)


def _stretch(pixels: Pixels, height: int, width: int, box: _Box | None = None) -> NDArray[np.uint8]:
    if pixels.dtype == np.uint16:
        planes = [_stretch_deep(pixels[:, :, channel], height, width, box) for channel in range(pixels.shape[2])]
        return np.stack(planes, axis=2)
    image = Image.fromarray(pixels[:, :, 0] if pixels.shape[2] == 1 else pixels)
    resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box), dtype=np.uint8)
    return resized.reshape(height, width, pixels.shape[2])


def _stretch_deep(plane: Pixels, height: int, width: int, box: _Box | None) -> NDArray[np.uint8]:
    image = Image.fromarray(plane.astype(np.float32))
    resized = np.asarray(image.resize((width, height), Image.Resampling.BILINEAR, box))
    return np.rint(resized / 257).clip(0, 255).astype(np.uint8)


def _centred_box(pixels: Pixels, height: int, width: int) -> _Box:
    """The largest part of the image, in its own pixels, that has the wanted aspect ratio."""
    source_height, source_width = pixels.shape[:2]
    scale = min(source_height / height, source_width / width)
    box_height, box_width = scale * height, scale * width
    left, top = (source_width - box_width) / 2, (source_height - box_height) / 2
    return left, top, min(left + box_width, source_width), min(top + box_height, source_height)


def _pad(pixels: Pixels, height: int, width: int) -> NDArray[np.uint8]:
    source_height, source_width, channels = pixels.shape
    scale = min(height / source_height, width / source_width)
    inner_height = min(height, max(1, round(source_height * scale)))
    inner_width = min(width, max(1, round(source_width * scale)))
    top, left = (height - inner_height) // 2, (width - inner_width) // 2
    padded = np.zeros((height, width, channels), dtype=np.uint8)
    padded[top : top + inner_height, left : left + inner_width] = _stretch(pixels, inner_height, inner_width)
    return padded
