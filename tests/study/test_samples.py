"""Pictures of augmented images: the first is the image itself, arms that augment alike share them, old ones go."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from PIL import Image
from ruamel.yaml import YAML

from diascope.report.page import Pictures, render, sample_pictures
from diascope.report.sample_strips import sample_strips
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord
from diascope.runs.samples import strip_path
from diascope.study.augmented_samples import DRAWS
from diascope.study.images import Images, read_images
from diascope.study.writing import write_study
from diascope.studyfile import Study, load_study

FLIP: dict[str, Any] = {"augmentation.horizontal_flip": 1.0}
TURN: dict[str, Any] = {"augmentation.rotation": [90, 90]}


def _study(folder: Path, arms: dict[str, Any]) -> tuple[Study, Images]:
    tree = {
        "name": "samples",
        "data": {"source": "phantom:skin", "image_size": 32, "phantom": {"images": 16, "size": 32}},
        "training": {"epochs": 1},
        "seeds": 1,
        "arms": arms,
    }
    file = folder / "study.yaml"
    YAML().dump(tree, file)
    study = load_study(file)
    return study, read_images(study)


@pytest.fixture(scope="module")
def written(tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Study, Images]:
    scratch = tmp_path_factory.mktemp("samples")
    arms = {"plain": {}, "flipped": FLIP, "flipped-wide": {**FLIP, "model.base_channels": 16}, "turned": TURN}
    study, images = _study(scratch, arms)
    write_study(study, images, scratch / "out")
    return scratch / "out", study, images


def _tiles(path: Path) -> list[np.ndarray]:
    """The pictures of a strip, cut at its transparent columns."""
    with Image.open(path) as image:
        pixels = np.asarray(image.convert("RGBA"))
    opaque = (pixels[..., 3] > 0).all(axis=0)
    edges = np.flatnonzero(np.diff(np.r_[False, opaque, False].astype(int)))
    return [pixels[:, start:end, 0] for start, end in edges.reshape(-1, 2)]


def test_a_strip_is_an_image_of_the_training_side_and_what_becomes_of_it(written: tuple[Path, Study, Images]) -> None:
    folder, _, images = written
    for number, name in enumerate(images.index.classes):
        first, *others = _tiles(strip_path(folder, "flipped", name))
        row = next(row for row in images.folds.folds[0].training if images.index.labels[row] == number)
        np.testing.assert_array_equal(first, images.caches["flipped"].pixels[row].squeeze())
        assert len(others) == DRAWS
        for other in others:
            np.testing.assert_array_equal(other, first[:, ::-1])


def test_a_turned_image_is_turned(written: tuple[Path, Study, Images]) -> None:
    folder, _, images = written
    first, *others = _tiles(strip_path(folder, "turned", images.index.classes[0]))
    for other in others:
        np.testing.assert_allclose(other.astype(int), np.rot90(first), atol=1)  # counter-clockwise


def test_arms_that_augment_alike_share_strips_and_others_have_none(written: tuple[Path, Study, Images]) -> None:
    folder, _, images = written
    assert {path.parent.name for path in folder.glob("samples/augmented/*/*")} == {"flipped", "turned"}
    flipped, turned = sample_strips(StudyRecord(folder))
    assert (flipped["arms"], turned["arms"]) == (["flipped", "flipped-wide"], ["turned"])
    assert flipped["words"] == "horizontal flip of 100% of the images"
    assert set(flipped["pictures"]) == set(images.index.classes)


def test_the_page_shows_them_with_the_plain_ones(written: tuple[Path, Study, Images]) -> None:
    record = StudyRecord(written[0])
    page = render(summarize(record), Pictures(sample_pictures(record), sample_strips(record)))
    assert "As the network saw them" in page
    assert page.count('<img class="strip"') == 4
    assert "The other arms do not augment." in page
    assert "As the network saw them" not in render(summarize(record), Pictures(sample_pictures(record)))


def test_strips_of_arms_that_are_gone_are_removed(tmp_path: Path) -> None:
    study, images = _study(tmp_path, {"a": FLIP, "b": TURN})
    write_study(study, images, tmp_path / "out")
    assert len(list(tmp_path.glob("out/samples/augmented/*/*.png"))) == 4
    study, images = _study(tmp_path, {"a": FLIP})
    write_study(study, images, tmp_path / "out")
    assert {path.parent.name for path in tmp_path.glob("out/samples/augmented/*/*.png")} == {"a"}
    assert len(StudyRecord(tmp_path / "out").samples(images.index.classes[0])) > 0
