"""What one pass over the images of a data set found out about each; the checks of the audit work on it alone."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diascope.data.index import ImageIndex

if TYPE_CHECKING:
    from diascope.config import DataConfig
    from diascope.data.split import Folds

THUMBNAIL = 64  # height and width of thumbnails, in pixels
CORNER = 16  # height and width of a shrunken corner, in pixels
CORNER_SHARE = 0.2  # of height and width: how much of the image a corner is


@dataclass(frozen=True, eq=False)
class Facts:
    """N readable images; every array and list has an entry an image, in the order of the index."""

    digests: list[str]  # of the file's bytes; of the pixels where images are no files
    pixel_digests: list[str]  # of the decoded pixels: equal for the same picture in another lossless file
    bytes: NDArray[np.int64]  # (N,) size of the file; 0 where images are no files
    formats: list[str]  # JPEG, PNG, TIFF, BMP, WEBP, DICOM; "" where images are no files
    compressions: list[str]  # JPEG's quantization as text, PNG's or TIFF's method, DICOM's transfer syntax; "" unknown
    cameras: list[str]  # EXIF's make, model and software; never a name, a date or a place; "" without
    modes: list[str]  # Pillow's name: L, RGB, P, I;16 ...
    bits: NDArray[np.int64]  # (N,) of a sample
    widths: NDArray[np.int64]  # (N,) pixels, upright
    heights: NDArray[np.int64]  # (N,)
    means: NDArray[np.float64]  # (N, 3) mean of red, green, blue, 0 to 1; three equal numbers of a gray image
    deviations: NDArray[np.float64]  # (N,) standard deviation of gray, 0 to 1
    dark: NDArray[np.float64]  # (N,) share of pixels at the lowest level of their type
    bright: NDArray[np.float64]  # (N,) share of pixels at the highest
    sharpness: NDArray[np.float64]  # (N,) variance of the Laplacian of gray, 0 to 1, at 256 pixels' longer side
    thumbnails: NDArray[np.uint8]  # (N, THUMBNAIL, THUMBNAIL) gray, stretched
    corners: NDArray[np.uint8]  # (N, 4, CORNER, CORNER) gray: upper left, upper right, lower left, lower right

    def __len__(self) -> int:
        return len(self.digests)


@dataclass(frozen=True, eq=False)
class Audited:
    """What every check gets: the readable images, what is known of them, and the split that is planned, if one is.

    `unreadable` maps paths to reasons; `index` and `facts` do not hold those images. `all_text`: read every image for
    burned-in text, however long it takes. `pictures` takes what checks draw, PNG by file name; None: nothing is drawn.
    """

    index: ImageIndex
    facts: Facts
    config: "DataConfig"
    folds: "Folds | None" = None
    unreadable: dict[str, str] | None = None
    all_text: bool = False
    pictures: dict[str, bytes] | None = None
