"""The files of explanations: a picture and the raw map of each image, written so that none is ever half there."""

from dataclasses import dataclass
from hashlib import sha256
from io import BytesIO
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from diascope.core.files import write_atomic
from diascope.explain.methods import METHODS
from diascope.explain.overlay import draw_overlay
from diascope.explain.scale import Scale
from diascope.runs.record import sample_stem

MEANINGLESS = "meaningless: this network is not shown to be better than chance"


@dataclass(frozen=True, eq=False)
class Explanation:
    """One image (H, W, C) uint8 with its map (H, W) for a class, and what was said of it. `true` None: not known."""

    path: str
    pixels: NDArray[np.uint8]
    attribution: NDArray[np.float32]
    method: str
    layer: str | None
    class_name: str
    probability: float  # of that class
    true: str | None
    predicted: str
    predicted_probability: float


def file_stem(path: str, method: str, class_name: str) -> str:
    """A name for an image's files; the digest keeps apart what differs only in letters that no file may have.

    The dots and slashes that a path begins with are left out: ../ would make a hidden file.
    """
    digest = sha256(path.encode()).hexdigest()[:6]
    shown = path.removesuffix(Path(path).suffix).lstrip("./")
    return f"{sample_stem(shown)}-{digest}-{method}-{sample_stem(class_name)}"


def write_explanation(
    folder: Path, stem: str, found: Explanation, scale: Scale, *, meaningless: bool
) -> tuple[Path, Path]:
    """Write <stem>.png and <stem>.npz: map, method, class_name, layer, probability, path, true, predicted, scale."""
    method = METHODS[found.method]
    true = "true class not known" if found.true is None else f"true {found.true}"
    layer = f", layer {found.layer}" if found.layer else ""
    shown = "" if found.class_name == found.predicted else f" ({found.probability:.2f})"
    picture = draw_overlay(
        found.pixels,
        found.attribution,
        scale,
        signed=method.signed,
        title=f"{true} · predicted {found.predicted} ({found.predicted_probability:.2f})",
        remark=f"{method.title} for {found.class_name}{shown}{layer}",
        alarm=MEANINGLESS if meaningless else "",
    )
    image, raw = BytesIO(), BytesIO()
    picture.save(image, "PNG")
    np.savez_compressed(
        raw,
        map=found.attribution.astype(np.float32),
        method=found.method,
        class_name=found.class_name,
        layer=found.layer or "",
        probability=found.probability,
        path=found.path,
        true=found.true or "",
        predicted=found.predicted,
        scale=scale.value,
    )
    png, npz = folder / f"{stem}.png", folder / f"{stem}.npz"
    write_atomic(png, image.getvalue())
    write_atomic(npz, raw.getvalue())
    return png, npz
