"""What decides the pixels of each image of an index, as text: the digest of its file, its place, or how it is drawn."""

import os
from collections.abc import Callable, Iterator

from diascope.core.errors import DataError
from diascope.data.digests import file_digests
from diascope.data.index import Arrays, ImageIndex, Phantoms


def identify(
    index: ImageIndex, jobs: int, progress: Callable[[int, int], None]
) -> tuple[list[str | None], dict[int, str]]:
    """What decides each image's pixels, as text; None, and a reason by row, for files that cannot be opened."""
    if isinstance(index.origin, Phantoms):
        return list(_phantom_identities(index, index.origin)), {}
    if isinstance(index.origin, Arrays):
        file = str(index.origin.file)
        (digest,), reasons = file_digests([file], index.source, 1, lambda done, total: None, most=None)
        if reasons:
            raise DataError(reasons[0], where=file, remedy="check the file")
        return [f"{digest}/{number}" for number in index.numbers.tolist()], {}
    files = [os.path.join(index.origin.root, path) for path in index.paths]
    return file_digests(files, index.source, jobs, progress)


def _phantom_identities(index: ImageIndex, origin: Phantoms) -> Iterator[str]:
    from diascope.data import phantoms

    drawn = origin.config.model_dump_json(exclude={"images"})  # a larger set holds the same first images
    for number in index.numbers.tolist():
        yield f"{phantoms.VERSION}/{origin.kind}/{drawn}/{number}"
