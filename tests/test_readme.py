"""The README's examples, run as a reader would run them, on drawn moles."""

import json
import os
import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from diascope.config import PhantomConfig
from diascope.data import phantoms
from diascope.recipes import find_study

README = (Path(__file__).parent.parent / "README.md").read_text(encoding="utf-8")


def blocks(language: str) -> list[str]:
    return re.findall(rf"```{language}\n(.*?)```", README, re.DOTALL)


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A reader's folder: images in a folder per class, a manifest with patients, and the README's study files."""
    folder = tmp_path_factory.mktemp("reader")
    phantoms.write("skin", PhantomConfig(images=24, size=64), folder / "drawn")
    rows = (folder / "drawn" / "manifest.csv").read_text().splitlines()
    lines = ["path,label,patient"]
    for row in rows[1:]:
        path, label, group = row.split(",")[:3]
        name = {"melanoma": "malignant", "nevus": "benign"}[label]
        target = folder / "moles" / name / Path(path).name
        target.parent.mkdir(parents=True, exist_ok=True)
        (folder / "drawn" / path).rename(target)
        lines.append(f"{target.relative_to(folder).as_posix()},{name},{group}")
    (folder / "moles.csv").write_text("\n".join(lines) + "\n")
    for text in blocks("yaml"):
        name = re.search(r"^name: (.+)$", text, re.MULTILINE)
        assert name is not None
        (folder / f"{name[1]}.yaml").write_text(text.replace("epochs: 20", "epochs: 2"))
    return folder


def run(command: list[str], home: Path) -> str:
    environment = {**os.environ, "PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stdout + done.stderr
    return done.stdout


def test_the_first_study_is_five_lines() -> None:
    assert len(blocks("yaml")[0].splitlines()) == 5


def test_commands(home: Path) -> None:
    commands = [line.removeprefix("$ ") for block in blocks("console") for line in block.splitlines()]
    assert len(commands) >= 3
    for command in commands:
        said = run(shlex.split(command.replace("epochs=10", "epochs=1")), home)
        if " run " in command:
            assert "Report: " in said
    assert (home / "moles-study" / "report.html").exists()
    assert (home / "moles-by-patient" / "summary.json").exists()
    assert any((home / "sheets").glob("samples*.png"))
    assert len(json.loads((home / "moles-resnet" / "test_log.json").read_text())) == 1
    assert (home / "moles-study" / "runs" / "dropout" / "fold0-seed2" / "done.json").exists()


def test_python(home: Path) -> None:
    (code,) = blocks("python")
    (home / "example.py").write_text(code)
    said = run([sys.executable, "example.py"], home)
    assert len(re.findall(r"^(plain|dropout) [012] [01]\.\d+$", said, re.MULTILINE)) == 6


def test_recipes_that_are_named_exist() -> None:
    for name in re.findall(r"diascope recipes ([\w-]+)`", README):
        assert find_study(name).config.name == name
