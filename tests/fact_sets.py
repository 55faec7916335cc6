"""Facts for tests of the audit: written by hand where the numbers are the point, measured where pictures are."""

from collections.abc import Sequence
from hashlib import blake2b
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray
from PIL import Image
from scipy.ndimage import laplace

from diascope.audit.facts import CORNER, CORNER_SHARE, THUMBNAIL, Audited, Facts
from diascope.config import DataConfig
from diascope.data import phantoms
from diascope.data.index import Files, ImageIndex, open_index

Pixels = NDArray[np.uint8]


def measured(images: Sequence[Pixels], **told: Any) -> Facts:
    """The facts of pictures (H, W, C); `told` are those of files, such as formats or modes."""
    count = len(images)
    rows = [_measure(image) for image in images]
    plain: dict[str, Any] = {
        "digests": [blake2b(image.tobytes()).hexdigest() for image in images],
        "pixel_digests": [blake2b(image.tobytes()).hexdigest() for image in images],
        "bytes": np.zeros(count, np.int64),
        "formats": [""] * count,
        "compressions": [""] * count,
        "cameras": [""] * count,
        "modes": ["L" if image.shape[2] == 1 else "RGB" for image in images],
        "bits": np.full(count, 8),
        "widths": np.array([image.shape[1] for image in images]),
        "heights": np.array([image.shape[0] for image in images]),
        **{name: np.array([row[name] for row in rows]) for name in rows[0]},
    }
    return Facts(**plain | told)


def _measure(image: Pixels) -> dict[str, Any]:
    height, width, channels = image.shape
    picture = Image.fromarray(image[..., 0] if channels == 1 else image)
    gray = picture.convert("L")
    level = np.asarray(gray, np.float64) / 255
    scale = 256 / max(height, width)
    sized = gray.resize((max(1, round(width * scale)), max(1, round(height * scale))), Image.Resampling.BILINEAR)
    tall, wide = max(1, round(height * CORNER_SHARE)), max(1, round(width * CORNER_SHARE))
    places = [(x, y, x + wide, y + tall) for y in (0, height - tall) for x in (0, width - wide)]
    corners = [gray.resize((CORNER, CORNER), Image.Resampling.BILINEAR, box) for box in places]
    means = np.asarray(picture.convert("RGB"), np.float64).mean(axis=(0, 1)) / 255
    return {
        "means": means,
        "deviations": level.std(),
        "dark": (image == 0).mean(),
        "bright": (image == 255).mean(),
        "sharpness": laplace(np.asarray(sized, np.float64) / 255).var(),
        "thumbnails": np.asarray(gray.resize((THUMBNAIL, THUMBNAIL), Image.Resampling.BILINEAR)),
        "corners": np.array([np.asarray(corner) for corner in corners]),
    }


def index_of(
    labels: NDArray[np.int64],
    *,
    groups: NDArray[np.int64] | None = None,
    classes: int = 2,
    columns: dict[str, list[str]] | None = None,
    root: str = ".",
) -> ImageIndex:
    """Images 00000.png and so on, of classes a, b, c ...; the last one is positive."""
    names = tuple("abcdefghij"[:classes])
    return ImageIndex(
        source="drawn.csv",
        paths=[f"{row:05d}.png" for row in range(len(labels))],
        labels=np.asarray(labels, dtype=np.int64),
        classes=names,
        positive=names[-1],
        groups=None if groups is None else [str(group) for group in groups],
        splits=None,
        columns=columns or {},
        origin=Files(Path(root)),
        numbers=np.arange(len(labels)),
    )


def plain_facts(count: int, **told: Any) -> Facts:
    """The facts of noise: gray images that say nothing of their class."""
    random = np.random.default_rng(5)
    return measured(list(random.integers(90, 160, (count, 32, 32, 1), dtype=np.uint8)), **told)


def audited(index: ImageIndex, facts: Facts, **more: Any) -> Audited:
    """As the checks get it, with a configuration of no interest."""
    return Audited(index, facts, DataConfig(source=index.source), **more)


def of_phantoms(kind: str, **phantom: Any) -> Audited:
    """Drawn images and what is measured of them."""
    config = DataConfig.model_validate({"source": f"phantom:{kind}", "phantom": {"size": 64, "images": 240, **phantom}})
    index = open_index(config)
    images = [phantoms.draw(kind, config.phantom, i).pixels for i in range(len(index))]  # type: ignore[arg-type]
    return Audited(index, measured(images), config)
