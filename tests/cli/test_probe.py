"""`diascope probe` and `report.probes`: what they print, leave and refuse."""

import json
import sys
from pathlib import Path

import pytest

import diascope
from diascope.cli import main
from diascope.probes import PROBES

STUDY = """
name: small
data: {source: 'phantom:skin', phantom: {images: 80, size: 28, difficulty: 0.1}, image_size: 16}
split: {kind: holdout, validation: 0.4}
model: {base_channels: 4}
training: {epochs: 2}
seeds: 2
arms: {plain: {}, letters: {data.phantom.shortcut: letters}}
report: {explain: 0}
"""


def command(monkeypatch: pytest.MonkeyPatch, *arguments: str) -> int:
    monkeypatch.setattr(sys, "argv", ["diascope", *arguments])
    try:
        main()
    except SystemExit as end:
        return int(end.code or 0)
    return 0


@pytest.fixture(scope="module")
def study(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A finished study that was not probed."""
    home = tmp_path_factory.mktemp("home")
    (home / "small.yaml").write_text(STUDY)
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("DIASCOPE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))
        patch.chdir(home)
        diascope.run("small.yaml", out="small", executor="serial")
    return home / "small"


@pytest.fixture(autouse=True)
def _swaps_alone(monkeypatch: pytest.MonkeyPatch) -> None:
    """The quickest probe."""
    for name in [name for name in PROBES if name != "swapping"]:
        monkeypatch.delitem(PROBES, name)


def test_the_first_run_of_each_arm(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(study.parent)
    assert command(monkeypatch, "probe", "small", "--no-text", "--device", "cpu") == 0
    said = capsys.readouterr().out
    assert "plain/fold0-seed0: cannot tell." in said
    assert "letters/fold0-seed0: " in said
    assert "Report: small/report.html" in said
    assert not (study / "runs" / "plain" / "fold0-seed1" / "probes.json").exists()
    summary = json.loads((study / "summary.json").read_text())
    assert [found["arm"] for found in summary["probes"]] == ["plain", "letters"]
    assert summary["probes"][0]["probes"][0]["code"] == "swapped-corners"
    page = (study / "report.html").read_text()
    assert 'id="probes"' in page
    assert "plain: cannot tell" in page
    assert page.count('class="probe"') == 4  # corners and frame of each


def test_one_run(study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]) -> None:
    run = study / "runs" / "plain" / "fold0-seed1"
    assert command(monkeypatch, "probe", str(run), "--centre", "0.3", "--device", "cpu") == 0
    assert json.loads((run / "probes.json").read_text())["options"]["centre"] == 0.3
    assert "plain/fold0-seed1" in capsys.readouterr().out
    (run / "probes.json").unlink()


def test_what_is_no_run_is_refused(
    study: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    for folder, said in [
        (study / "runs" / "plain", "is neither a study folder nor a run of one"),
        (study / "runs" / "plain" / "fold0-seed9", "the study asks for no such run"),
    ]:
        assert command(monkeypatch, "probe", str(folder)) == 2
        assert said in capsys.readouterr().err


def test_a_probe_that_fails_does_not_lose_the_study(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "small.yaml").write_text(STUDY.replace(", letters: {data.phantom.shortcut: letters}", ""))

    def broken(probed: object) -> None:
        raise ZeroDivisionError("no luck")

    monkeypatch.setitem(PROBES, "swapping", broken)
    settings = ("--set", "report.probes=true", "--set", "seeds=1", "--executor", "serial", "--out", "s")
    assert command(monkeypatch, "run", "small.yaml", *settings) == 0
    said = capsys.readouterr()
    assert "The shortcut probes failed: no luck. The runs are kept; `diascope probe s` tries again." in said.err
    assert (tmp_path / "s" / "report.html").exists()
    monkeypatch.setitem(PROBES, "swapping", lambda probed: [])
    assert command(monkeypatch, "run", "small.yaml", *settings) == 0
    assert "plain/fold0-seed0: cannot tell." in capsys.readouterr().out
