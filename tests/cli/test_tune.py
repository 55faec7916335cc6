"""`diascope tune` as a user meets it: what it says, what it leaves, its exit codes."""

import json
import sys
from pathlib import Path

import pytest
from searching import SPACE, STUDY

from diascope.cli import main


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    (tmp_path / "small.yaml").write_text(STUDY.replace("SPACE", SPACE))
    monkeypatch.chdir(tmp_path)
    return tmp_path


def run(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["diascope", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_it_says_how_far_it_is_and_leaves_a_report(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    assert run(monkeypatch, "tune", "small.yaml", "--out", "out", "--trials", "3", "--executor", "serial") == 0
    said = capsys.readouterr()
    assert "search: 0 of 3 trials done" in said.err
    assert "trial 1 done" in said.err
    assert "3 of 3 trials done, best accuracy 0." in said.err
    assert " left" in said.err
    assert "It is written to out/tuned.yaml" in said.err
    assert "Report: out/report.html" in said.out
    summary = json.loads((home / "out" / "summary.json").read_text())
    assert sum(summary["search"]["counts"].values()) == 3
    assert "default" in summary["arms"]


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("--set", "search=null"), "no section search"),
        (("--set", "search.space.training.batch_size=[4, 0]"), "training.batch_size 0"),
        (("--out", "small.yaml"), "is a file, not a folder"),
        (("--set", "search.folds=20"), "choose fewer search.folds"),
    ],
)
def test_what_cannot_work_is_refused_before_any_training(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    words: str,
) -> None:
    assert run(monkeypatch, "tune", "small.yaml", *arguments) == 2
    assert words in capsys.readouterr().err
    assert [path.name for path in home.iterdir()] == ["small.yaml"]
