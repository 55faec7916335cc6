"""Images that show little: planted among clean ones, and none found where there is none."""

import numpy as np
import pytest
from fact_sets import audited, index_of, measured, of_phantoms
from real_data import REAL, needs_real_data
from scipy.ndimage import gaussian_filter

from diascope.audit.quality import blank_images, blurred_images, dark_images, saturated_images, spreads_below
from diascope.config import PhantomConfig
from diascope.core.findings import Finding
from diascope.data import phantoms
from diascope.data.readers import read_image

CHECKS = {
    "blank-images": blank_images,
    "saturated-images": saturated_images,
    "dark-images": dark_images,
    "blurred-images": blurred_images,
}
DAMAGE = {
    "blank-images": lambda image: np.full_like(image, 128),
    "saturated-images": lambda image: np.where(image > np.median(image), 255, image).astype(np.uint8),
    "dark-images": lambda image: (image * 0.07).astype(np.uint8),
    "blurred-images": lambda image: gaussian_filter(image, (6, 6, 0)),
}


def judged(images: list[np.ndarray]) -> dict[str, Finding]:
    found = audited(index_of(np.arange(len(images)) % 2), measured(images))
    return {code: check(found)[0] for code, check in CHECKS.items()}


def drawn(kind: str) -> list[np.ndarray]:
    config = PhantomConfig(images=40, size=128)
    return [phantoms.draw(kind, config, i).pixels for i in range(40)]  # type: ignore[arg-type]


@pytest.mark.parametrize("code", DAMAGE)
@pytest.mark.parametrize("kind", ["skin", "bone"])
def test_a_damaged_image_is_named_by_its_own_check_only(kind: str, code: str) -> None:
    images = drawn(kind)
    images[7] = DAMAGE[code](images[7])
    found = judged(images)
    assert found[code].evidence["paths"] == ["00007.png"]
    assert found[code].evidence["files"] == [
        {"path": "00007.png", "action": "look", "why": code.removesuffix("-images")}
    ]
    assert found[code].sentence.startswith("1 image of 40 is")
    assert {name for name, finding in found.items() if finding.outcome == "issue"} == {code}


@pytest.mark.parametrize("kind", ["skin", "bone"])
@pytest.mark.parametrize("seed", [0, 1, 2])
def test_clean_phantoms_are_fine(kind: str, seed: int) -> None:
    clean = of_phantoms(kind, images=80, seed=seed)
    assert {check(clean)[0].outcome for check in CHECKS.values()} == {"passed"}


@needs_real_data
@pytest.mark.parametrize("folder", ["skin/malignant", "bone/fractured"])
def test_real_images_are_nearly_all_fine(folder: str) -> None:
    files = sorted((REAL / folder).iterdir())[:150]
    found = judged([read_image(file, 3) for file in files])
    assert sum(finding.evidence["count"] for finding in found.values()) <= 3


def test_spreads_below_ignore_a_long_upper_tail() -> None:
    values = np.r_[np.linspace(-1, 1, 101), np.full(20, 50.0)]
    assert spreads_below(np.r_[values, -10.0])[-1] > 5
    assert spreads_below(np.full(5, 3.0)).tolist() == [0] * 5
