"""Masks and boxes beside the images: all theirs, some, none, or with mistakes."""

from pathlib import Path

import numpy as np
import pytest
from fact_sets import audited, of_phantoms, plain_facts
from PIL import Image

from diascope.audit.regions import regions_of_no_image
from diascope.config import DataConfig
from diascope.core.errors import DataError
from diascope.core.findings import Finding
from diascope.data.index import open_index

IMAGES = ["a/1.png", "a/2.png", "b/3.png"]


def told(home: Path, masks: list[str], boxes: list[str] | None = None) -> Finding:
    """What is found beside three images in `home`/moles, with these masks, and these paths in boxes.csv."""
    for name in [*(f"moles/{path}" for path in IMAGES), *(f"masks/{path}" for path in masks)]:
        (home / name).parent.mkdir(parents=True, exist_ok=True)
        Image.fromarray(np.full((9, 9), 90, np.uint8)).save(home / name)
    if boxes is not None:
        lines = [f"{path},0.5,0.5,0.1,0.1" for path in boxes]
        (home / "boxes.csv").write_text("\n".join(["path,x_center,y_center,width,height", *lines]) + "\n")
    (found,) = regions_of_no_image(
        audited(open_index(DataConfig(source=str(home / "moles"))), plain_facts(len(IMAGES)))
    )
    return found


def test_masks_of_the_images_pass(tmp_path: Path) -> None:
    found = told(tmp_path, ["a/1.png", "b/3.png"], ["a/2.png", "a/2.png"])
    assert (found.outcome, found.evidence) == ("passed", {"known": 3})


def test_masks_behind_a_link_are_the_images_too(tmp_path: Path) -> None:
    told(tmp_path / "elsewhere", ["a/1.png", "a/2.png"])
    (tmp_path / "masks").mkdir()
    (tmp_path / "masks/a").symlink_to(tmp_path / "elsewhere/masks/a")
    found = told(tmp_path, [])
    assert (found.outcome, found.evidence) == ("passed", {"known": 2})


def test_where_none_fits_the_right_place_is_told(tmp_path: Path) -> None:
    found = told(tmp_path, ["2.png"], ["moles/b/3.png", "moles/b/3.png", "moles/a/1.png"])
    assert (found.outcome, found.severity, found.evidence) == ("issue", "warning", {"known": 0})
    assert found.sentence == (
        f"In {tmp_path}, boxes.csv has 3 rows, none of an image of the study: such as moles/b/3.png, not b/3.png, "
        "and masks/ has 1 file, none of an image of the study: such as masks/2.png, but that of a/2.png would be "
        "masks/a/2.png. Where the finding lies is known of 0 of 3 images. "
        "Name them by the paths in index.csv, without leading ../ parts (docs/explain.md)."
    )


def test_where_some_fit_the_others_are_a_note(tmp_path: Path) -> None:
    found = told(tmp_path, ["a/1.png", "b/7.png", "b/8.png"], ["b/3.png"])
    assert (found.outcome, found.severity, found.evidence) == ("issue", "info", {"known": 2})
    assert "masks/ has 3 files, 2 of them of no image of the study: such as masks/b/7.png." in found.sentence
    assert "boxes.csv" not in found.sentence


def test_nothing_beside_the_images_and_drawn_ones(tmp_path: Path) -> None:
    assert told(tmp_path, []).outcome == "not applicable"
    assert regions_of_no_image(of_phantoms("bone", images=8))[0].outcome == "not applicable"


def test_a_box_with_a_mistake_is_told_before_training(tmp_path: Path) -> None:
    (tmp_path / "boxes.csv").write_text("path,x_center,y_center,width,height\na/1.png,40,40,9,9\n")
    with pytest.raises(DataError, match=r"boxes\.csv, line 2: the box does not lie in the image"):
        told(tmp_path, [])
