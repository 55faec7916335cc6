"""Text that is burned into pictures, read by RapidOCR, whose models lie within its wheel.

It reads words and numbers well, and misses many letters that stand alone, such as the R or L of an X-ray: the check of
corners finds those.
"""

from dataclasses import dataclass
from functools import cache
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image

_INSTALL = "pip install 'diascope[text]'"
_LONGEST = 960  # pixels: larger pictures are shrunk, as the time of reading grows with their area
_DETECTED_AT = 480  # pixels of the shorter side: smaller pictures are enlarged to it, or small letters are missed
_SURE = 0.6  # confidence from which a box is text
_TALL, _WIDE = 0.2, 0.8  # of the picture: what is larger is a bone or a lesion that looks like a letter
_SECONDS = 0.3  # to read a picture of 480 x 480 pixels on one core


@dataclass(frozen=True)
class TextBox:
    """One piece of text and its upright box, in pixels of the picture; confidence from 0 to 1."""

    left: float
    top: float
    right: float
    bottom: float
    text: str
    confidence: float


class TextReader:
    """Reads text from pictures, in one thread, some 0.3 seconds each."""

    def __init__(self) -> None:
        self._engine = _engine()

    @staticmethod
    @cache
    def missing() -> str | None:
        """Why text cannot be read here, with the remedy; None where it can."""
        try:
            _engine()
        except ImportError as error:  # no package, or OpenCV without a library of the system
            if "libGL" in str(error) or "libgthread" in str(error) or "libglib" in str(error):
                return f"OpenCV does not find a library of the system ({error}): install libgl1 and libglib2.0-0"
            return f"the package rapidocr or its runtime is not installed ({error}): {_INSTALL}"
        return None

    def boxes(self, pixels: NDArray[np.uint8]) -> list[TextBox]:
        """The text in a picture (H, W, C) uint8, C 1 or 3, in no order that means anything."""
        picture, scale = _fitted(pixels)
        found = self._engine(picture)
        if found.boxes is None or found.txts is None:
            return []
        boxes = []
        for corners, text, confidence in zip(found.boxes, found.txts, found.scores, strict=True):
            (left, top), (right, bottom) = np.min(corners, axis=0) / scale, np.max(corners, axis=0) / scale
            small = bottom - top <= _TALL * pixels.shape[0] and right - left <= _WIDE * pixels.shape[1]
            if confidence >= _SURE and text.strip() and small:
                boxes.append(TextBox(float(left), float(top), float(right), float(bottom), text, float(confidence)))
        return boxes


def reading_time(height: int, width: int) -> float:
    """Seconds that reading a picture takes, roughly, on one free core."""
    scale = min(1.0, _LONGEST / max(height, width))
    scale = max(scale, _DETECTED_AT / min(height, width))
    return _SECONDS * min(height * width * scale**2 / _DETECTED_AT**2, 8)


def _engine() -> Any:
    """Imported late: it takes a second, and OpenCV needs libraries that bare machines lack."""
    from rapidocr import RapidOCR

    settings = {
        "Global.log_level": "critical",
        "Global.use_cls": False,  # upside-down text is rare, and asking costs time
        "Det.limit_side_len": _DETECTED_AT,
        "EngineConfig.onnxruntime.intra_op_num_threads": 1,
        "EngineConfig.onnxruntime.inter_op_num_threads": 1,
    }
    return RapidOCR(params=settings)


def _fitted(pixels: NDArray[np.uint8]) -> tuple[NDArray[np.uint8], float]:
    """RGB, at most so many pixels long, and its size relative to the picture's."""
    if pixels.shape[2] == 1:
        pixels = np.repeat(pixels, 3, axis=2)
    height, width = pixels.shape[:2]
    scale = min(1.0, _LONGEST / max(height, width))
    if scale == 1:
        return np.ascontiguousarray(pixels), 1.0
    size = (max(1, round(width * scale)), max(1, round(height * scale)))
    return np.asarray(Image.fromarray(pixels).resize(size, Image.Resampling.BILINEAR)), scale
