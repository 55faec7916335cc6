"""What lies in boxes.csv and masks/ and is of no image: counted, with an example, and a hint where all of it is."""

from pathlib import Path, PurePosixPath

from diascope.data.annotations import Annotations
from diascope.data.folders import files_below, printable
from diascope.data.index import ImageIndex


def strays(truth: Annotations, index: ImageIndex) -> list[str]:
    """A clause about boxes.csv and one about masks/, of those that are there and hold what is of no image."""
    if truth.folder is None:
        return []
    found = [_of_boxes(truth, index)] if (truth.folder / "boxes.csv").is_file() else []
    found += [_of_masks(truth.masks, truth, index)] if truth.masks is not None else []
    return [clause for clause in found if clause]


def _of_boxes(truth: Annotations, index: ImageIndex) -> str:
    if not truth.boxes:
        return "boxes.csv has no rows"
    of_images = {truth.named_in_boxes(row) for row in range(len(index.paths))}
    stray = [path for path in truth.boxes if path not in of_images]
    rows = sum(map(len, truth.boxes.values()))
    missed = sum(len(truth.boxes[path]) for path in stray)
    return _clause("boxes.csv", rows, "row", missed, stray, f", not {_most_like(stray[0], index)[1]}" if stray else "")


def _of_masks(folder: Path, truth: Annotations, index: ImageIndex) -> str:
    files = [Path(entry.path) for entry in files_below(folder)]
    if not files:
        return "masks/ has no files"
    of_images = {truth.mask_file(row) for row in range(len(index.paths))}
    stray = [printable(f"masks/{file.relative_to(folder).as_posix()}") for file in files if file not in of_images]
    if not stray:
        return ""
    row, path = _most_like(stray[0], index)
    place = truth.mask_place(row)
    hint = f", but that of {path} would be masks/{place}" if place else f", but {path} has no place there"
    return _clause("masks/", len(files), "file", len(stray), stray, hint)


def _clause(place: str, total: int, what: str, missed: int, stray: list[str], hint: str) -> str:
    if not stray:
        return ""
    has = f"{place} has {total:,} {what}{'' if total == 1 else 's'}"
    if missed < total:
        return f"{has}, {missed:,} of them of no image of the study: such as {stray[0]}"
    return f"{has}, none of an image of the study: such as {stray[0]}{hint}"


def _most_like(path: str, index: ImageIndex) -> tuple[int, str]:
    """The row and the path of the image whose path ends most like the given one."""
    ends = _ends(path)
    row = max(range(len(index.paths)), key=lambda row: len(ends & _ends(index.paths[row])))
    return row, index.paths[row]


def _ends(path: str) -> set[tuple[str, ...]]:
    """All that a path ends with, but for its suffix: 1, a/1, moles/a/1."""
    file = PurePosixPath(path)
    parts = (*file.parts[:-1], file.stem)
    return {parts[start:] for start in range(len(parts))}
