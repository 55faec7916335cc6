"""Where commands write: no folder that is not their own is touched, and none among the images is made."""

import sys
from collections.abc import Callable, Iterator
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

import diascope
from diascope.cli import main
from diascope.core.errors import ConfigError
from diascope.study.output import AUDIT, SHEETS, STUDY, refuse_foreign, refuse_images

STUDY_FILE = """name: moles
data: {source: moles, image_size: 16, channels: 1}
model: {base_channels: 1}
training: {epochs: 1}
seeds: 1
search: {space: {training.batch_size: [4, 8]}}
"""
Command = Callable[..., str]
WRITERS = ("run moles.yaml", "tune moles.yaml", "plan moles.yaml", "audit moles", "augment moles")


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """Images in moles/a and moles/b, a study of them, and somebody's folder `victim`."""
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (tmp_path / "moles" / name).mkdir(parents=True)
        for number in range(6):
            image = Image.fromarray(random.integers(0, 256, (16, 16), dtype=np.uint8))
            image.save(tmp_path / "moles" / name / f"{number}.png")
    (tmp_path / "moles.yaml").write_text(STUDY_FILE)
    for file in ("index.csv", "report.html", "pictures/mother.png"):
        (tmp_path / "victim" / file).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / "victim" / file).write_text("mine")
    monkeypatch.chdir(tmp_path)
    return tmp_path


@pytest.fixture
def refused(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command that is refused, and changes nothing on disk; what it says."""

    def command(line: str) -> str:
        before = {path: path.stat().st_mtime_ns for path in home.rglob("*")}
        monkeypatch.setattr(sys, "argv", ["diascope", *line.split()])
        with pytest.raises(SystemExit) as end:
            main()
        assert end.value.code == 2
        assert {path: path.stat().st_mtime_ns for path in home.rglob("*")} == before
        return capsys.readouterr().err

    return command


@pytest.mark.parametrize("command", WRITERS)
def test_a_folder_of_another_is_refused(command: str, refused: Command) -> None:
    said = refused(f"{command} --out victim")
    assert "--out victim: this folder is not empty, and its files are not those of" in said
    assert "index.csv, pictures, report.html; give another folder, such as --out victim-" in said


@pytest.mark.parametrize("command", WRITERS)
def test_no_output_lies_among_the_images(command: str, home: Path, refused: Command) -> None:
    (home / "link").symlink_to(home / "moles", target_is_directory=True)
    said = refused(f"{command} --out link/new")
    assert f"--out link/new: lies among the images of {home}/moles, of which it would become a part" in said


def test_a_study_that_is_called_like_its_images_is_refused(refused: Command) -> None:
    assert "--out moles: this folder is not empty" in refused("run moles.yaml")
    assert "such as --out moles-study" in refused("run moles.yaml")


@pytest.mark.parametrize(
    "name", ["../victim", "..", "/victim", "a\\\\b", "c:victim", "CON", "x" * 101, "a\\x1bb", "a."]
)
def test_a_name_that_is_no_folder_of_its_own_is_refused(name: str, home: Path, refused: Command) -> None:
    (home / "moles.yaml").write_text(STUDY_FILE.replace("name: moles", f'name: "{name}"'))
    assert "moles.yaml:1: name: " in refused("run moles.yaml")


def test_images_of_a_manifest_are_safe_and_a_study_beside_them_is_not_refused(home: Path) -> None:
    paths = [f"moles/a/{number}.png" for number in range(3)]
    manifest = str(home / "moles.csv")
    (home / "moles.csv").write_text("path,label\n")
    for out in (home, home / "moles", home / "moles" / "a"):
        with pytest.raises(ConfigError, match="the images lie in it"):
            refuse_images(out, manifest, paths)
    with pytest.raises(ConfigError, match="the images lie in it"):
        refuse_images(home, str(home / "moles.npz"), ["train/0"])
    refuse_images(home / "study", manifest, paths)
    refuse_images(home / "moles" / "study", str(home / "moles.npz"), ["train/0"])
    refuse_images(home, "phantom:skin", ["a/0.png"])


def test_only_an_earlier_output_of_the_same_kind_is_written_to(tmp_path: Path) -> None:
    marks = {
        STUDY: ("study.yaml", "index.csv", "folds.json"),
        AUDIT: ("findings.json",),
        SHEETS: ("transformations.png",),
    }
    for kind, files in marks.items():
        folder = tmp_path / kind.name
        folder.mkdir()
        (folder / ".hidden").touch()
        refuse_foreign(folder, kind)
        for file in files:
            (folder / file).touch()
        for other in marks:
            if other is kind:
                refuse_foreign(folder, other)
            else:
                with pytest.raises(ConfigError, match="is not empty"):
                    refuse_foreign(folder, other)
    (tmp_path / "a study" / "findings.json").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        refuse_foreign(tmp_path / "a study", AUDIT)
    (tmp_path / "search" / "search").mkdir(parents=True)  # what a search leaves that is killed at once
    refuse_foreign(tmp_path / "search", STUDY)
    (tmp_path / "search" / "search" / ".journal.lock").touch()
    refuse_foreign(tmp_path / "search", STUDY)
    (tmp_path / "mine").mkdir()
    (tmp_path / "mine" / "study.yaml").touch()  # a study file and a manifest, which a study's own would replace
    (tmp_path / "mine" / "index.csv").touch()
    with pytest.raises(ConfigError, match="is not empty"):
        refuse_foreign(tmp_path / "mine", STUDY)


def test_what_nobody_may_look_into_is_nobodys_work(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lost+found").mkdir()
    usual = Path.iterdir

    def iterdir(folder: Path) -> Iterator[Path]:
        if folder.name == "lost+found":
            raise PermissionError(13, "Permission denied")
        return usual(folder)

    monkeypatch.setattr(Path, "iterdir", iterdir)
    refuse_foreign(tmp_path, STUDY)


def test_python_is_refused_like_a_command(home: Path) -> None:
    with pytest.raises(ConfigError, match="--out victim: this folder is not empty"):
        diascope.run("moles.yaml", out="victim")
