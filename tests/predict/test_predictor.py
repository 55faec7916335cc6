"""Predictor: the probabilities of a run from files, bytes and arrays, to the bits that the run itself wrote down."""

from pathlib import Path

import numpy as np
import pytest
from dicom_files import dicom
from numpy.typing import NDArray
from PIL import Image
from pretraining import CPU, predictions, tasks_of
from pretraining import train as train_task

from diascope import Predictor
from diascope.app.run import Options, train
from diascope.core.errors import DataError, RunError
from diascope.engine import RunTask
from diascope.explain.study_images import StudyImages
from diascope.predict.predictor import Network
from diascope.runs.record import StudyRecord
from diascope.studyfile import parse_study

ALEXNET = "{model: {name: alexnet, base_channels: 2, dense: [4]}}"
VARIANTS = {
    "features": "{}",
    "half": "{model.feature_precision: float16}",
    "logistic": "{model.head: logistic, model.dense: null, model.dropout: 0}",
    "finetune": "{model.mode: finetune}",
    "all": "{model.mode: finetune, model.unfreeze: all}",
    "copies": "{augmentation.horizontal_flip: 0.5, model.augmented_copies: 2}",
}


def validation_pixels(task: RunTask) -> NDArray[np.uint8]:
    found: NDArray[np.uint8] = np.load(task.data.pixels)[task.data.validation]  # type: ignore[arg-type]
    return found


@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_network_gives_the_bits_that_its_run_wrote(precision: str, tmp_path: Path) -> None:
    settings = ["model={name: alexnet, base_channels: 2, dense: [4]}", f"training.precision={precision}"]
    (task,) = tasks_of(tmp_path, "{arm: {}}", *settings)
    train_task(task)
    for checkpoint in ("last", "best"):
        found = Network.open(task.folder, checkpoint, CPU).probabilities(validation_pixels(task))[:, 1]  # type: ignore[arg-type]
        assert found.tolist() == predictions(task.folder, checkpoint).tolist()
    whole = Predictor.open(task.folder, checkpoint="last", device="cpu").probabilities(validation_pixels(task))
    assert whole[:, 1].tolist() == predictions(task.folder, "last").tolist()


@pytest.mark.parametrize("variant", VARIANTS)
def test_behind_a_frozen_backbone_it_gives_what_stored_features_gave(variant: str, tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, f"{{{variant}: {VARIANTS[variant]}}}")
    train_task(task)
    found = Network.open(task.folder, "last", CPU).probabilities(validation_pixels(task))[:, 1]
    # Rows lie in other batches of the backbone than when all images went through it: the last bits may differ.
    np.testing.assert_allclose(found, predictions(task.folder, "last"), atol=2e-6)


DEEP = """name: deep
data: {source: images, image_size: 16, channels: 1}
split: {kind: holdout, validation: 0.4}
model: {base_channels: 1, dense: [4]}
training: {epochs: 1, learning_rate: 1e-2}
seeds: 2
"""


@pytest.fixture(scope="module")
def deep(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study on gray images of 12 bits in files of 16, whose folder was moved since then."""
    home = tmp_path_factory.mktemp("deep")
    random = np.random.default_rng(0)
    for name, top in (("dark", 2000), ("light", 4000)):
        (home / "images" / name).mkdir(parents=True)
        for number in range(6):
            pixels = random.integers(0, top, (20, 20)).astype(np.uint16)
            Image.fromarray(pixels).save(home / "images" / name / f"{number}.png")
    study = parse_study(DEEP, [], where="study.yaml", folder=home)
    assert not train(study, home / "study", Options("serial", device="cpu")).failed
    (home / "images").rename(home / "moved")
    return home


def runs_of(home: Path) -> list[Path]:
    return [run.folder for run in StudyRecord(home / "study").runs]


def test_files_bytes_and_arrays_are_read_alike_without_the_images_of_the_study(deep: Path) -> None:
    run = StudyRecord(deep / "study").runs[0]
    predictor = Predictor.open(run.folder, checkpoint="last", device="cpu")
    assert (predictor.classes, predictor.reading.bits) == (("dark", "light"), 12)
    rows = run.predictions[run.predictions["checkpoint"] == "last"]
    files = [deep / "moved" / path for path in rows["path"]]
    found = predictor.predict(files)
    assert found[:, 1].tolist() == rows["p_light"].tolist()
    assert (predictor.predict([str(file) for file in files]) == found).all()
    assert (predictor.predict([file.read_bytes() for file in files]) == found).all()
    assert (predictor.predict([np.asarray(Image.open(file)).astype(np.uint16) for file in files]) == found).all()
    assert predictor.predict([]).shape == (0, 2)


def test_several_runs_are_averaged(deep: Path) -> None:
    runs, files = runs_of(deep), sorted((deep / "moved").rglob("*.png"))
    each = [Predictor.open(run, device="cpu").predict(files) for run in runs]
    assert not np.allclose(each[0], each[1])
    np.testing.assert_allclose(Predictor.open(*runs, device="cpu").predict(files), np.mean(each, axis=0), rtol=1e-15)


def test_runs_that_see_other_images_are_not_averaged(deep: Path, tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, f"{{arm: {ALEXNET}}}")
    train_task(task)
    with pytest.raises(RunError, match=r"cannot be averaged with .*: it has classes .*; image_size \(32, 32\), not"):
        Predictor.open(runs_of(deep)[0], task.folder, device="cpu")


def test_what_cannot_be_read_is_named(deep: Path, tmp_path: Path) -> None:
    predictor = Predictor.open(runs_of(deep)[0], device="cpu")
    (tmp_path / "torn.png").write_bytes(b"\x89PNG\r\n\x1a\n")
    with pytest.raises(DataError, match=r"torn\.png"):
        predictor.predict([tmp_path / "torn.png"])
    with pytest.raises(DataError, match=r"an array of float64 with the shape \(4, 4\) is not an image"):
        predictor.predict([np.zeros((4, 4))])  # type: ignore[list-item]
    with pytest.raises(RunError, match="no run is named"):
        Predictor.open()
    with pytest.raises(RunError, match="this run is not finished"):
        Predictor.open(tmp_path)


def test_a_file_of_several_frames_is_explained_by_the_frame_that_the_study_chose(tmp_path: Path) -> None:
    frames = np.stack([np.full((8, 8), level, np.uint8) for level in (10, 200)])
    for name in ("a/1.dcm", "b/1.dcm", "new.dcm"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).write_bytes(dicom(frames, NumberOfFrames=2))
    study = parse_study("name: a\ndata: {source: ., image_size: 8, frame: 2}\n", [], where="a", folder=tmp_path)
    (pixels,) = np.unique(StudyImages(study.arms[0].data, bits=16).from_disk(tmp_path / "new.dcm")).tolist()
    assert pixels == 200
