"""`diascope test` and `diascope.test`: what they print, leave and refuse."""

import json
import shutil
import sys
from pathlib import Path

import pytest
from judged_studies import draw_images, train

import diascope
from diascope.app.judge import judge
from diascope.cli import main


@pytest.fixture(scope="module")
def trained(tmp_path_factory: pytest.TempPathFactory) -> Path:
    home = tmp_path_factory.mktemp("trained")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIASCOPE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        draw_images(home / "images")
        train(home, "training.epochs=1")
    return home / "study"


@pytest.fixture
def home(trained: Path, tmp_path: Path) -> Path:
    shutil.copytree(trained, tmp_path / "study")
    return tmp_path


def command(home: Path, monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.chdir(home)
    monkeypatch.setenv("COLUMNS", "100")
    monkeypatch.setattr(sys, "argv", ["diascope", "test", *arguments])
    with pytest.raises(SystemExit) as end:
        main()
    return int(end.value.code or 0)


def test_scores_warnings_and_report(
    home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    (home / "study" / "runs" / "plain" / "fold0-seed1" / "done.json").unlink()
    judge(home / "study", arms=["plain"], device="cpu")
    assert command(home, monkeypatch, "study", "--device", "cpu") == 0
    said = capsys.readouterr()
    assert "judging runs: 0 of 3" in said.err
    assert "Not judged, because they are not finished: plain/fold0-seed1" in said.out
    assert "warning: The test side was judged 2 times." in said.out
    assert "Report: study/report.html" in said.out
    summary = json.loads((home / "study" / "summary.json").read_text())
    found = summary["arms"]["dropout"]["test_metrics"]["auroc"]
    (line,) = [line for line in said.out.splitlines() if f"{found['low']:.3f} to {found['high']:.3f}" in line and
               "dropout" in line and f"{found['mean']:.3f}" in line]  # fmt: skip
    assert line.split()[-1] == "2"
    assert 'id="test-side"' in (home / "study" / "report.html").read_text()
    assert "diascope test study" in (home / "study" / "test_log.json").read_text()


@pytest.mark.parametrize(
    ("arguments", "said"),
    [
        (("nowhere",), "nowhere: there is no such folder"),
        (("study", "--arm", "plan"), "the study has no arm 'plan'; did you mean 'plain'?"),
        (("study", "--device", "tpu"), "--device tpu"),
    ],
)
def test_errors_are_one_clear_line(
    home: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
    arguments: tuple[str, ...],
    said: str,
) -> None:
    assert command(home, monkeypatch, *arguments) == 2
    error = capsys.readouterr().err
    assert error.startswith("error: ")
    assert said in error
    assert not (home / "study" / "test_log.json").exists()


def test_from_python(home: Path) -> None:
    study = diascope.test(home / "study", arms=["plain"], device="cpu")
    sides = {run.arm: set(run.predictions["side"]) for run in study.runs}
    assert sides == {"plain": {"validation", "test"}, "dropout": {"validation"}}
    assert [look.checkpoint for look in study.test_log] == ["best"]
    assert (home / "study" / "report.html").exists()


def test_help_has_an_example(home: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    assert command(home, monkeypatch, "--help") == 0
    assert "Example: diascope test" in capsys.readouterr().out
