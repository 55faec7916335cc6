"""An npz in MedMNIST's layout (train_images, train_labels, val_..., test_...; Yang et al. 2023), and its pixels."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from itertools import chain
from pathlib import Path
from typing import IO
from zipfile import BadZipFile, ZipFile, ZipInfo

import numpy as np
from numpy.typing import NDArray

from diascope.core.errors import DataError
from diascope.data.decoded import Pixels
from diascope.data.table import SourceTable

_SIDES = {"train": "training", "val": "validation", "test": "test"}
_REMEDY = "expected MedMNIST's layout: train_images, train_labels and perhaps val_..., test_..."
_AGAIN = "download or save it again"
_CHUNK = 256


@dataclass(frozen=True)
class _Header:
    shape: tuple[int, ...]
    dtype: np.dtype[np.generic]


def read_npz(file: Path) -> tuple[SourceTable, dict[str, int]]:
    """The images of an npz, named train/000000 and so on, and how many each array of images holds, in order."""
    with _opened(file) as archive:
        names = set(archive.namelist())
        sides = [side for side in _SIDES if f"{side}_images.npy" in names]
        if "train" not in sides:
            raise DataError("no array train_images in it", where=str(file), remedy=_REMEDY)
        labels = {side: _labels(file, archive, side) for side in sides}
        counts = {side: _image_count(file, archive, side, len(labels[side])) for side in sides}
    table = SourceTable(
        paths=[f"{side}/{row:06d}" for side in sides for row in range(counts[side])],
        labels=[str(label) for side in sides for label in labels[side].tolist()],
        splits=[_SIDES[side] for side in sides for _ in range(counts[side])] if len(sides) > 1 else None,
    )
    return table, {f"{side}_images": counts[side] for side in sides}


def npz_pixels(file: Path, array: str) -> Iterator[Pixels]:
    """Every image (H, W, C) of one array in order, a few at a time in memory."""
    with _opened(file) as archive, archive.open(_member(file, archive, array)) as stream:
        header = _header(file, array, stream)
        shape = header.shape[1:] if len(header.shape) == 4 else (*header.shape[1:], 1)
        size = int(np.prod(shape)) * header.dtype.itemsize
        for start in range(0, header.shape[0], _CHUNK):
            rows = min(_CHUNK, header.shape[0] - start)
            data = _exactly(file, array, stream, rows * size)
            yield from np.frombuffer(data, header.dtype).reshape(rows, *shape).astype(header.dtype.newbyteorder("="))


def npz_rows(file: Path, arrays: Iterable[str], numbers: Sequence[int]) -> Iterator[Pixels]:
    """The images of these numbers, which must ascend and count through the arrays, in one pass as far as the last."""
    wanted = iter(numbers)
    number = next(wanted, None)
    for place, pixels in enumerate(chain.from_iterable(npz_pixels(file, array) for array in arrays)):
        if number is None:
            return
        if place == number:
            yield pixels
            number = next(wanted, None)


def _opened(file: Path) -> ZipFile:
    try:
        return ZipFile(file)
    except BadZipFile as error:
        raise DataError(f"not a complete npz file ({error})", where=str(file), remedy=_AGAIN) from error
    except OSError as error:
        raise DataError(f"cannot be read: {error.strerror}", where=str(file), remedy="check its permissions") from error


def _member(file: Path, archive: ZipFile, array: str) -> ZipInfo:
    try:
        return archive.getinfo(f"{array}.npy")
    except KeyError as error:
        raise DataError(f"no array {array} in it", where=str(file), remedy=_REMEDY) from error


def _header(file: Path, array: str, stream: IO[bytes]) -> _Header:
    try:
        version = np.lib.format.read_magic(stream)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, fortran, dtype = read(stream)
    except (ValueError, BadZipFile) as error:
        raise DataError(f"{array} is damaged ({error})", where=str(file), remedy=_AGAIN) from error
    if fortran and len(shape) > 1:
        raise DataError(
            f"{array} is stored in Fortran order", where=str(file), remedy="save np.ascontiguousarray of it"
        )
    return _Header(shape, dtype)


def _exactly(file: Path, array: str, stream: IO[bytes], size: int) -> bytes:
    try:
        data = stream.read(size)
    except (BadZipFile, OSError, EOFError) as error:
        raise DataError(f"{array} is damaged ({error})", where=str(file), remedy=_AGAIN) from error
    if len(data) < size:
        raise DataError(f"{array} is truncated", where=str(file), remedy=_AGAIN)
    return data


def _labels(file: Path, archive: ZipFile, side: str) -> NDArray[np.integer]:
    """(N,) numbers of classes, from (N,) or (N, 1)."""
    name = f"{side}_labels"
    with archive.open(_member(file, archive, name)) as stream:
        header = _header(file, name, stream)
        columns = int(np.prod(header.shape[1:]))
        if columns != 1 or not np.issubdtype(header.dtype, np.integer):
            what = f"{name} is {header.dtype} {header.shape}; expected one integer an image, (N,) or (N, 1)"
            raise DataError(what, where=str(file), remedy="several labels at once are not supported")
        data = _exactly(file, name, stream, header.shape[0] * header.dtype.itemsize)
    return np.frombuffer(data, header.dtype)


def _image_count(file: Path, archive: ZipFile, side: str, labels: int) -> int:
    name = f"{side}_images"
    with archive.open(_member(file, archive, name)) as stream:
        header = _header(file, name, stream)
    flat = len(header.shape) == 3 or (len(header.shape) == 4 and header.shape[3] in (1, 3))
    if not flat or header.dtype.kind != "u" or header.dtype.itemsize > 2:
        what = (
            f"{name} is {header.dtype} {header.shape}; expected uint8 or uint16 (N, H, W), (N, H, W, 1) or (N, H, W, 3)"
        )
        raise DataError(what, where=str(file), remedy="volumes and floating point pixels are not supported")
    if header.shape[0] != labels:
        raise DataError(f"{header.shape[0]:,} images but {labels:,} labels in {side}", where=str(file), remedy=_REMEDY)
    return header.shape[0]
