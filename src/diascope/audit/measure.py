"""The pass over the original images that all checks of the audit share: index -> Facts, kept in the cache by content.

Thumbnails and corners are written as they come and read from disk, so that 100,000 images take some 100 MB of memory.

    CACHE/audit/<key>/manifest.json  columns.json  numbers.npz  thumbnails.npy  corners.npy
"""

import json
from collections.abc import Callable, Iterator
from dataclasses import dataclass, fields
from hashlib import sha256
from pathlib import Path
from typing import Any

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from diascope.audit.facts import CORNER, THUMBNAIL, Facts
from diascope.audit.header import Header, read_header
from diascope.audit.numbers import Numbers, numbers_of
from diascope.core.errors import DataError
from diascope.core.files import array_header
from diascope.data import store
from diascope.data.cache import Steps
from diascope.data.decoded import MissingCodecError, Pixels
from diascope.data.identities import identify
from diascope.data.image_file import read_image_file
from diascope.data.index import Arrays, Files, ImageIndex, PhantomNumber
from diascope.data.npz import npz_rows
from diascope.data.readers import VERSION, decode, os_reason, spread_over_16
from diascope.data.threads import in_threads

_FORMAT = 1  # of the folder and of what is measured; part of the key
_STRINGS = ("digests", "pixel_digests", "formats", "compressions", "cameras", "modes")
_ARRAYS = {"thumbnails": (THUMBNAIL, THUMBNAIL), "corners": (4, CORNER, CORNER)}


@dataclass(frozen=True, eq=False)
class Measured:
    """The index without what cannot be read, its facts, and the reason by path for what cannot."""

    index: ImageIndex
    facts: Facts
    unreadable: dict[str, str]


@dataclass(frozen=True)
class _One:
    """One image: size of the file in bytes, what its header says, the mode that it had, and its numbers."""

    size: int
    header: Header
    mode: str
    numbers: Numbers


def measure(
    index: ImageIndex,
    *,
    frame: int | None = None,
    bits: int = 16,
    pixels: NDArray[np.uint8] | None = None,
    jobs: int | None = None,
    progress: Callable[[int, int], None] | None = None,
) -> Measured:
    """Measure the images of an index by `jobs` threads (default: one a core), unless the cache holds it already.

    `frame` is data.frame, `bits` the depth of gray images (see GrayDepth). `pixels` (N, H, W, C) are measured in place
    of drawn images, which cost more to draw again.
    Raises DataError where no image can be read, or the disk of the cache does not do.
    """
    workers, steps = jobs or cpu_count(), Steps(progress)
    identities, reasons = identify(index, workers, steps)
    rows = [row for row, identity in enumerate(identities) if identity is not None]
    shown = repr(frame or "") if pixels is None else repr(pixels.shape[1:])
    settings = repr((_FORMAT, VERSION, THUMBNAIL, CORNER, shown, *(() if bits == 16 else (bits,))))
    key = sha256("\n".join([settings, *(str(identities[row]) for row in rows)]).encode()).hexdigest()[:32]

    def build(folder: Path) -> None:
        steps.next()
        _build(folder, index, {row: identities[row] or "" for row in rows}, frame, bits, pixels, workers, steps)

    folder, _ = store.obtain("audit", key, _is_whole, build)
    manifest = store.read_manifest(folder) or {}
    reasons |= {rows[int(place)]: reason for place, reason in manifest["unreadable"].items()}
    if len(reasons) == len(index):
        first = f"{index.paths[0]}: {reasons[0]}"
        raise DataError(f"no image can be read ({first})", where=index.source, remedy="replace the files")
    readable = index.subset([row for row in range(len(index)) if row not in reasons]) if reasons else index
    return Measured(readable, _load(folder), {index.paths[row]: reason for row, reason in sorted(reasons.items())})


def _build(
    folder: Path,
    index: ImageIndex,
    identities: dict[int, str],
    frame: int | None,
    bits: int,
    pixels: NDArray[np.uint8] | None,
    jobs: int,
    steps: Callable[[int, int], None],
) -> None:
    """Measure the images of these rows into the folder; identities of files are their digests."""
    rows, of_files = list(identities), isinstance(index.origin, Files)
    size = sum(int(np.prod(shape)) for shape in _ARRAYS.values()) * len(rows)
    store.require_space(folder, size, "thumbnails for the audit", "fewer images")
    unreadable: dict[str, str] = {}
    found: dict[str, list[Any]] = {field.name: [] for field in fields(Facts) if field.name not in _ARRAYS}
    with (folder / "thumbnails.npy").open("wb") as thumbnails, (folder / "corners.npy").open("wb") as corners:
        streams = {"thumbnails": thumbnails, "corners": corners}
        for name, stream in streams.items():
            stream.write(array_header((0, *_ARRAYS[name]), "uint8"))
        for place, one in enumerate(_each(index, rows, frame, bits, pixels, jobs)):
            if isinstance(one, str):
                unreadable[str(place)] = one
            else:
                thumbnails.write(np.ascontiguousarray(one.numbers.thumbnail).data)
                corners.write(np.ascontiguousarray(one.numbers.corners).data)
                _append(found, one, identities[rows[place]] if of_files else one.numbers.pixel_digest)
            steps(place + 1, len(rows))
        for name, stream in streams.items():
            stream.seek(0)
            stream.write(array_header((len(found["bytes"]), *_ARRAYS[name]), "uint8"))
    strings = {name: found.pop(name) for name in _STRINGS}
    (folder / "columns.json").write_text(json.dumps(strings), encoding="utf-8")
    whole = {"bytes", "bits", "widths", "heights"}
    numbers: dict[str, Any] = {
        name: np.array(cells, np.int64 if name in whole else np.float64) for name, cells in found.items()
    }
    numbers["means"] = numbers["means"].reshape(-1, 3)
    np.savez(folder / "numbers.npz", **numbers)
    manifest = {"source": index.source, "images": len(numbers["bytes"]), "reader": VERSION, "unreadable": unreadable}
    store.write_manifest(folder, manifest, ("columns.json", "numbers.npz", *(f"{name}.npy" for name in _ARRAYS)))


def _append(found: dict[str, list[Any]], one: _One, digest: str) -> None:
    numbers = one.numbers
    row = {
        "digests": digest,
        "pixel_digests": numbers.pixel_digest,
        "bytes": one.size,
        "formats": one.header.format,
        "compressions": one.header.compression,
        "cameras": one.header.camera,
        "modes": one.mode,
        "bits": numbers.bits,
        "widths": numbers.width,
        "heights": numbers.height,
        "means": numbers.means,
        "deviations": numbers.deviation,
        "dark": numbers.dark,
        "bright": numbers.bright,
        "sharpness": numbers.sharpness,
    }
    for name, value in row.items():
        found[name].append(value)


def _each(
    index: ImageIndex, rows: list[int], frame: int | None, bits: int, pixels: NDArray[np.uint8] | None, jobs: int
) -> Iterator[_One | str]:
    """The images of these rows in order, or the reason why one cannot be read."""
    if isinstance(index.origin, Arrays):
        for stored in npz_rows(index.origin.file, index.origin.counts, index.numbers[rows].tolist()):
            yield _of_pixels(spread_over_16(stored, bits))
        return
    yield from in_threads(lambda row: _one(index, row, frame, bits, pixels), rows, jobs)


def _one(index: ImageIndex, row: int, frame: int | None, bits: int, pixels: NDArray[np.uint8] | None) -> _One | str:
    location = index.locate(row)
    try:
        if isinstance(location, Path):
            data = read_image_file(location)
            image = decode(data, 3, frame, bits)
            return _One(len(data), read_header(data), image.mode, numbers_of(image.pixels))
        assert isinstance(location, PhantomNumber)
        return _of_pixels(_draw(location) if pixels is None else pixels[row])
    except OSError as error:
        return os_reason(error)
    except MissingCodecError as error:  # kept as this file's fault it would outlast the installation of the codec
        raise MissingCodecError(error.transfer_syntax, where=str(location)) from error
    except DataError as error:
        return str(error)  # with the remedy, where one is known


def _draw(location: PhantomNumber) -> Pixels:
    from diascope.data import phantoms

    return phantoms.draw(location.kind, location.config, location.number).pixels


def _of_pixels(pixels: Pixels) -> _One:
    return _One(0, Header(), "RGB" if pixels.shape[2] == 3 else "L", numbers_of(np.ascontiguousarray(pixels)))


def _is_whole(folder: Path) -> bool:
    """Raises what reading a damaged folder raises."""
    manifest = store.read_manifest(folder)
    if manifest is None or not isinstance(manifest.get("unreadable"), dict):
        return False
    facts = _load(folder)
    return all(len(getattr(facts, field.name)) == manifest.get("images") for field in fields(Facts))


def _load(folder: Path) -> Facts:
    strings = json.loads((folder / "columns.json").read_text(encoding="utf-8"))
    with (folder / "numbers.npz").open("rb") as stream, np.load(stream) as numbers:  # load leaves damaged ones open
        arrays = {name: np.load(folder / f"{name}.npy", mmap_mode="r") for name in _ARRAYS}
        return Facts(**{name: strings[name] for name in _STRINGS}, **dict(numbers), **arrays)
