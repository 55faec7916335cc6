"""The images of an index, read from wherever they are and brought to the size that the network sees."""

from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from diascope.core.errors import DataError
from diascope.data.decoded import MissingCodecError, Pixels, with_channels
from diascope.data.gray_depth import gray_depth
from diascope.data.image_file import read_image_file
from diascope.data.index import Arrays, ImageIndex, PhantomNumber
from diascope.data.npz import npz_rows
from diascope.data.readers import decode, decode_image, os_reason, spread_over_16
from diascope.data.resize import resize
from diascope.data.threads import in_threads

if TYPE_CHECKING:
    from diascope.config import DataConfig


@dataclass(frozen=True)
class Prepared:
    """Pixels (H, W, C) uint8 of the final size; width, height and mode (see Decoded) of the original."""

    pixels: NDArray[np.uint8]
    width: int
    height: int
    mode: str


def prepared_images(index: ImageIndex, rows: list[int], config: "DataConfig", jobs: int) -> Iterator[Prepared | str]:
    """The images of these rows, which must ascend, or the reason why one cannot be read, by `jobs` threads.

    Where data.bits is auto, it is the depth of all images of the index.
    """
    if config.bits == "auto":
        config = config.model_copy(update={"bits": gray_depth(index, config).bits})
    if isinstance(index.origin, Arrays):
        for stored in npz_rows(index.origin.file, index.origin.counts, index.numbers[rows].tolist()):
            pixels = spread_over_16(stored, _bits(config))
            yield _fit(pixels, "RGB" if pixels.shape[2] == 3 else "L", config)
        return
    yield from in_threads(lambda row: _prepare(index, row, config), rows, jobs)


def prepare_image(image: str | Path | bytes | Pixels, config: "DataConfig") -> Prepared:
    """An image that need not be of a data set: a file, its bytes, or pixels (H, W) or (H, W, C) as a file has them.

    Raises DataError, with the file's path as its place, for whatever cannot be read.
    """
    if isinstance(image, np.ndarray):
        if image.dtype not in (np.uint8, np.uint16) or image.ndim not in (2, 3) or image.size == 0:
            what = f"an array of {image.dtype} with the shape {image.shape} is not an image"
            raise DataError(what, where="array", remedy="give uint8 or uint16 of the shape (H, W) or (H, W, 1 or 3)")
        pixels = spread_over_16(image if image.ndim == 3 else image[:, :, None], _bits(config))
        return _fit(pixels, "RGB" if pixels.shape[2] == 3 else "L", config)
    decoded = decode_image(image, config.channels, config.frame, _bits(config))
    return _fit(decoded.pixels, decoded.mode, config)


def _prepare(index: ImageIndex, row: int, config: "DataConfig") -> Prepared | str:
    location = index.locate(row)
    try:
        if isinstance(location, Path):
            image = decode(read_image_file(location), config.channels, config.frame, _bits(config))
            return _fit(image.pixels, image.mode, config)
        assert isinstance(location, PhantomNumber)
        return _draw(location, config)
    except OSError as error:
        return os_reason(error)
    except MissingCodecError as error:  # kept as this file's fault it would outlast the installation of the codec
        raise MissingCodecError(error.transfer_syntax, where=str(location)) from error
    except DataError as error:
        return str(error)  # with the remedy, where one is known


def _bits(config: "DataConfig") -> int:
    assert config.bits != "auto"
    return config.bits


def _draw(location: PhantomNumber, config: "DataConfig") -> Prepared:
    from diascope.data import phantoms

    pixels = phantoms.draw(location.kind, location.config, location.number).pixels
    return _fit(pixels, "L" if pixels.shape[2] == 1 else "RGB", config)


def _fit(pixels: Pixels, mode: str, config: "DataConfig") -> Prepared:
    height, width = pixels.shape[:2]
    fitted = resize(with_channels(pixels, config.channels), config.height, config.width, config.resize)
    return Prepared(fitted, width, height, mode)
