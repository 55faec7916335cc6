"""Which images are one picture: equal files, equal pixels, and pairs that are nearly the same; kept in the cache.

Hashes propose pairs, and a correlation of aligned details decides (see perceptual, candidates and alignment).
"""

from collections.abc import Callable
from dataclasses import dataclass
from hashlib import sha256
from pathlib import Path

import numpy as np
from joblib import cpu_count
from numpy.typing import NDArray
from scipy.sparse import coo_array
from scipy.sparse.csgraph import connected_components

from diascope.audit.alignment import agreement
from diascope.audit.candidates import Candidates, candidates
from diascope.audit.facts import Audited, Facts
from diascope.audit.perceptual import hashes
from diascope.data import store
from diascope.data.index import Phantoms
from diascope.data.threads import in_threads

_VERSION = 1  # part of the key: another value when the same facts would give other pairs
AGREE = 0.94  # correlation of aligned details from which on two images are nearly the same; see benchmarks/audit.py
_BLANK = 2.0  # levels of gray: a thumbnail that varies less shows nothing that could be compared
_BLOCK = 1024  # pairs between two reports of progress
_FILE = "pairs.npz"


@dataclass(frozen=True, eq=False)
class Duplicates:
    """Pairs of rows, (M, 2), the smaller first, that are nearly the same, with their agreement, (M,).

    Of images with equal pixels only the first one takes part in pairs. `one` (N,) numbers the pictures: images of
    equal number are equal, or nearly so, directly or through others. `blank` images are too empty to be compared.
    """

    pairs: NDArray[np.int64]
    agreement: NDArray[np.float64]
    one: NDArray[np.int64]
    blank: int
    compared: int  # pairs of hashes
    aligned: int  # pairs of thumbnails


def duplicates_of(audited: Audited) -> Duplicates:
    """The duplicates of a data set. Drawn images are compared for equality only: no two show the same picture."""
    if isinstance(audited.index.origin, Phantoms):
        none = np.empty((0, 2), np.int64)
        return Duplicates(none, np.empty(0), _pictures(audited.facts, none), 0, 0, 0)
    return find_duplicates(audited.facts)


def find_duplicates(facts: Facts, progress: Callable[[int, int], None] | None = None) -> Duplicates:
    """Search all images, unless the cache knows the result. `progress(done, total)` counts pairs that are aligned."""
    key = sha256("\n".join([f"duplicates {_VERSION}", *facts.pixel_digests]).encode()).hexdigest()[:32]

    def build(folder: Path) -> None:
        pairs, agree, blank, found = _search(facts, progress)
        counts = np.array([blank, found.compared, len(found.first)])
        np.savez(folder / _FILE, pairs=pairs, agreement=agree, counts=counts)
        store.write_manifest(folder, {"source": "near-duplicates of an audit", "images": len(facts)}, (_FILE,))

    folder, _ = store.obtain("audit", key, _is_whole, build)
    with np.load(folder / _FILE) as kept:
        blank, compared, aligned = kept["counts"].tolist()
        pairs = kept["pairs"]
        return Duplicates(pairs, kept["agreement"], _pictures(facts, pairs), blank, compared, aligned)


def groups_of(names: list[str]) -> list[list[int]]:
    """Rows that share a name, for each name that two or more have, in order."""
    found: dict[str, list[int]] = {}
    for row, name in enumerate(names):
        found.setdefault(name, []).append(row)
    return [rows for rows in found.values() if len(rows) > 1]


def _search(
    facts: Facts, progress: Callable[[int, int], None] | None
) -> tuple[NDArray[np.int64], NDArray[np.float64], int, Candidates]:
    """Of each picture the first image takes part."""
    _, first = np.unique(np.array(facts.pixel_digests), return_index=True)
    first = np.sort(first)
    varied = np.array([facts.thumbnails[row].std() >= _BLANK for row in first.tolist()])
    rows = first[varied]
    thumbnails = facts.thumbnails if len(rows) == len(facts) else facts.thumbnails[rows]
    found = candidates(*hashes(thumbnails))
    agree = np.empty(len(found.first))

    def agreement_from(start: int) -> NDArray[np.float64]:
        part = slice(start, start + _BLOCK)
        return agreement(thumbnails, found.first[part], found.second[part], found.orientation[part], found.crop[part])

    starts = range(0, len(agree), _BLOCK)
    for start, block in zip(starts, in_threads(agreement_from, starts, cpu_count(), chunk=1), strict=True):
        agree[start : start + _BLOCK] = block
        if progress is not None:
            progress(start + len(block), len(agree))
    same = agree >= AGREE
    pairs = np.sort(np.stack([rows[found.first[same]], rows[found.second[same]]], axis=1), axis=1)
    order = np.lexsort((pairs[:, 1], pairs[:, 0]))
    return pairs[order], agree[same][order], int((~varied).sum()), found


def _pictures(facts: Facts, pairs: NDArray[np.int64]) -> NDArray[np.int64]:
    """(N,): the number of the picture that each image shows."""
    equal = [(rows[0], row) for rows in groups_of(facts.pixel_digests) for row in rows[1:]]
    links = np.concatenate([pairs, np.array(equal, np.int64).reshape(-1, 2)])
    graph = coo_array((np.ones(len(links)), (links[:, 0], links[:, 1])), shape=(len(facts), len(facts)))
    _, number = connected_components(graph, directed=False)
    return np.asarray(number, dtype=np.int64)


def _is_whole(folder: Path) -> bool:
    """Raises what reading a damaged folder raises."""
    if store.read_manifest(folder) is None:
        return False
    with (folder / _FILE).open("rb") as stream, np.load(stream) as kept:  # load leaves damaged ones open
        return bool(len(kept["pairs"]) == len(kept["agreement"]) and len(kept["counts"]) == 3)
