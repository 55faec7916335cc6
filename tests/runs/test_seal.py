"""The seal of a run: every result that was changed is named, and its network is not loaded."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path

import pytest

from diascope.core.errors import RunError
from diascope.engine import RunTask, execute
from diascope.predict.network import load_model
from diascope.runs.folder import RunFolder
from diascope.runs.judged_rows import write_test_rows
from diascope.runs.seal import changed_files

RESULTS = ("config.json", "history.csv", "predictions.csv", "last.safetensors", "best.safetensors")


@pytest.fixture
def finished(make_task: Callable[..., RunTask]) -> RunFolder:
    task = make_task("a", "training.epochs=2")
    for _ in execute(task, device="cpu"):
        pass
    return RunFolder(task.folder)


def flip_a_bit(file: Path) -> None:
    content = bytearray(file.read_bytes())
    content[len(content) // 2] ^= 1
    file.write_bytes(content)


def test_a_run_as_it_was_written_has_no_changed_files(finished: RunFolder) -> None:
    assert changed_files(finished) == ()
    write_test_rows(finished.predictions, "best", ("dark", "light"), [["a.png", "", "dark", 0.7, 0.3]])
    assert changed_files(finished) == ()  # the test side comes later
    load_model(finished.path)


@pytest.mark.parametrize("name", RESULTS)
def test_every_result_with_another_bit_is_named(finished: RunFolder, name: str) -> None:
    flip_a_bit(finished.path / name)
    assert changed_files(finished) == (name,)


def test_a_result_that_is_gone_is_named(finished: RunFolder) -> None:
    finished.history.unlink()
    assert changed_files(finished) == ("history.csv",)


def test_a_row_that_was_added_to_the_validation_side_is_noticed(finished: RunFolder) -> None:
    with finished.predictions.open("a") as file:
        file.write("last,validation,a.png,,dark,0.9,0.1\n")
    assert changed_files(finished) == ("predictions.csv",)


@pytest.mark.parametrize(("name", "checkpoint"), [("last.safetensors", "last"), ("best.safetensors", "best")])
def test_changed_weights_are_not_loaded(finished: RunFolder, name: str, checkpoint: str) -> None:
    flip_a_bit(finished.path / name)
    with pytest.raises(RunError, match=rf"{name}: was changed, or damaged, after the run ended .*; put back a copy"):
        load_model(finished.path, checkpoint)


def test_the_weights_of_another_run_are_not_loaded(finished: RunFolder, make_task: Callable[..., RunTask]) -> None:
    other = make_task("b", "training.epochs=2", seed=1)
    for _ in execute(other, device="cpu"):
        pass
    shutil.copy(other.folder / "best.safetensors", finished.best)
    with pytest.raises(RunError, match=r"best.safetensors: was changed"):
        load_model(finished.path)


def test_another_configuration_is_not_believed(finished: RunFolder) -> None:
    tree = json.loads(finished.config.read_text())
    finished.config.write_text(json.dumps({**tree, "classes": tree["classes"][::-1]}))
    with pytest.raises(RunError, match=r"config.json: was changed"):
        load_model(finished.path)


def test_a_run_of_an_earlier_version_cannot_be_verified_and_is_loaded(finished: RunFolder) -> None:
    tree = json.loads(finished.done.read_text())
    del tree["sha256"]
    finished.done.write_text(json.dumps(tree))
    assert changed_files(finished) is None
    load_model(finished.path)
