"""The commands as a user meets them: what they say, what they leave, their exit codes."""

import errno
import json
import os
import re
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from diascope.cli import main

STUDY = """name: tiny
question: Does dropout help?
data: {source: "phantom:skin", image_size: 32, phantom: {images: 24, size: 32}}
split: {kind: holdout, validation: 0.25}
model: {base_channels: 2}
training: {epochs: 2, learning_rate: 1e-3}
seeds: 2
arms: {plain: {}, dropout: {model.dropout: 0.4}}
"""


@dataclass
class Said:
    """What a command printed."""

    stdout: str
    stderr: str


Command = Callable[..., Said]


@pytest.fixture
def diascope(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> Command:
    """Runs a command in the folder `home` and checks its exit code; in this process, which has torch already."""

    def command(*arguments: str, code: int = 0) -> Said:
        monkeypatch.chdir(home)
        monkeypatch.setattr(sys, "argv", ["diascope", *arguments])
        capsys.readouterr()
        with pytest.raises(SystemExit) as end:
            main()
        said = Said(*capsys.readouterr())
        assert (end.value.code or 0) == code, said
        return said

    return command


@pytest.fixture
def home(tmp_path: Path) -> Path:
    (tmp_path / "tiny.yaml").write_text(STUDY)
    return tmp_path


def test_a_study_from_file_to_report_and_again(home: Path, diascope: Command) -> None:
    said = diascope("run", "tiny.yaml", "--executor", "serial")
    assert "4 runs, 0 done, 4 to train" in said.stderr
    assert "Report: tiny/report.html" in said.stdout
    summary = json.loads((home / "tiny" / "summary.json").read_text())
    assert [run["state"] for arm in summary["arms"].values() for run in arm["runs"]] == ["done"] * 4
    stamps = {path: path.stat().st_mtime_ns for path in (home / "tiny" / "runs").rglob("*")}
    assert "4 runs, 4 done, 0 to train" in diascope("run", "tiny.yaml", "--executor", "serial").stderr
    assert stamps == {path: path.stat().st_mtime_ns for path in (home / "tiny" / "runs").rglob("*")}
    (home / "tiny" / "report.html").unlink()
    diascope("report", "tiny")
    assert (home / "tiny" / "report.html").exists()


def test_more_seeds_train_what_is_missing_and_changes_are_stale(home: Path, diascope: Command) -> None:
    run = ("run", "tiny.yaml", "--executor", "serial", "--set", "seeds=1")
    diascope(*run)
    assert "2 done, 2 todo" in diascope("plan", "tiny.yaml").stdout
    planned = diascope("plan", "tiny.yaml", "--set", "seeds={from: 3, until: decided, at_most: 8}").stdout
    assert "2 done, 4 todo" in planned
    assert (
        "planned looks: at 3, 5 and 8 seeds, until every verdict is decided; shown are the 3 asked for now" in planned
    )
    changed = ("--set", "training.learning_rate=1e-2")
    assert "2 stale" in diascope("plan", "tiny.yaml", "--set", "seeds=1", *changed).stdout
    before = (home / "tiny" / "study.yaml").read_bytes()
    said = diascope(*run, *changed, code=2).stderr
    assert "2 of 2 runs were trained with another configuration" in said
    assert "--retrain" in said
    assert (home / "tiny" / "study.yaml").read_bytes() == before
    diascope(*run, *changed, "--retrain")
    assert "2 done" in diascope("plan", "tiny.yaml", "--set", "seeds=1", *changed).stdout


def test_unreadable_images_are_listed_together_before_any_training(home: Path, diascope: Command) -> None:
    random = np.random.default_rng(0)
    for name in ("a", "b"):
        (home / "images" / name).mkdir(parents=True)
        for number in range(8):
            pixels = random.integers(0, 256, (16, 16), dtype=np.uint8)
            Image.fromarray(pixels).save(home / "images" / name / f"{number}.png")
    (home / "images" / "a" / "empty.jpg").touch()
    (home / "images" / "b" / "text.png").write_text("no image")
    run = ("run", "tiny.yaml", "--executor", "serial", "--set", "data.source=images", "--out", "out")
    said = diascope(*run, code=2).stderr
    assert "2 of 18 images cannot be read" in said
    assert "a/empty.jpg" in said
    assert "b/text.png" in said
    assert not (home / "out").exists()
    diascope(*run, "--on-unreadable", "skip")
    findings = json.loads((home / "out" / "findings.json").read_text())
    unreadable = [finding["evidence"]["path"] for finding in findings if finding["code"] == "unreadable-image"]
    assert unreadable == ["a/empty.jpg", "b/text.png"]


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("run", "nowhere.yaml"), "nowhere.yaml: there is no such study file"),
        (("run", "lab-1"), "did you mean lab-1"),
        (("run", "tiny.yaml", "--set", "data.source=nowhere"), "no such file or folder"),
        (("run", "tiny.yaml", "--jobs", "0"), "--jobs 0: must be at least 1"),
        (("run", "tiny.yaml", "--device", "tpu"), "--device tpu"),
        (("report", "nowhere"), "there is no such folder"),
        (("recipes", "lab-9"), "is neither a study file nor a recipe"),
    ],
)
def test_errors_are_one_clear_line(diascope: Command, arguments: tuple[str, ...], said: str) -> None:
    error = diascope(*arguments, code=2).stderr
    assert error.startswith("error: ")
    assert said in error
    assert "Traceback" not in error


@pytest.mark.parametrize(
    ("error", "remedy"), [(errno.ENOSPC, "free some space"), (errno.EACCES, "check its permissions")]
)
def test_a_disk_that_does_not_do_is_one_clear_line(
    diascope: Command, monkeypatch: pytest.MonkeyPatch, error: int, remedy: str
) -> None:
    def full(*given: object) -> None:
        raise OSError(error, os.strerror(error), "out/audit.html")

    monkeypatch.setattr("diascope.report.audit_page.write_audit_page", full)
    said = diascope("audit", "phantom:skin", "--out", "out", code=2).stderr
    assert f"error: out/audit.html: {os.strerror(error)}; {remedy}, or name another folder" in said
    assert "Traceback" not in said


def test_any_other_failure_of_the_system_is_a_defect_and_keeps_its_traceback(monkeypatch: pytest.MonkeyPatch) -> None:
    def broken() -> None:
        raise BrokenPipeError(errno.EPIPE, os.strerror(errno.EPIPE))

    monkeypatch.setattr("diascope.cli.app", broken)
    with pytest.raises(BrokenPipeError):
        main()


def test_the_package_is_a_command_too(home: Path) -> None:
    command = [sys.executable, "-m", "diascope", "plan", "tiny.yaml"]
    done = subprocess.run(command, cwd=home, capture_output=True, text=True, check=False)
    assert (done.returncode, "4 todo" in done.stdout) == (0, True), done.stderr


def test_a_failed_run_is_told_and_tried_again(home: Path, diascope: Command) -> None:
    run = ("run", "tiny.yaml", "--executor", "serial", "--set", "seeds=1")
    said = diascope(*run, "--set", "arms.hot={training.learning_rate: 1e30}", code=1)
    assert "hot/fold0-seed0 failed" in said.stderr
    assert "1 of 3 runs failed" in said.stdout
    again = diascope(*run, "--set", "arms.hot={training.learning_rate: 1e30}", code=1)
    assert "3 runs, 2 done, 1 to train" in again.stderr


@pytest.mark.skipif(os.name == "nt", reason="Windows has no SIGINT for a group")
def test_ctrl_c_stops_cleanly_and_the_same_command_goes_on(home: Path, diascope: Command) -> None:
    arguments = ["run", "tiny.yaml", "--set", "training.epochs=300", "--set", "seeds=1", "--jobs", "2"]
    listen = (
        "import signal; signal.signal(signal.SIGINT, signal.default_int_handler)"  # a job in the background is deaf
    )
    command = [sys.executable, "-c", f"{listen}; from diascope.cli import main; main()", *arguments]
    study = subprocess.Popen(command, cwd=home, stderr=subprocess.PIPE, text=True, start_new_session=True)
    history = home / "tiny" / "runs" / "plain" / "fold0-seed0" / "history.csv"
    for _ in range(1200):
        if history.exists() and len(history.read_text().splitlines()) > 3:
            break
        time.sleep(0.1)
    os.killpg(study.pid, signal.SIGINT)
    _, said = study.communicate(timeout=60)
    assert study.returncode == 130, said
    assert "Stopped. What was trained is kept" in said
    assert "Traceback" not in said
    reached = len(history.read_text().splitlines()) - 1
    assert "2 unfinished" in diascope("plan", *arguments[1:-2]).stdout
    diascope(*arguments[:-2], "--executor", "serial")
    rows = history.read_text().splitlines()[1:]
    assert [row.split(",")[0] for row in rows] == [str(number) for number in range(1, 301)]
    assert reached < 300


def test_recipes_are_listed_and_printed(home: Path, diascope: Command) -> None:
    listed = diascope("recipes").stdout
    assert re.search(r"^lab-1a +AlexNet with and without dropout", listed, re.MULTILINE)
    (home / "mine.yaml").write_text(diascope("recipes", "lab-1a").stdout)
    small = ("--set", "data.phantom.images=24", "--set", "data.image_size=16")
    assert "6 todo" in diascope("plan", "mine.yaml", *small).stdout


def test_schema_and_version(diascope: Command) -> None:
    assert json.loads(diascope("schema").stdout)["title"] == "StudyConfig"
    assert diascope("--version").stdout.startswith("diascope 0.")


@pytest.mark.parametrize("command", ["demo", "run", "plan", "probe", "report", "recipes", "schema", "cache"])
def test_every_command_has_help_with_an_example(diascope: Command, command: str) -> None:
    assert "Example: diascope" in diascope(command, "--help").stdout
