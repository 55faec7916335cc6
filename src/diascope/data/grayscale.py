"""Stored values of a gray DICOM image -> what a viewer shows of them (PS3.3 C.11): modality LUT, then VOI LUT.

The steps work on the levels that an image can have, not on its pixels: at most 65,536 numbers for 16 bits.
"""

import numpy as np
from numpy.typing import NDArray
from pydicom import Dataset
from pydicom.pixels.processing import apply_windowing

from diascope.core.errors import DataError

Levels = NDArray[np.float64]
_FUNCTIONS = ("LINEAR", "LINEAR_EXACT", "SIGMOID")
_OF_FRAMES = ("SharedFunctionalGroupsSequence", "PerFrameFunctionalGroupsSequence")
_TRANSFORMS = ("PixelValueTransformationSequence", "FrameVOILUTSequence")


def shown(stored: NDArray[np.integer], dataset: Dataset, frame: int) -> NDArray[np.uint8 | np.uint16]:
    """Stored values (H, W) of the frame (counted from 0) -> gray (H, W), black at 0, white at the highest level.

    uint8 for up to 8 bits stored, uint16 for more. The first VOI LUT counts, else the first window. Without both, up
    to 8 bits keep the whole range that they can store, and more bits are spread from the smallest value of the image
    to its largest, leaving out pixel padding. MONOCHROME1 is inverted after that.

    Raises DataError for a transformation that shows nothing.
    """
    transform = _of_frame(dataset, frame)
    bits = int(dataset.BitsStored)
    levels, places = _levels(stored, bits)
    values, span = _modality(levels, transform, bits, signed=dataset.PixelRepresentation == 1)
    gray = _voi(values, transform)
    if gray is None:
        if bits > 8:
            span = _extremes(values, _seen(levels, places, transform))
        gray = _spread(values, *span)
    if dataset.PhotometricInterpretation == "MONOCHROME1":
        gray = 1 - gray
    top, dtype = (255, np.uint8) if bits <= 8 else (65535, np.uint16)
    table: NDArray[np.uint8 | np.uint16] = np.rint(gray * top).astype(dtype)
    return table[places]


def _of_frame(dataset: Dataset, frame: int) -> Dataset:
    """The transformation of one frame, which enhanced multi-frame images keep in functional groups."""
    transform = Dataset()
    transform.update(dataset)
    for name, number in zip(_OF_FRAMES, (0, frame), strict=True):
        groups = dataset.get(name) or []
        for sequence in _TRANSFORMS if number < len(groups) else ():
            for item in (groups[number].get(sequence) or [])[:1]:
                transform.update(item)
    return transform


def _levels(stored: NDArray[np.integer], bits: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """Levels in rising order, and the place of each pixel's among them."""
    if bits > 16:
        levels, places = np.unique(stored.astype(np.int64), return_inverse=True)
        return levels, places.reshape(stored.shape)
    lowest = int(stored.min())
    return np.arange(lowest, int(stored.max()) + 1), stored.astype(np.int64) - lowest


def _modality(
    levels: NDArray[np.int64], transform: Dataset, bits: int, *, signed: bool
) -> tuple[Levels, tuple[float, float]]:
    """Values in the unit of the modality, such as Hounsfield's, and the range that they may have (C.11.1)."""
    if transform.get("ModalityLUTSequence"):
        return _look_up(levels.astype(np.float64), transform.ModalityLUTSequence[0])
    slope, intercept = _number(transform, "RescaleSlope", 1), _number(transform, "RescaleIntercept", 0)
    low, high = (-(2 ** (bits - 1)), 2 ** (bits - 1) - 1) if signed else (0, 2**bits - 1)
    ends = (low * slope + intercept, high * slope + intercept)
    if not np.isfinite(ends).all():
        raise DataError(f"its rescale slope {slope:g} and intercept {intercept:g} give values that are not finite")
    if ends[0] == ends[1]:
        raise DataError(f"its rescale slope {slope:g} and intercept {intercept:g} make every pixel the same")
    values = levels.astype(np.float64) * slope + intercept
    return values, (min(ends), max(ends))


def _voi(values: Levels, transform: Dataset) -> Levels | None:
    """Values of interest from 0, black, to 1, white (C.11.2); None where the image says nothing of them."""
    if transform.get("VOILUTSequence"):
        entries, span = _look_up(values, transform.VOILUTSequence[0])
        return _spread(entries, *span)
    if _first(transform, "WindowCenter") is None or _first(transform, "WindowWidth") is None:
        return None
    function = str(transform.get("VOILUTFunction") or "LINEAR").upper()
    if function not in _FUNCTIONS:
        raise DataError(f"its VOI LUT function is not one of {', '.join(_FUNCTIONS)}")
    center, width = _number(transform, "WindowCenter", 0), _number(transform, "WindowWidth", 0)
    if not np.isfinite((center, width)).all():
        raise DataError(f"its window, {width:g} wide around {center:g}, is not finite")
    if width <= 0 or (function == "LINEAR" and width < 1):
        raise DataError(f"its window is {width:g} wide, which shows nothing")
    unit = Dataset()  # of one bit, so that the window's range becomes 0 to 1
    unit.PhotometricInterpretation, unit.BitsStored, unit.PixelRepresentation = "MONOCHROME2", 1, 0
    unit.WindowCenter, unit.WindowWidth = str(center), str(width)
    unit.VOILUTFunction = function
    with np.errstate(over="ignore"):  # far below a sigmoid's centre: exp is infinite, and what is shown is 0
        windowed: Levels = apply_windowing(values, unit)
    return windowed


def _look_up(values: Levels, item: Dataset) -> tuple[Levels, tuple[float, float]]:
    """Through a table, values outside of it through its ends, and the range of its entries (C.11.1.1, C.11.2.1.1).

    pydicom 3.0 counts places in a table of 8-bit entries with 8 bits, so that longer ones come out wrong.
    """
    count, first, bits = (int(number) for number in item.LUTDescriptor)
    count = count or 65536
    table = item.LUTData
    if isinstance(table, bytes):
        words = ">u2" if item.original_encoding[1] is False else "<u2"
        table = np.frombuffer(table, np.uint8 if bits <= 8 and len(table) < 2 * count else words)
    entries = np.asarray(table, dtype=np.float64).ravel()[:count]
    if len(entries) < count or not 8 <= bits <= 16:
        raise DataError(f"a look-up table of it holds {len(entries):,} of {count:,} entries of {bits} bits")
    places = np.clip(np.rint(values) - first, 0, count - 1).astype(np.int64)
    return entries[places], (0, 2**bits - 1)


def _seen(levels: NDArray[np.int64], places: NDArray[np.int64], transform: Dataset) -> NDArray[np.bool_]:
    """The levels that pixels of the image have, without those of padding (C.7.5.1.1.2)."""
    seen: NDArray[np.bool_] = np.bincount(places.ravel(), minlength=len(levels)) > 0
    padding = transform.get("PixelPaddingValue")
    if padding is None:
        return seen
    limit = transform.get("PixelPaddingRangeLimit")
    low, high = sorted((int(padding), int(padding if limit is None else limit)))
    without: NDArray[np.bool_] = seen & ~((levels >= low) & (levels <= high))
    return without if without.any() else seen


def _extremes(values: Levels, seen: NDArray[np.bool_]) -> tuple[float, float]:
    return float(values[seen].min()), float(values[seen].max())


def _spread(values: Levels, low: float, high: float) -> Levels:
    """From low at 0 to high at 1; all 0 where an image has one value only."""
    if high == low:
        return np.zeros_like(values)
    spread: Levels = np.clip((values - low) / (high - low), 0, 1)
    return spread


def _first(transform: Dataset, name: str) -> float | None:
    value = transform.get(name)
    if value is None or value == "":
        return None
    return float(value) if not hasattr(value, "__len__") or isinstance(value, str) else float(value[0])


def _number(transform: Dataset, name: str, default: float) -> float:
    value = _first(transform, name)
    return default if value is None else value
