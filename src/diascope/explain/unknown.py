"""Why no region is known of the images that were asked for: what lies beside the source, and how it misses them."""

from pathlib import Path, PurePosixPath

from diascope.data.index import ImageIndex
from diascope.errors import DataError
from diascope.explain.truth import Truth


def why_unknown(truth: Truth, index: ImageIndex) -> DataError:
    """The error to raise where no region is known of an image of the validation side."""
    known = sum(truth.is_known(row) for row in range(len(index.paths)))
    folder = truth.folder
    if known:
        what = f"regions are known of {known:,} of {len(index.paths):,} images, but of none on the validation side"
        return DataError(what, where=str(folder or index.source), remedy="folds.json lists the images of that side")
    if folder is None:
        remedy = "masks/ and boxes.csv are looked for beside a folder or a manifest of images (docs/explain.md)"
        return DataError("no region is known of its images", where=index.source, remedy=remedy)
    masks = _files(folder / "masks")
    said = [_of_boxes(truth, index)] if (folder / "boxes.csv").is_file() else []
    said += [_of_masks(masks, truth, index)] if (folder / "masks").is_dir() else []
    if said:
        remedy = "name them by the paths in index.csv, without leading ../ parts (docs/explain.md)"
        return DataError(", and ".join(said), where=str(folder), remedy=remedy)
    path, place = _example(truth, index, "")
    remedy = f"put the mask of {path} at masks/{place} in it" if place else "name the images in a boxes.csv"
    what = "no region is known: there is neither boxes.csv nor masks/ in it"
    return DataError(what, where=str(folder), remedy=f"{remedy} (docs/explain.md)")


def _of_boxes(truth: Truth, index: ImageIndex) -> str:
    if not truth.boxes:
        return "boxes.csv has no rows"
    rows, first = sum(map(len, truth.boxes.values())), next(iter(truth.boxes))
    path, _ = _example(truth, index, first)
    return f"boxes.csv has {_count(rows, 'row')}, none of an image of the study: such as {first}, not {path}"


def _of_masks(files: list[str], truth: Truth, index: ImageIndex) -> str:
    if not files:
        return "masks/ has no files"
    path, place = _example(truth, index, files[0])
    expected = f"that of {path} would be masks/{place}" if place else f"{path} has no place there"
    what = f"masks/ has {_count(len(files), 'file')}, none of an image of the study"
    return f"{what}: such as masks/{files[0]}, but {expected}"


def _count(number: int, what: str) -> str:
    return f"{number:,} {what}" + ("" if number == 1 else "s")


def _files(folder: Path) -> list[str]:
    found = [file for file in folder.rglob("*") if file.is_file() and not file.name.startswith(".")]
    return sorted(file.relative_to(folder).as_posix() for file in found)


def _example(truth: Truth, index: ImageIndex, like: str) -> tuple[str, str | None]:
    """The image whose path ends most like the given one, and the place of its mask."""
    ends = _ends(like)
    row = max(range(len(index.paths)), key=lambda row: len(ends & _ends(index.paths[row])))
    return index.paths[row], truth.mask_place(row)


def _ends(path: str) -> set[tuple[str, ...]]:
    """All that a path ends with, but for its suffix: 1, a/1, moles/a/1."""
    file = PurePosixPath(path)
    parts = (*file.parts[:-1], file.stem)
    return {parts[start:] for start in range(len(parts))}
