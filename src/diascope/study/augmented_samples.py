"""Pictures of training images as augmentation changes them, written at the beginning of a study for its report."""

from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from PIL import Image

from diascope.core.files import write_atomic
from diascope.data.augment.samples import sample_rows
from diascope.data.cache import ImageCache
from diascope.data.index import ImageIndex
from diascope.runs.samples import augmenting_arms, strip_path
from diascope.studyfile import Study

DRAWS = 7  # random changes of one image
FEW, LARGE, SMALL = 4, 128, 80  # up to so many classes, pictures of at most so many pixels a side; else smaller ones

Pixels = NDArray[np.uint8]


def write_augmented_samples(
    study: Study, index: ImageIndex, training: NDArray[np.int64], caches: dict[str, ImageCache], folder: Path
) -> None:
    """A strip for each class: its first image among the rows `training`, and random changes of it by the first seed.

    Arms that augment alike share their strips. Strips that no arm has any longer are removed.
    """
    written = set()
    for arms in augmenting_arms(study.arms):
        pixels = caches[arms[0].name].pixels
        found = {index.classes[index.labels[row]]: row for row in reversed(training)}
        names = [name for name in index.classes if name in found]
        images = [np.asarray(pixels[found[name]]) for name in names]
        rows = sample_rows(images, names, arms[0].augmentation, study.config.first_seeds(1)[0], DRAWS)
        for row in rows:
            path = strip_path(folder, arms[0].name, row.name)
            strip = _strip([picture for _, picture in row.pictures], LARGE if len(names) <= FEW else SMALL)
            write_atomic(path, _png(strip))
            written.add(path)
    for path in (folder / "samples" / "augmented").glob("*/*.png"):
        if path not in written:
            path.unlink()


def _strip(pictures: list[Pixels], side: int) -> Image.Image:
    """Side by side, the first one set apart; what lies between them is transparent."""
    shown = [Image.fromarray(picture.squeeze()).convert("RGBA") for picture in pictures]
    for picture in shown:
        picture.thumbnail((side, side), Image.Resampling.BOX)
    width, height = shown[0].size
    gap = max(2, width // 24)
    strip = Image.new("RGBA", (len(shown) * (width + gap) + gap, height))
    for place, picture in enumerate(shown):
        strip.paste(picture, (place * (width + gap) + (2 * gap if place else 0), 0))
    return strip.crop((0, 0, len(shown) * (width + gap) + gap, height))


def _png(image: Image.Image) -> bytes:
    content = BytesIO()
    image.save(content, "PNG", optimize=True)
    return content.getvalue()
