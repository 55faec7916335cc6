"""Whether two thumbnails show the same picture: the crop that aligns them best, and how well they then agree.

The crop is found by Gauss-Newton steps on the squared difference, many pairs at once (Lucas & Kanade 1981, in the
inverse compositional form of Baker & Matthews 2004, whose derivatives are taken once). What is compared are details,
not the large shapes that all images of a data set share: a difference of Gaussians is taken first.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from scipy.ndimage import gaussian_filter

from diascope.audit.perceptual import CROPS, oriented

FURTHEST = 0.08  # of the side: a crop that cuts or adds more at an edge is taken for another picture
_CHUNK = 64  # pairs at a time

Images = NDArray[np.float32]


@dataclass(frozen=True)
class _Level:
    """How finely a search goes on: thumbnails shrunken by `shrink`; what does not agree by `least` then is given up."""

    shrink: int
    steps: int
    least: float


_LEVELS = (_Level(4, 4, 0.85), _Level(2, 5, 0.87), _Level(1, 3, -1.0))
_FINE, _COARSE = 0.8, 2.5  # pixels of a level: details lie between these two blurs
_AROUND, _FLAT = 4.0, 1.0  # pixels, levels of gray: contrast is evened out over so far, where it is more than so much


def agreement(
    thumbnails: NDArray[np.uint8],
    first: NDArray[np.int64],
    second: NDArray[np.int64],
    orientation: NDArray[np.int64],
    crop: NDArray[np.int64],
) -> NDArray[np.float64]:
    """(M,): the correlation, -1 to 1, of the details of each pair where they overlap once they are aligned.

    thumbnails (N, T, T); `second` is turned by `orientation` first, and `crop` of `first` is where the search begins.
    What is far from agreeing at a lower resolution is not looked at more closely.
    """
    found = np.empty(len(first))
    for start in range(0, len(first), _CHUNK):
        part = slice(start, start + _CHUNK)
        turned = [oriented(thumbnails[row], turn) for row, turn in zip(second[part], orientation[part], strict=True)]
        edges = np.array(CROPS, np.float32)[crop[part]]
        found[part] = _agreement(np.stack(turned), thumbnails[first[part]], edges)
    return found


def _agreement(fixed: NDArray[np.generic], moving: NDArray[np.uint8], edges: Images) -> NDArray[np.float64]:
    """The crop of `moving` (top, bottom, left, right as shares) that shows what `fixed` shows, from `edges` on."""
    found = np.empty(len(fixed))
    rows = np.arange(len(fixed))
    for level in _LEVELS:
        if not len(rows):
            break
        still, other = _shrunken(fixed[rows], level.shrink), _shrunken(moving[rows], level.shrink)
        edges = _aligned(_details(still), _details(other), edges, level.steps)
        shown, inside = _cropped(other, edges)
        found[rows] = _correlation(_even(still), _even(shown), inside)
        kept = found[rows] >= level.least
        rows, edges = rows[kept], edges[kept]
    return found


def _shrunken(images: NDArray[np.generic], times: int) -> Images:
    """(M, T, T) -> (M, T / times, T / times), averaged."""
    side = images.shape[1] // times
    parts = images.reshape(len(images), side, times, side, times).astype(np.float32)
    shrunken: Images = parts.mean(axis=(2, 4))
    return shrunken


def _details(images: Images) -> Images:
    """What is neither as fine as noise nor as coarse as the whole, of SD 1."""
    band = _band(images)
    found: Images = band / (band.std(axis=(1, 2), keepdims=True) + 1e-3)
    return found


def _even(images: Images) -> Images:
    """Details whose contrast is the same everywhere, so that no outline outweighs all the rest."""
    band = _band(images)
    contrast = np.sqrt(np.maximum(_blur(band**2, _AROUND), 0))
    return (band / (contrast + _FLAT)).astype(np.float32)


def _band(images: Images) -> Images:
    return _blur(images, _FINE) - _blur(images, _COARSE)


def _blur(images: Images, sigma: float) -> Images:
    """As a product with a banded matrix, which for small images is faster than filtering them."""
    side = images.shape[1]
    weights = gaussian_filter(np.eye(side, dtype=np.float32), (0, sigma), mode="nearest")
    blurred: Images = weights.T @ images @ weights
    return blurred


def _aligned(fixed: Images, moving: Images, edges: Images, steps: int) -> Images:
    """Gauss-Newton steps from `edges` (M, 4) on."""
    side = fixed.shape[1]
    along = (np.arange(side, dtype=np.float32) + 0.5) / side
    down, across = np.gradient(fixed, axis=1) * side, np.gradient(fixed, axis=2) * side
    slopes = (down * (1 - along)[:, None], down * along[:, None], across * (1 - along), across * along)
    jacobian = np.stack(slopes, axis=1).reshape(len(fixed), 4, -1)
    normal = jacobian @ jacobian.transpose(0, 2, 1)
    normal += np.eye(4, dtype=np.float32) * (1e-3 * np.trace(normal, axis1=1, axis2=2)[:, None, None] + 1e-3)
    towards = np.linalg.solve(normal, jacobian)
    limits = np.array([0, 1, 0, 1], np.float32)
    for _ in range(steps):
        shown, inside = _cropped(moving, edges)
        missing = ((shown - fixed) * inside).reshape(len(fixed), -1, 1)
        step = np.clip((towards @ missing)[..., 0], -0.04, 0.04)
        edges = np.clip(edges - step, limits - FURTHEST, limits + FURTHEST).astype(np.float32)
    return edges


def _cropped(images: Images, edges: Images) -> tuple[Images, Images]:
    """The images (M, T, T) between these edges, brought back to their size, and 1 where they have pixels, else 0."""
    side = images.shape[1]
    rows, in_rows = _sampling(side, edges[:, 0], edges[:, 1])
    columns, in_columns = _sampling(side, edges[:, 2], edges[:, 3])
    shown = (rows @ images @ columns.transpose(0, 2, 1)).astype(np.float32)
    return shown, (in_rows[:, :, None] * in_columns[:, None, :]).astype(np.float32)


def _sampling(side: int, start: Images, stop: Images) -> tuple[Images, Images]:
    """(M, side, side): linear interpolation from a side to its part between two edges; (M, side): what lies inside."""
    centres = (np.arange(side, dtype=np.float32) + 0.5) / side
    place = (start[:, None] + (stop - start)[:, None] * centres) * side - 0.5
    inside = (place >= -0.5) & (place <= side - 0.5)
    place = np.clip(place, 0, side - 1)
    weights = np.maximum(0, 1 - np.abs(place[:, :, None] - np.arange(side, dtype=np.float32)))
    return weights.astype(np.float32), inside.astype(np.float32)


def _correlation(one: Images, other: Images, weights: Images) -> Images:
    """(M,): Pearson's correlation of two stacks of images, weighted pixel by pixel."""
    total = weights.sum(axis=(1, 2), keepdims=True) + 1e-6
    one = one - (one * weights).sum(axis=(1, 2), keepdims=True) / total
    other = other - (other * weights).sum(axis=(1, 2), keepdims=True) / total
    product = (one * other * weights).sum(axis=(1, 2))
    size = np.sqrt((one**2 * weights).sum(axis=(1, 2)) * (other**2 * weights).sum(axis=(1, 2)))
    found: Images = product / (size + 1e-6)
    return found
