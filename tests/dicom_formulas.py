"""What DICOM PS3.3 says of gray values, as formulas of NumPy: the oracle of the tests of DICOM pixels."""

import numpy as np

from diascope.data.readers import decode

CT = np.array([[0, 1, 100, 1023], [1024, 1500, 2048, 4095]], dtype=np.uint16)


def gray(data: bytes) -> np.ndarray:
    return decode(data, 1).pixels[:, :, 0]


def deep(shown: np.ndarray) -> np.ndarray:
    """0 to 1 as 16 bits."""
    return np.rint(np.clip(shown, 0, 1) * 65535).astype(np.uint16)


def linear(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.2.1, with y from 0 to 1."""
    inside = ((values - (center - 0.5)) / max(width - 1, 1e-300)) + 0.5
    low, high = center - 0.5 - (width - 1) / 2, center - 0.5 + (width - 1) / 2
    return np.where(values <= low, 0, np.where(values > high, 1, inside))


def linear_exact(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.2."""
    inside = (values - center) / width + 0.5
    return np.where(values <= center - width / 2, 0, np.where(values > center + width / 2, 1, inside))


def sigmoid(values: np.ndarray, center: float, width: float) -> np.ndarray:
    """PS3.3 C.11.2.1.3.1."""
    return 1 / (1 + np.exp(-4 * (values - center) / width))
