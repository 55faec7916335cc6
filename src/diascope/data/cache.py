"""Images decoded and resized once -> a memory-mapped uint8 array (N, H, W, C), shared by all studies.

Keyed by content: the digests of the files, the preprocessing and the reader's version. Names, labels and groups have
no part in it, so that renamed or relabelled images are not decoded again.
"""

import csv
from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from math import prod
from pathlib import Path
from typing import TYPE_CHECKING, Literal

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray

from diascope.core.errors import DataError
from diascope.core.files import array_header
from diascope.core.findings import Finding
from diascope.data import store
from diascope.data.gray_depth import gray_depth
from diascope.data.identities import identify
from diascope.data.index import ImageIndex
from diascope.data.prepare import prepared_images
from diascope.data.readers import READS, VERSION

if TYPE_CHECKING:
    from diascope.config import DataConfig

Progress = Callable[[int, int], None]
_FORMAT = 1  # of the folder; part of the key, so that another layout is another folder
_LISTED = 20


@dataclass(frozen=True, eq=False)
class ImageCache:
    """`pixels` (N, H, W, C) uint8, read-only, row by row the images of the index that came with it.

    `content` is a SHA-256 of what the pixels were made from: equal for equal images in equal order under any names.
    `bits` is how many of the 16 of deep gray images were taken to be used.
    """

    pixels: NDArray[np.uint8]
    folder: Path
    content: str
    bits: int = 16

    def originals(self) -> list[tuple[int, int, str]]:
        """Width, height and mode (see readers.Decoded) that each image had before it was resized."""
        return _originals(self.folder)


class UnreadableImagesError(DataError):
    """All images that cannot be read; `findings` holds one for each, where the message may name the first only."""

    findings: list[Finding]

    @classmethod
    def of(cls, findings: list[Finding], images: int, source: str) -> "UnreadableImagesError":
        """The error for these findings among so many images."""
        lines = [f"\n  {finding.evidence['path']}: {finding.evidence['reason']}" for finding in findings[:_LISTED]]
        more = f"\n  and {len(findings) - _LISTED:,} more" if len(findings) > _LISTED else ""
        what = f"{len(findings):,} of {images:,} images cannot be read:{''.join(lines)}{more}"
        remedy = "repair or remove these files, or pass --on-unreadable skip to go on without them"
        error = cls(what, where=source, remedy=remedy)
        error.findings = findings
        return error

    def __str__(self) -> str:
        return f"{self.where}: {self.what}\n{self.remedy}"  # a line of its own, below the list of files


def load_images(
    index: ImageIndex,
    config: "DataConfig",
    *,
    on_unreadable: Literal["error", "skip"] = "error",
    jobs: int | None = None,
    progress: Progress | None = None,
) -> tuple[ImageIndex, ImageCache, list[Finding]]:
    """The pixels of an index, decoded by `jobs` threads (default: one a core) unless they are in the cache already.

    Returns the index without unreadable images, the cache aligned with it, and the findings of both. `progress(done,
    total)` is called from this thread; `total` grows when images turn out to need decoding. Raises
    UnreadableImagesError, and DataError when the disk or memory of the cache does not do.
    """
    workers = jobs or cpu_count()
    steps = Steps(progress)
    identities, reasons = identify(index, workers, steps)
    candidates = [row for row, identity in enumerate(identities) if identity is not None]
    bits = gray_depth(index, config, identities).bits
    config = config.model_copy(update={"bits": bits})
    settings = _settings(config)
    key = _digest(settings, [identities[row] for row in candidates])[:32]

    def build(folder: Path) -> None:
        _build(folder, index, candidates, config, workers, steps)

    folder, state = store.obtain("images", key, lambda path: _is_whole(path, config), build)
    manifest = store.read_manifest(folder) or {}
    reasons |= {candidates[int(place)]: reason for place, reason in manifest["unreadable"].items()}
    index, findings = _without_unreadable(index, reasons, on_unreadable)
    content = _digest(settings, [identity for row, identity in enumerate(identities) if row not in reasons])
    if state == "rebuilt":
        findings.append(_rebuilt(folder))
    return index, ImageCache(store.open_array(folder / "pixels.npy"), folder, content, bits), findings


class Steps:
    """Adds up the work of reading and of decoding into one count that never goes back."""

    def __init__(self, progress: Progress | None) -> None:
        self._progress, self._before, self._total = progress, 0, 0

    def __call__(self, done: int, total: int) -> None:
        if self._progress is not None:
            self._total = total
            self._progress(self._before + done, self._before + total)

    def next(self) -> None:
        """Count the following work on top of the work so far."""
        self._before, self._total = self._before + self._total, 0


def _settings(config: "DataConfig") -> str:
    """What decides the pixels beside the files; `config.bits` is resolved. What changes nothing is left out."""
    frame = () if config.frame is None else (config.frame,)
    bits = () if config.bits == 16 else (f"{config.bits} bits",)
    return repr((_FORMAT, VERSION, config.height, config.width, config.resize, config.channels, *frame, *bits))


def _digest(settings: str, identities: list[str | None]) -> str:
    return sha256("\n".join([settings, *map(str, identities)]).encode()).hexdigest()


def _build(folder: Path, index: ImageIndex, rows: list[int], config: "DataConfig", jobs: int, steps: Steps) -> None:
    """Decode the images of these rows into pixels.npy, originals.csv and manifest.json."""
    steps.next()
    shape = (config.height, config.width, config.channels)
    store.require_space(folder, len(rows) * prod(shape), "the decoded images", "a smaller data.image_size")
    originals: list[tuple[int, int, str]] = []
    unreadable: dict[int, str] = {}
    with (folder / "pixels.npy").open("wb") as stream:
        stream.write(array_header((0, *shape), "uint8"))
        for place, image in enumerate(prepared_images(index, rows, config, jobs)):
            if isinstance(image, str):
                unreadable[place] = image
            else:
                stream.write(np.ascontiguousarray(image.pixels).data)
                originals.append((image.width, image.height, image.mode))
            steps(place + 1, len(rows))
        stream.seek(0)
        stream.write(array_header((len(originals), *shape), "uint8"))
    _write_originals(folder / "originals.csv", originals)
    manifest = _manifest(index, config, len(originals), unreadable)
    store.write_manifest(folder, manifest, ("pixels.npy", "originals.csv"))


def _manifest(index: ImageIndex, config: "DataConfig", images: int, unreadable: dict[int, str]) -> dict[str, object]:
    return {
        "source": index.source,
        "images": images,
        "height": config.height,
        "width": config.width,
        "channels": config.channels,
        "resize": config.resize,
        "reader": VERSION,
        "reads": READS,
        "unreadable": {str(place): reason for place, reason in unreadable.items()},
    }


def _write_originals(file: Path, originals: list[tuple[int, int, str]]) -> None:
    with file.open("w", newline="", encoding="utf-8") as stream:
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(("width", "height", "mode"))
        writer.writerows(originals)


def _originals(folder: Path) -> list[tuple[int, int, str]]:
    with (folder / "originals.csv").open(newline="", encoding="utf-8") as stream:
        return [(int(row["width"]), int(row["height"]), row["mode"]) for row in csv.DictReader(stream)]


def _is_whole(folder: Path, config: "DataConfig") -> bool:
    """Whether the folder holds an array of the size that its manifest claims, and all that can be read today.

    Raises what reading a damaged folder raises.
    """
    manifest = store.read_manifest(folder)
    if manifest is None or not isinstance(manifest.get("unreadable"), dict):
        return False
    if manifest["unreadable"] and manifest.get("reads") != READS:
        return False
    file = folder / "pixels.npy"
    shape = (int(manifest["images"]), config.height, config.width, config.channels)
    with file.open("rb") as stream:
        np.lib.format.read_magic(stream)
        found, fortran, dtype = np.lib.format.read_array_header_1_0(stream)
        length = stream.tell()
    size = file.stat().st_size
    whole = found == shape and not fortran and dtype == np.uint8 and size == length + int(np.prod(shape))
    return whole and len(_originals(folder)) == shape[0]


def _without_unreadable(
    index: ImageIndex, reasons: dict[int, str], on_unreadable: Literal["error", "skip"]
) -> tuple[ImageIndex, list[Finding]]:
    findings = [_unreadable(index.paths[row], reasons[row]) for row in sorted(reasons)]
    lost = set(index.labels.tolist()) - {label for row, label in enumerate(index.labels.tolist()) if row not in reasons}
    if findings and (on_unreadable == "error" or lost == set(index.labels.tolist())):
        raise UnreadableImagesError.of(findings, len(index), index.source)
    for label in sorted(lost):
        what = f"no readable image of class {index.classes[label]!r} is left"
        raise DataError(what, where=index.source, remedy="replace its images")
    kept = [row for row in range(len(index)) if row not in reasons]
    return (index.subset(kept) if findings else index), [*index.findings, *findings]


def _unreadable(path: str, reason: str) -> Finding:
    return Finding(
        code="unreadable-image",
        severity="warning",
        outcome="issue",
        sentence=f"{path} cannot be read ({reason}) and was left out.",
        evidence={"path": path, "reason": reason},
    )


def _rebuilt(folder: Path) -> Finding:
    return Finding(
        code="cache-rebuilt",
        severity="info",
        outcome="issue",
        sentence="The cached images were damaged or changed, or written by an earlier version that kept no digests or "
        "could not read some of them; they have been decoded again.",
        evidence={"folder": str(folder)},
    )
