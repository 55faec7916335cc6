"""Why no region is known of the images that were asked for: what lies beside the source, and how it misses them."""

from diascope.core.errors import DataError
from diascope.data.annotations import Annotations
from diascope.data.index import ImageIndex
from diascope.data.strays import strays


def why_unknown(truth: Annotations, index: ImageIndex) -> DataError:
    """The error to raise where no region is known of an image of the validation side."""
    known = sum(truth.is_known(row) for row in range(len(index.paths)))
    folder = truth.folder
    if known:
        what = f"regions are known of {known:,} of {len(index.paths):,} images, but of none on the validation side"
        return DataError(what, where=str(folder or index.source), remedy="folds.json lists the images of that side")
    if folder is None:
        remedy = "masks/ and boxes.csv are looked for beside a folder or a manifest of images (docs/explain.md)"
        return DataError("no region is known of its images", where=index.source, remedy=remedy)
    said = strays(truth, index)
    if said:
        remedy = "name them by the paths in index.csv, without leading ../ parts (docs/explain.md)"
        return DataError(", and ".join(said), where=str(folder), remedy=remedy)
    path, place = index.paths[0], truth.mask_place(0)
    remedy = f"put the mask of {path} at masks/{place} in it" if place else "name the images in a boxes.csv"
    what = "no region is known: there is neither boxes.csv nor masks/ in it"
    return DataError(what, where=str(folder), remedy=f"{remedy} (docs/explain.md)")
