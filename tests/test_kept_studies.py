"""Studies that an earlier version trained (tests/kept) open, go on and report as they did then.

A failure here means that users' studies become stale or report other numbers: mend the change, not the studies.
"""

import json
import math
import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import numpy as np
import pandas as pd
import pytest
import torch
from searching import Quiet

import diascope
from diascope.app.run import Options, train
from diascope.app.tune import search
from diascope.report.summary import summarize
from diascope.runs.record import StudyRecord
from diascope.study.channels import following_images
from diascope.study.images import Images, read_images
from diascope.study.plan import Cell, plan
from diascope.studyfile import Study, load_study

KEPT = Path(__file__).parent / "kept"
FILES = {  # of each study folder the study file, as the user gives it
    "holdout": "holdout.yaml",
    "kfold": "kfold.yaml",
    "pretrained": "pretrained.yaml",
    "search": "search/tuned.yaml",
    "dicom": "dicom.yaml",
}
OF_THE_PLACE = {"source"}  # keys of summary.json that say where the images lie
WORDS_OF_A_SENTENCE = 4  # shorter texts are names and verdicts, which stay; sentences may be written better
KEPT_WITH = "AVX512"  # the instructions that the runs of tests/kept were trained with
SERIAL = Options("serial", device="cpu")


@dataclass(frozen=True)
class Kept:
    """A copy of all studies, of which one is looked at."""

    name: str
    root: Path

    @property
    def folder(self) -> Path:
        return self.root / self.name

    @cached_property
    def study(self) -> Study:
        return following_images(load_study(self.root / FILES[self.name]), self.folder)

    @cached_property
    def images(self) -> Images:
        return read_images(self.study, self.folder)

    @property
    def cells(self) -> list[Cell]:
        return plan(self.study, self.images, self.folder)


@pytest.fixture(scope="module")
def root(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return Path(shutil.copytree(KEPT, tmp_path_factory.mktemp("kept") / "kept"))


@pytest.fixture(scope="module", params=FILES)
def kept(request: pytest.FixtureRequest, root: Path) -> Kept:
    return Kept(request.param, root)


def copied(name: str, folder: Path) -> Kept:
    """A study that may be changed."""
    return Kept(name, Path(shutil.copytree(KEPT, folder / "kept")))


def test_every_run_is_done(kept: Kept) -> None:
    cells = kept.cells
    assert {cell.task.folder for cell in cells} == set(kept.folder.glob("runs/*/*"))
    assert {cell.task.name: cell.state for cell in cells} == {cell.task.name: "done" for cell in cells}
    for cell in cells:
        assert cell.task.run_id == json.loads((cell.task.folder / "config.json").read_text())["run_id"]


def test_the_report_has_the_same_numbers(kept: Kept) -> None:
    stored = json.loads((KEPT / kept.name / "summary.json").read_text())
    now = json.loads(json.dumps(summarize(StudyRecord(kept.folder))))
    assert stored["integrity"]["verified"] == len(kept.cells)
    assert list(different(stored, now)) == []


def different(stored: Any, now: Any, place: str = "summary") -> Iterator[str]:
    """Where the numbers differ; keys may have been added."""
    if isinstance(stored, dict) and isinstance(now, dict):
        for key, value in stored.items():
            if key not in now:
                yield f"{place} has no {key}"
            elif key not in OF_THE_PLACE:
                yield from different(value, now[key], f"{place}.{key}")
    elif isinstance(stored, list) and isinstance(now, list) and len(stored) == len(now):
        for number, (one, other) in enumerate(zip(stored, now, strict=True)):
            yield from different(one, other, f"{place}[{number}]")
    elif isinstance(stored, float) and isinstance(now, float):
        if not math.isclose(stored, now, rel_tol=1e-9, abs_tol=1e-12):
            yield f"{place}: {stored} became {now}"
    elif isinstance(stored, str) and isinstance(now, str) and len(stored.split()) >= WORDS_OF_A_SENTENCE:
        if not now:
            yield f"{place}: {stored} became nothing"
    elif type(stored) is not type(now) or stored != now:
        yield f"{place}: {stored} became {now}"


@pytest.mark.parametrize("checkpoint", ["best", "last"])
def test_weights_give_the_stored_predictions(kept: Kept, checkpoint: str) -> None:
    rows = {path: row for row, path in enumerate(kept.images.index.paths)}
    for run in diascope.open(kept.folder).runs:
        stored = run.predictions.query("checkpoint == @checkpoint")
        assert len(stored) >= 8
        pixels = kept.images.caches[run.arm].pixels[[rows[path] for path in stored["path"]]]
        images = torch.from_numpy(np.ascontiguousarray(pixels)).permute(0, 3, 1, 2).float() / 255
        with torch.inference_mode():
            computed = run.load_model(checkpoint)(images).sigmoid().squeeze(1).numpy()
        np.testing.assert_allclose(computed, stored["p_melanoma"], atol=1e-4)


def test_images_and_sides_are_the_same(kept: Kept, tmp_path: Path) -> None:
    kept.images.index.save(tmp_path / "index.csv")
    kept.images.folds.save(tmp_path / "folds.json")
    for name in ("index.csv", "folds.json"):
        assert (tmp_path / name).read_bytes() == (kept.folder / name).read_bytes()


@pytest.mark.parametrize(("name", "run"), [("holdout", "begun/fold0-seed1"), ("kfold", "normalized/fold1-seed0")])
def test_a_run_that_is_missing_is_trained_to_the_same_end(name: str, run: str, tmp_path: Path) -> None:
    kept, stored = copied(name, tmp_path), KEPT / name / "runs" / run
    again = kept.folder / "runs" / run
    shutil.rmtree(again)
    assert [cell.task.folder for cell in kept.cells if cell.state != "done"] == [again]
    assert not train(kept.study, kept.folder, SERIAL, Quiet()).failed
    assert read(again, "config.json")["run_id"] == read(stored, "config.json")["run_id"]
    now, before = (pd.read_csv(folder / "history.csv").drop(columns="seconds") for folder in (again, stored))
    np.testing.assert_allclose(now["training_loss"], before["training_loss"], atol=1e-3)
    np.testing.assert_allclose(now["validation_loss"], before["validation_loss"], atol=1e-3)
    if same_machine(again, stored):
        assert now.equals(before)
        for file in ("last.safetensors", "best.safetensors"):
            assert (again / file).read_bytes() == (stored / file).read_bytes()


def test_more_epochs_go_on_from_the_last_one(tmp_path: Path) -> None:
    kept = copied("dicom", tmp_path)
    longer = following_images(load_study(kept.root / "dicom.yaml", ["training.epochs=5"]), kept.folder)
    assert [cell.state for cell in plan(longer, kept.images, kept.folder)] == ["extend"]
    assert not train(longer, kept.folder, SERIAL, Quiet()).failed
    now, before = (
        pd.read_csv(root / "dicom/runs/plain/fold0-seed0/history.csv", dtype=str) for root in (kept.root, KEPT)
    )
    assert len(now) == len(before) + 1
    assert now[: len(before)].equals(before)


def test_a_search_that_is_over_tries_nothing_more(tmp_path: Path) -> None:
    kept, display = copied("search", tmp_path), Quiet()
    tuned = search(load_study(kept.root / "search.yaml"), kept.folder, SERIAL, display)
    assert display.ended == []
    assert display.events == []
    best = read(KEPT / "search/search", "search.json")["best"]
    assert tuned.found.best.values == best["values"]
    assert read(kept.folder / "search", "search.json")["best"] == best
    assert (kept.folder / "search/trials.csv").read_bytes() == (KEPT / "search/search/trials.csv").read_bytes()


def read(folder: Path, name: str) -> dict[str, Any]:
    found: dict[str, Any] = json.loads((folder / name).read_text())
    return found


def same_machine(*runs: Path) -> bool:
    """Whether equal bits are promised: the same kind of processor, version of torch and number of threads.

    In a virtual machine processors of several kinds have one name; those with other instructions are told apart.
    """
    told = [read(run, "provenance.json") for run in runs]
    return torch.backends.cpu.get_cpu_capability() == KEPT_WITH and all(
        len({str(one[key]) for one in told}) == 1 for key in ("processor", "torch", "threads", "device")
    )
