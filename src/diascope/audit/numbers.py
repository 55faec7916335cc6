"""One image -> the numbers about it that the checks of the audit work on: colour, sharpness, thumbnail, corners."""

from dataclasses import dataclass
from hashlib import blake2b

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import laplace

from diascope.audit.facts import CORNER, CORNER_SHARE, THUMBNAIL
from diascope.data.decoded import Pixels, with_channels
from diascope.data.resize import resize

_SHARP_SIDE = 256  # pixels: sharpness is measured with the longer side at most this long


@dataclass(frozen=True, eq=False)
class Numbers:
    """Of one image; see the fields of the same names in Facts."""

    pixel_digest: str
    width: int
    height: int
    bits: int
    means: tuple[float, float, float]
    deviation: float
    dark: float
    bright: float
    sharpness: float
    thumbnail: NDArray[np.uint8]  # (THUMBNAIL, THUMBNAIL)
    corners: NDArray[np.uint8]  # (4, CORNER, CORNER)


def numbers_of(pixels: Pixels) -> Numbers:
    """Measure (H, W, 1 or 3) uint8 or uint16."""
    if pixels.shape[2] == 3 and _is_gray(pixels):
        pixels = np.ascontiguousarray(pixels[:, :, :1])  # gray that was stored as colour is the same picture
    height, width, channels = pixels.shape
    top = np.iinfo(pixels.dtype).max
    gray = with_channels(pixels, 1)
    means = [float(pixels[:, :, channel].mean()) / top for channel in range(channels)]
    red, green, blue = means if channels == 3 else means * 3
    return Numbers(
        pixel_digest=_digest(pixels),
        width=width,
        height=height,
        bits=pixels.dtype.itemsize * 8,
        means=(red, green, blue),
        deviation=float(gray.std(dtype=np.float32)) / top,
        dark=float((gray == 0).mean()),
        bright=float((gray == top).mean()),
        sharpness=_sharpness(gray),
        thumbnail=resize(gray, THUMBNAIL, THUMBNAIL, "stretch")[:, :, 0],
        corners=_corners(gray),
    )


def _is_gray(pixels: Pixels) -> bool:
    first = pixels[::16, ::16]  # most colour images are told by a few pixels
    if not (first == first[:, :, :1]).all():
        return False
    return bool((pixels == pixels[:, :, :1]).all())


def _digest(pixels: Pixels) -> str:
    digest = blake2b(f"{pixels.shape}{pixels.dtype}".encode(), digest_size=16)
    digest.update(np.ascontiguousarray(pixels).data)
    return digest.hexdigest()


def _sharpness(gray: Pixels) -> float:
    height, width = gray.shape[:2]
    scale = min(1.0, _SHARP_SIDE / max(height, width))
    small = resize(gray, max(1, round(height * scale)), max(1, round(width * scale)), "stretch")[:, :, 0]
    return float(laplace(small.astype(np.float32) / 255).var())


def _corners(gray: Pixels) -> NDArray[np.uint8]:
    height, width = gray.shape[:2]
    rows, columns = max(1, round(height * CORNER_SHARE)), max(1, round(width * CORNER_SHARE))
    parts = [part for band in (gray[:rows], gray[-rows:]) for part in (band[:, :columns], band[:, -columns:])]
    return np.stack([_shrunken(part) for part in parts])


def _shrunken(part: Pixels) -> NDArray[np.uint8]:
    return resize(np.ascontiguousarray(part), CORNER, CORNER, "stretch")[:, :, 0]
