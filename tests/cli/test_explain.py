"""diascope explain, and what `diascope run` leaves in explain/: on one tiny study that all tests share."""

import json
import shutil
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diascope.app.explain import explain_study
from diascope.cli import main
from diascope.config import PhantomConfig
from diascope.core.errors import DataError
from diascope.core.events import Notice
from diascope.data import phantoms
from diascope.explain.named import find_images
from diascope.runs import seal
from diascope.runs.explained import read_explained
from diascope.runs.folder import RunFolder
from diascope.runs.record import StudyRecord

STUDY = """name: tiny
data: {source: drawn/manifest.csv, group: group, image_size: 32}
split: {kind: holdout, validation: 0.5}
model: {base_channels: 2}
training: {epochs: 1, learning_rate: 1e-3}
seeds: 2
arms: {plain: {}, dropout: {model.dropout: 0.4}}
report: {explain: 1}
"""
RUN = "tiny/runs/plain/fold0-seed0"
Command = Callable[..., tuple[str, str]]


@pytest.fixture(scope="module")
def made(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A study of drawn lesions that was run once."""
    home = tmp_path_factory.mktemp("explained")
    phantoms.write("skin", PhantomConfig(images=48, size=32, images_per_group=1), home / "drawn")
    (home / "tiny.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIASCOPE_CACHE", str(home / "cache"))
        patch.chdir(home)
        patch.setattr(sys, "argv", ["diascope", "run", "tiny.yaml", "--executor", "serial"])
        with pytest.raises(SystemExit) as end:
            main()
        assert not end.value.code
    return home


@pytest.fixture
def diascope(made: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in the study's home and gives what it said."""

    def command(*arguments: str, code: int = 0) -> tuple[str, str]:
        monkeypatch.setenv("DIASCOPE_CACHE", str(made / "cache"))
        monkeypatch.chdir(made)
        monkeypatch.setattr(sys, "argv", ["diascope", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = capsys.readouterr()
        assert (end.value.code or 0) == code, said
        return said.out, said.err

    return command


def load(file: Path) -> dict[str, np.ndarray]:
    """What an npz holds; the file is closed again."""
    with np.load(file) as opened:
        return dict(opened)


def listing(made: Path, run: str = RUN) -> dict:
    return json.loads((made / run / "explain" / "explain.json").read_text())


def test_a_study_explains_the_first_run_of_each_arm(made: Path) -> None:
    for arm in ("plain", "dropout"):
        run = made / "tiny" / "runs" / arm / "fold0-seed0"
        found = listing(made, run.relative_to(made).as_posix())
        assert found["run_id"] == json.loads((run / "config.json").read_text())["run_id"]
        assert found["cases"]
        for case in found["cases"]:
            with Image.open(run / "explain" / case["png"]) as picture:
                assert min(picture.size) > 150
            raw = load(run / "explain" / case["npz"])
            assert raw["map"].shape == (32, 32)
            assert raw["map"].dtype == np.float32
            assert raw["map"].max() == pytest.approx(case["largest"])
            assert (str(raw["method"]), str(raw["class_name"])) == ("grad-cam", case["predicted"])
            assert str(raw["layer"]) == "features.conv5"
            assert float(raw["probability"]) == pytest.approx(case["probability"])
        assert found["regions"]["all"]["images"] == 24, "masks lie beside the manifest"
        assert found["sanity"]["stages"]
        assert not (made / "tiny" / "runs" / arm / "fold0-seed1" / "explain").exists()
    summary = json.loads((made / "tiny" / "summary.json").read_text())
    told = summary["arms"]["plain"]["explain"]
    assert (made / "tiny" / told["cases"][0]["png"]).is_file()
    page = (made / "tiny" / "report.html").read_text()
    assert "What it looked at" in page
    assert "meaningless" in page, "after one epoch on 24 images no network is better than chance"
    assert told["meaningless"]


@pytest.fixture
def copied(made: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A study folder that a test may change."""
    monkeypatch.setenv("DIASCOPE_CACHE", str(made / "cache"))
    return Path(shutil.copytree(made / "tiny", tmp_path / "tiny"))


def explained(folder: Path) -> list[str]:
    """What went wrong when the end of a study was repeated."""
    problems: list[Notice] = []
    explain_study(folder, problems.append, "cpu")
    assert all(problem.warning for problem in problems)
    return [problem.text for problem in problems]


def test_what_is_explained_stays_as_it_is_and_comes_back_when_it_is_lost(copied: Path) -> None:
    folder = copied / "runs/plain/fold0-seed0/explain"
    before = {path: path.stat().st_mtime_ns for path in folder.iterdir()}
    (folder / "right-of-mine.txt").write_text("kept")
    assert explained(copied) == []
    assert before == {path: path.stat().st_mtime_ns for path in before}
    listed = json.loads((folder / "explain.json").read_text())
    lost = folder / listed["cases"][0]["png"]
    lost.unlink()
    assert explained(copied) == []
    assert lost.is_file()
    assert json.loads((folder / "explain.json").read_text()) == listed
    assert (folder / "right-of-mine.txt").exists()


def test_another_run_in_the_folder_is_explained_anew(copied: Path) -> None:
    folder = RunFolder(copied / "runs/plain/fold0-seed0")
    folder.config.write_text(json.dumps({**json.loads(folder.config.read_text()), "run_id": "another"}))
    done = {**json.loads(folder.done.read_text()), "run_id": "another"}
    folder.done.write_text(json.dumps({**done, seal.KEY: seal.digests(folder)}))
    assert read_explained(StudyRecord(copied).runs_of("plain")[0]) is None
    assert explained(copied) == []
    found = read_explained(StudyRecord(copied).runs_of("plain")[0])
    assert found is not None
    assert found["run_id"] == "another"


def test_none_are_wanted(copied: Path) -> None:
    study = copied / "study.yaml"
    study.write_text(study.read_text().replace("explain: 1", "explain: 0"))
    shutil.rmtree(copied / "runs/plain/fold0-seed0/explain")
    assert explained(copied) == []
    assert not (copied / "runs/plain/fold0-seed0/explain").exists()


def test_a_failing_explanation_is_told_and_the_others_are_made(copied: Path) -> None:
    for arm in ("plain", "dropout"):
        shutil.rmtree(copied / f"runs/{arm}/fold0-seed0/explain")
    (copied / "runs/plain/fold0-seed0/last.safetensors").write_bytes(b"damaged")
    (problem,) = explained(copied)
    assert "plain/fold0-seed0 could not be explained" in problem
    assert (copied / "runs/dropout/fold0-seed0/explain/explain.json").exists()


def test_a_network_that_raises_anything_loses_no_study(copied: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def fail(*given: object) -> None:
        raise ZeroDivisionError("planted")

    monkeypatch.setattr("diascope.app.explain.explain_cases", fail)
    shutil.rmtree(copied / "runs/plain/fold0-seed0/explain")
    assert explained(copied) == ["plain/fold0-seed0 could not be explained: ZeroDivisionError: planted"]


@pytest.mark.parametrize("method", ["grad-cam", "grad-cam++", "integrated-gradients", "occlusion"])
def test_every_method_from_the_index_and_from_disk(made: Path, diascope: Command, method: str) -> None:
    path = listing(made)["cases"][0]["path"]
    shutil.copy(made / "drawn" / path, made / "elsewhere.png")
    said, _ = diascope("explain", RUN, path, "elsewhere.png", f"drawn/{path}", "--method", method, "--out", "out")
    files = [made / line for line in said.split()]
    raw = [load(file.with_suffix(".npz")) for file in files]
    assert [str(one["true"]) for one in raw] == [path.split("/")[0], "", path.split("/")[0]]
    assert np.array_equal(raw[0]["map"], raw[1]["map"])
    assert len({float(one["scale"]) for one in raw}) == 1
    assert all(file.is_file() for file in files)


def test_the_scale_of_a_run_is_the_reports(made: Path, diascope: Command) -> None:
    case = listing(made)["cases"][0]
    said, _ = diascope("explain", RUN, case["path"], "--out", "out")
    raw = load((made / said.strip()).with_suffix(".npz"))
    assert float(raw["scale"]) == pytest.approx(listing(made)["scale"]["value"], rel=1e-5)
    assert np.allclose(raw["map"], load(made / RUN / "explain" / case["npz"])["map"], atol=1e-7)


def test_a_class_a_layer_and_a_scale_can_be_chosen(made: Path, diascope: Command) -> None:
    path = listing(made)["cases"][0]["path"]
    given = ("--layer", "features.conv3", "--scale", "0.5", "--checkpoint", "best", "--out", "out")
    maps = []
    for name in ("nevus", "melanoma"):
        said, _ = diascope("explain", RUN, path, "--class", name, *given)
        raw = load((made / said.strip()).with_suffix(".npz"))
        assert (str(raw["class_name"]), str(raw["layer"]), float(raw["scale"])) == (name, "features.conv3", 0.5)
        maps.append(raw["map"])
    assert not np.array_equal(*maps)


def test_the_checks_are_printed_and_kept(made: Path, diascope: Command) -> None:
    said, _ = diascope("explain", RUN, "--regions", "--sanity", "--out", "out")
    assert "energy inside" in said
    assert "8 of 8" in said
    assert json.loads((made / "out" / "regions-grad-cam.json").read_text())["all"]["images"] == 24
    assert len(json.loads((made / "out" / "sanity-grad-cam.json").read_text())["stages"]) == 8


@pytest.mark.parametrize(
    ("name", "said"),
    [
        ("moles/nevus/00007.png", "did you mean '../moles/nevus/00007.png' or '../moles/melanoma/00007.png'?"),
        ("00007.png", "did you mean '../moles/nevus/00007.png' or '../moles/melanoma/00007.png'?"),
        ("x", "the paths in index.csv are such as ../moles/nevus/00000.png, ../moles/nevus/00001.png, "
              "../moles/nevus/00002.png and 57 more"),
    ],
)  # fmt: skip
def test_of_an_unknown_image_a_few_near_ones_are_named(name: str, said: str) -> None:
    labels = {f"../moles/{kind}/{number:05d}.png": kind for kind in ("nevus", "melanoma") for number in range(30)}
    with pytest.raises(DataError) as error:
        find_images([name], labels, "audited/manifest.csv")
    assert error.value.remedy == said


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ((RUN, "nevus/0000.png"), "neither an image of the study nor a file; did you mean 'nevus/"),
        ((RUN, "x.png", "--method", "gradcam"), "did you mean 'grad-cam'"),
        ((RUN, "IMAGE", "--class", "melanom"), "did you mean 'melanoma'"),
        ((RUN, "IMAGE", "--layer", "conv6"), "--layer conv6: AlexNet has no such layer; did you mean 'conv"),
        ((RUN, "IMAGE", "--layer", "features.conv5", "--method", "occlusion"), "occlusion explains no layer"),
        ((RUN,), "no IMAGE is named"),
        (("tiny", "IMAGE"), f"is a study, not a run; name one of the study's runs: {RUN}"),
        (("tiny",), f"tiny: is a study, not a run; name one of the study's runs: {RUN}"),
        (("tiny/runs/plain", "IMAGE"), f"tiny/runs/plain: is not a run folder; name one of the study's runs: {RUN}"),
        (("tiny/runs/none/fold0-seed0",), f"there is no such run; name one of the study's runs: {RUN}"),
        (("nothing/runs/plain",), "nothing/runs/plain: there is no such run; name DIR/runs/<arm>/fold0-seed0"),
        ((RUN, "tiny.yaml"), "tiny.yaml: not a JPEG, PNG"),
    ],
)
def test_errors_say_what_to_do(made: Path, diascope: Command, arguments: tuple[str, ...], message: str) -> None:
    path = listing(made)["cases"][0]["path"]
    _, error = diascope("explain", *[path if word == "IMAGE" else word for word in arguments], code=2)
    assert message in error


def test_regions_that_there_are_not_are_an_error(made: Path, diascope: Command) -> None:
    path, given = listing(made)["cases"][0]["path"], ("--regions", "--out", "no-regions")
    masks, boxes = made / "drawn" / "masks", made / "drawn" / "boxes.csv"
    kept = {file: file.rename(made / f"kept-{file.name}") for file in (masks, boxes) if file.exists()}
    try:
        _, error = diascope("explain", RUN, path, *given, code=2)
        assert "there is neither boxes.csv nor masks/" in error
        shutil.copytree(kept[masks], masks / "elsewhere")
        _, error = diascope("explain", RUN, path, *given, code=2)
        assert "masks/ has 48 files, none of an image of the study" in error
        assert not (made / "no-regions").exists(), "this is said before anything is written"
        shutil.rmtree(masks)
        for image in kept[masks].rglob("*.png"):
            copy = masks / image.relative_to(kept[masks])
            copy.parent.mkdir(parents=True, exist_ok=True)
            Image.new("L", (32, 32)).save(copy)
        _, error = diascope("explain", RUN, path, *given, code=2)
        assert "nothing is left of the regions of 24 images" in error
    finally:
        shutil.rmtree(masks, ignore_errors=True)
        for file, moved in kept.items():
            moved.rename(file)
    assert not [*(made / "no-regions").glob("regions-*")]


def test_images_that_are_gone_are_named_and_a_scale_does_without_them(made: Path, diascope: Command) -> None:
    shutil.copy(made / "drawn" / listing(made)["cases"][0]["path"], made / "elsewhere.png")
    (made / "drawn").rename(made / "moved")
    try:
        _, error = diascope("explain", RUN, "elsewhere.png", "--out", "out", code=2)
        assert "drawn/manifest.csv: no such file" in error
        assert "--scale" in error
        said, _ = diascope("explain", RUN, "elsewhere.png", "--scale", "1", "--out", "out")
        assert (made / said.strip()).is_file()
    finally:
        (made / "moved").rename(made / "drawn")
