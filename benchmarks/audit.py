"""How well and how fast the audit finds duplicates: planted ones, known ones, and 100,000 thumbnails.

    python benchmarks/audit.py                 to results/audit.md (15 minutes; DIASCOPE_REAL_DATA: real images)
    python benchmarks/audit.py --quick         300 images each, 5,000 thumbnails, to the screen

Planted: of 1,000 images 300 are chosen, and a changed copy of each is added, 50 of each of six changes. A pair counts
as found when its two images are told to show one picture. Precision counts all pairs that are told to; of real images,
pairs of one lesion are left out, since these are often taken twice.
"""

import argparse
import csv
import os
import resource
from collections.abc import Callable, Iterator
from io import BytesIO
from itertools import combinations
from pathlib import Path
from tempfile import TemporaryDirectory
from time import perf_counter

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diascope.audit.alignment import agreement
from diascope.audit.candidates import candidates
from diascope.audit.duplicates import find_duplicates
from diascope.audit.facts import Audited, Facts
from diascope.audit.label_conflicts import label_conflicts
from diascope.audit.measure import measure
from diascope.audit.numbers import numbers_of
from diascope.audit.perceptual import hashes
from diascope.config import DataConfig, PhantomConfig
from diascope.data import phantoms
from diascope.data.index import open_index
from diascope.data.readers import read_image

RESULTS = Path(__file__).parent / "results" / "audit.md"
Pixels = NDArray[np.uint8]


def cropped(pixels: Pixels) -> Pixels:
    height, width = pixels.shape[:2]
    top, left = round(height * 0.05), round(width * 0.05)
    return pixels[top : height - top, left : width - left]


def recompressed(pixels: Pixels) -> Pixels:
    stream = BytesIO()
    Image.fromarray(pixels).save(stream, "JPEG", quality=40)
    return np.asarray(Image.open(stream).convert("RGB"))


def resized(pixels: Pixels) -> Pixels:
    image = Image.fromarray(pixels)
    return np.asarray(image.resize((image.width // 2, image.height // 2), Image.Resampling.BICUBIC))


CHANGES: dict[str, Callable[[Pixels], Pixels]] = {
    "exact copy": lambda pixels: pixels,
    "mirrored": lambda pixels: pixels[:, ::-1],
    "cropped by 5% at each side": cropped,
    "JPEG of quality 40": recompressed,
    "resized by half": resized,
    "turned by 90 degrees": np.rot90,
}


def planted(images: list[Pixels], groups: list[str] | None, per_change: int) -> Iterator[str]:
    """Rows of a table: found of planted by change, and the precision."""
    chosen = np.random.default_rng(0).permutation(len(images))[: per_change * len(CHANGES)].tolist()
    numbers = [numbers_of(image) for image in images]
    source = list(range(len(images)))
    for place, row in enumerate(chosen):
        change = list(CHANGES.values())[place // per_change]
        numbers.append(numbers_of(np.ascontiguousarray(change(images[row]))))
        source.append(row)
    start = perf_counter()
    found = find_duplicates(facts_of(numbers))
    seconds = perf_counter() - start
    hits = [found.one[row] == found.one[len(images) + place] for place, row in enumerate(chosen)]
    for number, name in enumerate(CHANGES):
        part = hits[number * per_change : (number + 1) * per_change]
        yield f"| {name} | {sum(part)} of {len(part)} |"
    told = pairs_within(found.one.tolist())
    right = {pair for pair in told if source[pair[0]] == source[pair[1]]}
    neither = set() if groups is None else {p for p in told - right if groups[source[p[0]]] == groups[source[p[1]]]}
    wrong = len(told) - len(right) - len(neither)
    yield f"| **recall** | **{sum(hits) / len(hits):.3f}** ({sum(hits)} of {len(hits)}) |"
    yield f"| **precision** | **{len(right) / (len(right) + wrong):.3f}** ({wrong} wrong of {len(right) + wrong}) |"
    yield f"| pairs of one lesion, counted as neither | {len(neither)} |"
    yield f"| seconds | {seconds:.1f} ({found.compared:,} hashes compared, {found.aligned:,} pairs aligned) |"


def pairs_within(names: list[int] | list[str]) -> set[tuple[int, int]]:
    members: dict[int | str, list[int]] = {}
    for row, name in enumerate(names):
        members.setdefault(name, []).append(row)
    return {pair for rows in members.values() for pair in combinations(rows, 2)}


def facts_of(numbers: list) -> Facts:  # type: ignore[type-arg]
    """As far as the search for duplicates looks at them."""
    count = len(numbers)
    digests = [one.pixel_digest for one in numbers]
    empty, none = np.zeros(count), [""] * count
    whole = np.zeros(count, np.int64)
    thumbnails = np.stack([one.thumbnail for one in numbers])
    corners = np.zeros((count, 4, 1, 1), np.uint8)
    sizes = (whole, whole, whole, np.zeros((count, 3)), empty, empty, empty, empty)
    return Facts(digests, digests, whole, none, none, none, none, *sizes, thumbnails, corners)


def known(folder: Path) -> Iterator[str]:
    """The X-rays beside the columns dup_group and label_conflict of their table."""
    config = DataConfig(source=str(folder / "metadata.csv"))
    measured = measure(open_index(config))
    start = perf_counter()
    found = find_duplicates(measured.facts)
    seconds = perf_counter() - start
    truth = pairs_within(measured.index.columns["dup_group"])
    told = pairs_within(found.one.tolist())
    extra = sorted(told - truth)
    cut = measured.index.columns["truncated_source"]
    twins = sum("1" in (cut[a], cut[b]) for a, b in extra)
    yield f"{len(measured.index):,} X-rays, {len(truth)} pairs of one dup_group; {seconds:.1f} s.\n"
    yield f"- recall {len(truth & told) / len(truth):.3f}, precision {len(truth & told) / len(told):.3f} over pairs"
    yield f"- {len(extra)} pairs more than the table knows; in {twins} one image is a truncated copy of the other"
    (conflict,) = label_conflicts(Audited(measured.index, measured.facts, config))
    named = {image["path"] for pair in conflict.evidence.get("pairs", ()) for image in pair}
    marked = {
        p for p, v in zip(measured.index.paths, measured.index.columns["label_conflict"], strict=True) if v == "1"
    }
    yield f"- label conflicts: {len(marked & named)} of {len(marked)} marked images found, {len(named - marked)} others"


def lesions(folder: Path) -> Iterator[str]:
    measured = measure(open_index(DataConfig(source=str(folder / "metadata.csv"), group="lesion_id")))
    start = perf_counter()
    found = find_duplicates(measured.facts)
    groups = measured.index.groups or []
    within = sum(groups[a] == groups[b] for a, b in found.pairs)
    seconds = perf_counter() - start
    across = len(found.pairs) - within
    yield f"{len(groups):,} skin images: {within} near-duplicates within a lesion, {across} across; {seconds:.0f} s"


def scale(images: int) -> Iterator[str]:
    """Hashing, proposing and aligning of generated thumbnails that share their large shapes, as X-rays do."""
    random = np.random.default_rng(0)
    basis = np.cos(np.pi * np.arange(16)[:, None] * (np.arange(64) + 0.5) / 64).astype(np.float32)
    falling = (1 / (1 + np.add.outer(np.arange(16), np.arange(16)))).astype(np.float32)
    shared = random.normal(size=(16, 16)).astype(np.float32)
    with TemporaryDirectory() as folder:
        shape = (images, 64, 64)
        thumbnails = np.lib.format.open_memmap(f"{folder}/thumbnails.npy", "w+", np.uint8, shape)
        for start in range(0, images, 1000):
            waves = (random.normal(size=(1000, 16, 16)).astype(np.float32) + shared) * falling
            thumbnails[start : start + 1000] = np.clip(128 + 25 * (basis.T @ waves @ basis), 0, 255)
        copies = random.permutation(images)[: images // 50]
        half = len(copies) // 2
        thumbnails[copies[:half]] = thumbnails[copies[half : 2 * half], :, ::-1] // 2 + 60  # mirrored, other contrast
        before = peak()
        start = perf_counter()
        both = hashes(thumbnails)
        hashed = perf_counter()
        found = candidates(*both)
        proposed = perf_counter()
        agree = np.concatenate(
            [
                agreement(
                    thumbnails,
                    *(part[k : k + 1024] for part in (found.first, found.second, found.orientation, found.crop)),
                )
                for k in range(0, len(found.first), 1024)
            ]
        )
        aligned = perf_counter()
    same = {
        (min(a, b), max(a, b))
        for a, b in zip(found.first[agree >= 0.94].tolist(), found.second[agree >= 0.94].tolist(), strict=True)
    }
    pairs = {
        (min(a, b), max(a, b)) for a, b in zip(copies[:half].tolist(), copies[half : 2 * half].tolist(), strict=True)
    }
    yield f"{images:,} thumbnails that share their large shapes, {half:,} of them mirrored copies of others:\n"
    yield "| | seconds | |\n|---|---:|---|"
    yield f"| hashes | {hashed - start:.1f} | |"
    each, every = found.compared / images, images * (images - 1) // 2
    compared = f"{found.compared:,} comparisons, {each:.0f} an image; all pairs are {every:,}"
    yield f"| candidates | {proposed - hashed:.1f} | {compared} |"
    yield f"| alignment | {aligned - proposed:.1f} | {len(found.first):,} pairs |"
    told = f"{len(pairs & same):,} of {half:,} copies found, {len(same - pairs)} others"
    yield f"| together | {aligned - start:.1f} | {told} |"
    yield f"\nMemory rose by {(peak() - before) / 1e6:,.0f} MB at most, thumbnails on disk not counted apart."


def peak() -> int:
    return resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024


def skin_images(folder: Path, count: int) -> tuple[list[Pixels], list[str]]:
    with (folder / "metadata.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    rows = [rows[row] for row in sorted(np.random.default_rng(1).permutation(len(rows))[:count].tolist())]
    return [read_image(folder / row["path"], 3) for row in rows], [row["lesion_id"] for row in rows]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    images, per_change, many = (300, 20, 5_000) if quick else (1_000, 50, 100_000)
    drawn = PhantomConfig(images=images)
    parts = [
        (
            "Planted in drawn lesions",
            planted([phantoms.draw("skin", drawn, row).pixels for row in range(images)], None, per_change),
        )
    ]
    real = os.environ.get("DIASCOPE_REAL_DATA")
    if real is not None:
        pixels, groups = skin_images(Path(real) / "skin", images)
        parts += [("Planted in dermatoscopic images", planted(pixels, groups, per_change))]
        parts += [("Near-duplicates of X-rays that are known", known(Path(real) / "bone"))]
        parts += [("Near-duplicates within lesions", lesions(Path(real) / "skin"))]
    parts.append(("Size", scale(many)))
    lines = [
        "# What the audit finds, and what it takes\n",
        f"`python benchmarks/audit.py`; {os.cpu_count()} cores, load {os.getloadavg()[0]:.1f} at the start.\n",
    ]
    with TemporaryDirectory() as cache:
        os.environ["DIASCOPE_CACHE"] = cache
        for title, rows in parts:
            lines.append(f"## {title}\n")
            lines += ["| change | found |\n|---|---:|"] if title.startswith("Planted") else []
            for row in rows:
                print(row, flush=True)
                lines.append(row)
            lines.append("")
    if not quick:
        RESULTS.write_text("\n".join(lines), encoding="utf-8")


if __name__ == "__main__":
    main()
