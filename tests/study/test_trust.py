"""A study folder from somebody else runs no program of its own, and no run is opened with other code than it had."""

import json
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from study_folders import MakeStudy

import diascope
from diascope.cli import main
from diascope.core.errors import ConfigError, RunError
from diascope.engine import RunTask, execute
from diascope.predict.network import load_model
from diascope.predict.trust import refuse_code

PROGRAM = """from pathlib import Path
from torch import nn
Path({mark!r}).touch()
def net(channels, outputs, image_size):
    return nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size[0] * image_size[1], outputs))
"""
SEARCH = {"search": {"space": {"training.batch_size": [4, 8]}}}
OPENING = (
    "plan study/study.yaml",
    "run study/study.yaml --out study",
    "tune study/study.yaml --out elsewhere",
    "test study",
    "explain study/runs/own/fold0-seed0 nevus/0001.png",
    "explain study/runs/swapped/fold0-seed0 nevus/0001.png",
    "probe study",
)


@pytest.fixture
def ran(tmp_path: Path, make_study: MakeStudy, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The mark that the program of a received study leaves where it is run."""
    arms: dict[str, dict[str, object]] = {"own": {"model.name": "own.py:net"}, "swapped": {}}
    study = make_study(arms=arms, seeds=1, more=SEARCH, data={"group": "group"})
    (study / "own.py").write_text(PROGRAM.format(mark=str(tmp_path / "ran")))
    for arm in arms:  # a run may name another program than its study does
        file = study / "runs" / arm / "fold0-seed0" / "config.json"
        tree = json.loads(file.read_text())
        tree["config"]["model"]["name"] = f"{study}/own.py:net"
        file.write_text(json.dumps(tree))
    monkeypatch.chdir(tmp_path)
    return tmp_path / "ran"


def run(monkeypatch: pytest.MonkeyPatch, line: str) -> int:
    monkeypatch.setattr(sys, "argv", ["diascope", *line.split()])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


@pytest.mark.parametrize("line", OPENING)
def test_no_command_runs_the_program_of_a_study_folder(
    line: str, ran: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, line) == 2
    said = capsys.readouterr().err
    assert f"own.py: the study in {ran.parent}/study brings this program along, which would be run" in said
    assert "read it, and pass --trust-code" in said
    assert not ran.exists()


def test_the_program_is_run_for_those_who_trust_it(ran: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    run(monkeypatch, "plan study/study.yaml --trust-code")
    assert ran.exists()


def test_python_asks_too(ran: Path) -> None:
    run = diascope.open("study").runs[0]
    with pytest.raises(ConfigError, match="trust_code=True"):
        run.load_model()
    assert not ran.exists()
    for trusting in (
        lambda: run.load_model(trust_code=True),
        diascope.open("study", trust_code=True).runs[0].load_model,
    ):
        with pytest.raises(RunError, match="no weights that can be read"):  # the folder was written by hand
            trusting()
        assert ran.exists()
        ran.unlink()


def test_a_link_hides_no_program_and_one_outside_is_the_users_own(ran: Path) -> None:
    (ran.parent / "link.py").symlink_to(ran.parent / "study" / "own.py")
    with pytest.raises(ConfigError, match="brings this program along"):
        refuse_code([f"{ran.parent}/link.py:net"], trusted=False)
    (ran.parent / "mine.py").touch()
    refuse_code([f"{ran.parent}/mine.py:net", "alexnet"], trusted=False)


def test_a_run_is_opened_with_the_code_that_it_was_trained_with(
    make_task: Callable[..., RunTask], tmp_path: Path
) -> None:
    file = tmp_path / "mine.py"
    file.write_text(PROGRAM.format(mark=str(tmp_path / "ran")))
    plain = ("model.base_channels=8", "model.dropout=0", "training.epochs=1")
    task = make_task("arm", f"model.name={file}:net", *plain)
    list(execute(task, device="cpu"))
    images = torch.rand(2, 1, 16, 16)
    logits = load_model(task.folder)(images)
    program = file.read_text()
    file.write_text(program.replace("nn.Linear", "nn.Identity(), nn.Linear"))
    with pytest.raises(RunError, match=r"mine.py:net holds other code than this run was trained with"):
        load_model(task.folder)
    config = json.loads((task.folder / "config.json").read_text())
    assert len(config.pop("code")) == 64
    file.write_text(program)
    (task.folder / "config.json").write_text(json.dumps(config))  # as an earlier version wrote it
    done = json.loads((task.folder / "done.json").read_text())
    del done["sha256"]
    (task.folder / "done.json").write_text(json.dumps(done))
    assert torch.equal(load_model(task.folder)(images), logits)
