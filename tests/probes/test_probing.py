"""Finished runs on drawn lesions, probed as a user would: letters are found, clean runs are left in peace."""

import json
from pathlib import Path

import pytest
import torch
from probes.probing_cases import trained
from probes.test_trained_networks import plant_explanations

from diascope.engine import RunTask
from diascope.probes import Options
from diascope.probes.probing import probe_run
from diascope.probes.retraining import retrained
from diascope.runs.record import RunRecord

CPU, NO_TEXT = torch.device("cpu"), Options(text=False)


@pytest.fixture(autouse=True)
def _explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_explanations(monkeypatch)


@pytest.fixture(scope="module")
def lettered(tmp_path_factory: pytest.TempPathFactory) -> RunTask:
    """A run on 160 images with letters, of eight epochs."""
    return trained(tmp_path_factory.mktemp("lettered"), "letters", 7, images=160)


def test_what_is_written_and_not_done_again(lettered: RunTask, capsys: pytest.CaptureFixture[str]) -> None:
    steps = []
    found = probe_run(
        lettered,
        {},
        1,
        device=CPU,
        options=NO_TEXT,
        progress=lambda what, done, total: steps.append((what, done, total)),
    )
    assert ("training on the rim alone", lettered.epochs, lettered.epochs) in steps
    record = RunRecord(lettered.arm, 0, 7, lettered.folder)
    assert record.probes == json.loads((lettered.folder / "probes.json").read_text()) == json.loads(json.dumps(found))
    assert all((lettered.folder / picture["file"]).is_file() for picture in found["pictures"])
    steps.clear()
    arguments = {"device": CPU, "progress": lambda *step: steps.append(step)}
    assert probe_run(lettered, {}, 1, options=NO_TEXT, **arguments)["verdict"] == found["verdict"]
    assert steps == []  # current: nothing was done
    with pytest.raises(KeyboardInterrupt):
        probe_run(lettered, {}, 1, options=Options(centre=0.45, text=False), device=CPU, progress=interrupt)
    assert record.probes["options"]["centre"] == 0.4  # an interrupted probe leaves what was there


def interrupt(what: str, done: int, total: int) -> None:
    if done == 2:
        raise KeyboardInterrupt


def test_results_of_another_run_are_none(lettered: RunTask) -> None:
    record = RunRecord(lettered.arm, 0, 7, lettered.folder)
    file = lettered.folder / "probes.json"
    file.write_text(json.dumps({"run_id": "another"}))
    assert record.probes == {}
    file.unlink()
    assert record.probes == {}


def test_nothing_is_left_of_an_interrupted_training(
    lettered: RunTask, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    from diascope.probes.probed import Probed
    from diascope.probes.regions import disk

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    probed = Probed(lettered, {}, 1, CPU, NO_TEXT, interrupt)
    with pytest.raises(KeyboardInterrupt):
        retrained(probed, disk(48, 48, 0.4), "rim")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1100, 1105))
def test_letters_are_found(tmp_path: Path, seed: int) -> None:
    found = probe_run(trained(tmp_path, "letters", seed, images=200), {}, 1, device=CPU, options=NO_TEXT)
    assert found["verdict"] == "shortcut found"


@pytest.mark.slow
@pytest.mark.parametrize("seed", range(1100, 1105))
def test_clean_runs_raise_no_alarm(tmp_path: Path, seed: int) -> None:
    found = probe_run(trained(tmp_path, "none", seed, images=200), {}, 1, device=CPU, options=NO_TEXT)
    assert {probe["evidence"]["verdict"] for probe in found["probes"]} <= {"not found", "skipped", "not applicable"}
