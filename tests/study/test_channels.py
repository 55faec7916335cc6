"""Whether networks see colour: as the study says, as its images are, and as a folder was begun."""

from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diascope.core.errors import DataError
from diascope.runs.record import StudyRecord
from diascope.study.channels import following_images
from diascope.study.images import read_images
from diascope.study.plan import plan
from diascope.study.writing import write_study
from diascope.studyfile import Study, dump_study, parse_study


def write(folder: Path, coloured: int, images: int = 12) -> Path:
    """RGB files, of which so many are in colour; the others have equal channels, as many X-rays do."""
    random = np.random.default_rng(0)
    rows = ["path,label"]
    for number in range(images):
        gray = random.integers(0, 200, (16, 16, 1), dtype=np.uint8)
        pixels = np.repeat(gray, 3, axis=2)
        pixels[:, :, 0] += 40 if number < coloured else 0
        Image.fromarray(pixels).save(folder / f"{number:02}.png")
        rows.append(f"{number:02}.png,{'ab'[number % 2]}")
    (folder / "all.csv").write_text("\n".join(rows))
    return folder / "all.csv"


def study_of(source: Path | str, *settings: str) -> Study:
    text = "name: tiny\ndata: {image_size: 16}\nsplit: {kind: holdout}\nseeds: 1\n"
    return parse_study(text, [f"data.source={source}", *settings], where="tiny.yaml", folder=Path.cwd())


def channels(study: Study) -> list[int]:
    return [study.config.data.channels, *(arm.data.channels for arm in study.arms)]


@pytest.mark.parametrize(("coloured", "expected"), [(12, 3), (7, 3), (6, 1), (0, 1)])
def test_channels_follow_the_pixels_of_most_images(tmp_path: Path, coloured: int, expected: int) -> None:
    assert channels(following_images(study_of(write(tmp_path, coloured)))) == [expected, expected]


def test_what_is_said_stays_in_the_study_and_in_each_arm(tmp_path: Path) -> None:
    source = write(tmp_path, 12)
    assert channels(following_images(study_of(source, "data.channels=1"))) == [1, 1]
    arms = "arms={follows: {}, gray: {data.channels: 1}}"
    assert channels(following_images(study_of(source, arms))) == [3, 3, 1]


def test_drawn_images_stay_gray_and_missing_ones_are_told(tmp_path: Path) -> None:
    assert channels(following_images(study_of("phantom:skin", "data.phantom.images=8"))) == [1, 1]
    with pytest.raises(DataError, match="no such file or folder"):
        following_images(study_of(tmp_path / "nowhere"))


def test_a_folder_keeps_the_channels_that_it_was_begun_with(tmp_path: Path) -> None:
    """A study of an earlier version was gray unless it said otherwise; the same file goes on with it."""
    source = write(tmp_path, 12)
    study = study_of(source)
    images = read_images(study)
    (cell,) = plan(study, images, tmp_path / "old")
    write_study(study, images, tmp_path / "old", [cell])
    assert "channels: 1" in (tmp_path / "old/study.yaml").read_text()
    again = following_images(study, tmp_path / "old")
    assert channels(again) == [1, 1]
    (same,) = plan(again, read_images(again), tmp_path / "old")
    assert same.task.run_id == cell.task.run_id
    new = following_images(study, tmp_path / "new")
    (other,) = plan(new, read_images(new), tmp_path / "new")
    assert other.task.run_id != cell.task.run_id
    (tmp_path / "new").mkdir()
    (tmp_path / "new/study.yaml").write_text(dump_study(new))
    assert [arm.data.channels for arm in StudyRecord(tmp_path / "new").arm_configs] == [3]
