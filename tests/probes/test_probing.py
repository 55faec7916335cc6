"""Finished runs on drawn lesions, probed as a user would: letters are found, clean runs are left in peace."""

import json
from pathlib import Path
from typing import Any

import pytest
import torch
from probes.probing_cases import trained
from probes.test_trained_networks import plant_explanations

from diascope.engine import RunTask
from diascope.probes import Options
from diascope.probes.probe_run import probe_run
from diascope.probes.retraining import retrained
from diascope.runs.record import RunRecord

CPU, NO_TEXT = torch.device("cpu"), Options(text=False)


@pytest.fixture(autouse=True)
def _explanations(monkeypatch: pytest.MonkeyPatch) -> None:
    plant_explanations(monkeypatch)


@pytest.fixture(scope="module")
def lettered(tmp_path_factory: pytest.TempPathFactory) -> RunTask:
    """A run on 160 images with letters."""
    return trained(tmp_path_factory.mktemp("lettered"), "letters", 7, images=160)


@pytest.fixture(scope="module")
def steps() -> list[tuple[str, int, int]]:
    """What the probes of `found` told of their progress."""
    return []


@pytest.fixture(scope="module")
def found(lettered: RunTask, steps: list[tuple[str, int, int]]) -> dict[str, Any]:
    """The run's probes, made once for all tests."""
    with pytest.MonkeyPatch.context() as patch:
        plant_explanations(patch)
        return probe_run(lettered, {}, 1, device=CPU, options=NO_TEXT, progress=lambda *step: steps.append(step))


def test_letters_are_found(found: dict[str, Any]) -> None:
    assert found["verdict"] == "shortcut found"
    by_code = {probe["code"]: probe["evidence"]["verdict"] for probe in found["probes"]}
    assert by_code["swapped-corners"] == by_code["erased-corners"] == "found"
    assert by_code["swapped-frame"] == by_code["swapped-brightness"] == "not found"
    assert by_code["rim"] in ("possible", "not found")  # what the data offer alone is never found


def test_what_is_written_and_not_done_again(
    lettered: RunTask, found: dict[str, Any], steps: list[tuple[str, int, int]]
) -> None:
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
    from diascope.probes.regions import disk
    from diascope.probes.subject import Subject

    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    probed = Subject(lettered, {}, 1, CPU, NO_TEXT, interrupt)
    with pytest.raises(KeyboardInterrupt):
        retrained(probed, disk(48, 48, 0.4), "rim")
    assert list(tmp_path.iterdir()) == []


def test_clean_images_raise_no_alarm(tmp_path: Path) -> None:
    clean = probe_run(trained(tmp_path, "none", 7, images=160), {}, 1, device=CPU, options=NO_TEXT)
    assert clean["model"]["balanced_accuracy"]["low"] > 0.5  # or there would be nothing to be found
    assert clean["verdict"] == "none found by these probes"
