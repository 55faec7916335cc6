"""diascope augment: the sheets that it writes, and what it refuses."""

from pathlib import Path

import numpy as np
import pytest
from augmenting import changed
from PIL import Image
from typer.testing import CliRunner

from diascope.cli import app
from diascope.config import AugmentationConfig
from diascope.config.augmentation import LIMITS
from diascope.core.errors import ConfigError
from diascope.data.augment.samples import SWEEPS, sample_rows, sweep_rows
from diascope.data.augment.sheets import Row, write_sheet

SMALL = ("--image-size", "32", "--set", "data.phantom.images=24", "--set", "data.phantom.size=32")


def run(*arguments: str):
    return CliRunner().invoke(app, ["augment", *arguments], catch_exceptions=False)


def read(file: Path) -> np.ndarray:
    with Image.open(file) as sheet:
        return np.asarray(sheet)


def noise(count: int = 6, height: int = 16, width: int = 12, channels: int = 1) -> np.ndarray:
    return np.random.default_rng(0).integers(0, 256, (count, height, width, channels), dtype=np.uint8)


@pytest.mark.parametrize("channels", [1, 3])
def test_two_sheets_are_written_and_named(tmp_path, channels):
    said = run("phantom:skin", "-o", str(tmp_path / "new"), "--images", "3", "--draws", "2", *SMALL,
               "--set", f"data.channels={channels}")  # fmt: skip
    assert said.exit_code == 0
    files = sorted(Path(line) for line in said.output.splitlines())
    assert [file.name for file in files] == ["samples.png", "transformations.png"]
    samples, transformations = map(read, files)
    assert transformations.shape[0] > 3 * samples.shape[0] > 3 * 128
    colours = samples.astype(int)
    assert (np.ptp(colours, axis=2).max() > 0) == (channels == 3)


def test_the_samples_follow_the_settings_and_the_seed(tmp_path):
    def sheet(name: str, *arguments: str) -> bytes:
        run("phantom:bone", "-o", str(tmp_path / name), "--images", "2", "--draws", "2", *SMALL, *arguments)
        return (tmp_path / name / "samples.png").read_bytes()

    first = sheet("a")
    assert sheet("b") == first
    assert sheet("c", "--seed", "1") != first
    assert sheet("d", "--set", "augmentation.vertical_flip=1") != first


def test_a_study_gives_a_page_for_each_of_its_augmentations(tmp_path):
    study = tmp_path / "study.yaml"
    study.write_text(
        "name: two\narms:\n  plain: {}\n  turned: {augmentation.rotation: 10}\n"
        "  turned-again: {augmentation.rotation: 10}\n  flipped: {augmentation.horizontal_flip: 0.5}\n"
    )
    said = run(
        "phantom:skin", "--study", str(study), "-o", str(tmp_path / "new"), "--images", "1", "--draws", "1", *SMALL
    )
    assert said.exit_code == 0
    assert sorted(file.name for file in (tmp_path / "new").glob("*.png")) == [
        "samples-flipped.png",
        "samples-turned.png",
        "transformations.png",
    ]


def test_a_study_without_augmentation_is_refused_with_a_remedy(tmp_path):
    with pytest.raises(ConfigError, match="no arm has an augmentation"):
        run("phantom:skin", "--study", "lab-1a", "-o", str(tmp_path), *SMALL)


def test_a_file_in_the_way_is_refused(tmp_path):
    (tmp_path / "taken").write_text("")
    with pytest.raises(ConfigError, match="is a file"):
        run("phantom:skin", "-o", str(tmp_path / "taken"), *SMALL)


def test_every_transformation_has_a_row_that_begins_with_the_original():
    image = noise()[0]
    assert {sweep.key for sweep in SWEEPS} == set(LIMITS) - {"shift"}
    rows = sweep_rows(image, AugmentationConfig(), seed=0)
    assert [row.name for row in rows][:4] == ["Down-scaling", "Rotation", "Intensity", "Flips"]
    for row in rows:
        caption, first = row.pictures[0]
        assert caption == "original"
        np.testing.assert_array_equal(first, image)
        assert all((picture != image).any() for _, picture in row.pictures[1:])


def test_the_sweeps_go_as_far_as_task_3a_asks():
    captions = {row.name: [caption for caption, _ in row.pictures[1:]] for row in
                sweep_rows(noise()[0], AugmentationConfig(), seed=0)}  # fmt: skip
    assert captions["Down-scaling"] == ["0.1", "0.2", "0.3", "0.4", "0.5", "0.6", "0.7", "0.8"]
    assert captions["Rotation"] == [f"{degrees}°" for degrees in range(10, 91, 10)]
    assert captions["Intensity"][0] == "2-98"
    assert captions["Intensity"][-1] == "20-80"
    assert captions["Flips"] == ["horizontal", "vertical", "both"]


def test_a_picture_of_a_sweep_is_changed_by_what_its_caption_says():
    image = noise(channels=3)[0]
    rows = {row.name: dict(row.pictures) for row in sweep_rows(image, AugmentationConfig(fill="reflect"), seed=0)}
    expected = changed(image.astype(np.float32) / 255, rotation=30, fill="reflect")
    np.testing.assert_array_equal(rows["Rotation"]["30°"], np.rint(expected * 255))
    np.testing.assert_array_equal(rows["Flips"]["vertical"], image[::-1])


def test_sample_rows_are_a_new_draw_each_time():
    config = AugmentationConfig.model_validate({"rotation": 30})
    (row,) = sample_rows([noise()[0]], ["nevus"], config, seed=0, draws=5)
    assert [caption for caption, _ in row.pictures] == ["original", "1", "2", "3", "4", "5"]
    assert len({picture.tobytes() for _, picture in row.pictures}) == 6


def test_a_sheet_holds_names_captions_and_pictures_whatever_their_sizes(tmp_path):
    pictures = [(f"a rather long caption {size}", noise(1, *size)[0]) for size in ((8, 300), (300, 8), (28, 28))]
    write_sheet(tmp_path / "sheet.png", "Title " * 30, [Row("a name of some length", "and\ntwo lines", pictures)])
    sheet = read(tmp_path / "sheet.png")
    for border in (sheet[0], sheet[-1], sheet[:, 0], sheet[:, -1]):
        assert (border == 255).all(), "something is cut off"


def test_help_has_an_example():
    assert "Example: diascope augment" in run("--help").output


def test_an_npz_with_sides_has_sheets_whatever_images_are_drawn(tmp_path):
    arrays = {f"{side}_images": noise(8)[..., 0] for side in ("train", "val", "test")}
    labels = {f"{side}_labels": np.arange(8)[:, None] % 2 for side in ("train", "val", "test")}
    np.savez(tmp_path / "some.npz", **arrays, **labels)
    for seed in ("0", "1"):
        said = run(str(tmp_path / "some.npz"), "--out", str(tmp_path / seed), "--images", "6", "--seed", seed)
        assert said.exit_code == 0, said.output
        assert (tmp_path / seed / "samples.png").exists()
