"""Erase a part of an image: fill it smoothly from its surroundings, as a soap film fills a wire frame.

Every erased pixel becomes the mean of its neighbours (Laplace's equation), the image's own edge being free.
"""

import numpy as np
from numpy.typing import NDArray

from diascope.probes.regions import Mask

_STEPS = ((0, 1), (0, -1), (1, 0), (-1, 0))


def erased(images: NDArray[np.uint8], mask: Mask) -> NDArray[np.uint8]:
    """Images (N, H, W, C) without what lies within the mask (H, W); black where nothing is left to fill from."""
    from scipy.sparse import coo_array
    from scipy.sparse.linalg import splu

    filled = images.copy()
    if not mask.any():
        return filled
    if mask.all():
        return np.zeros_like(images)
    height, width = mask.shape
    number = np.full(mask.shape, -1)
    number[mask] = np.arange(mask.sum())
    y, x = np.nonzero(mask)
    unknown, equations, columns, weights = np.arange(len(y)), [], [], []
    neighbours = np.zeros(len(y))
    known = np.zeros((len(y), len(images) * images.shape[3]))
    flat = images.transpose(1, 2, 0, 3).reshape(height, width, -1)
    for down, right in _STEPS:
        inside = (y + down >= 0) & (y + down < height) & (x + right >= 0) & (x + right < width)
        place = unknown[inside]
        beside = number[y[inside] + down, x[inside] + right]
        neighbours[place] += 1
        is_unknown = beside >= 0
        equations.append(place[is_unknown])
        columns.append(beside[is_unknown])
        weights.append(np.full(int(is_unknown.sum()), -1.0))
        outside = place[~is_unknown]
        known[outside] += flat[y[outside] + down, x[outside] + right]
    entries = (
        np.concatenate([neighbours, *weights]),
        (np.concatenate([unknown, *equations]), np.concatenate([unknown, *columns])),
    )
    solved = splu(coo_array(entries, shape=(len(y), len(y))).tocsc()).solve(known)
    values = np.rint(np.clip(solved, 0, 255)).astype(np.uint8)
    filled[:, y, x] = values.reshape(len(y), len(images), -1).transpose(1, 0, 2)
    return filled
