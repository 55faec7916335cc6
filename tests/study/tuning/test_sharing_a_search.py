"""A search that is killed goes on without losing a trial, and two commands share one."""

import json
import multiprocessing
import subprocess
import sys
from collections import Counter
from pathlib import Path
from time import monotonic, sleep

import pytest
from searching import SPACE, STUDY, Quiet, search

from diascope.study.executors import Started
from diascope.study.tuning import trials

CODE = "from diascope.cli import main; main()"
LONG = ("training.epochs=40", "search.trials=4")


def results(folder: Path) -> list[list[str]]:
    """State, value, scores of the folds and values of each trial; times differ."""
    rows = json.loads((folder / "search" / "search.json").read_text())
    lines = (folder / "search" / "trials.csv").read_text().splitlines()
    assert sum(rows["counts"].values()) == len(lines) - 1
    return [line.split(",")[1:5] + line.split(",")[7:] for line in lines[1:]]


@pytest.mark.slow
@pytest.mark.parametrize("executor", ["serial", "processes"])
def test_a_search_that_is_killed_goes_on_without_losing_a_trial(tmp_path: Path, executor: str) -> None:
    file, folder = tmp_path / "small.yaml", tmp_path / "killed"
    file.write_text(STUDY.replace("SPACE", SPACE))
    settings = [word for setting in LONG for word in ("--set", setting)]
    command = [
        sys.executable,
        "-c",
        CODE,
        "tune",
        str(file),
        "--out",
        str(folder),
        "--executor",
        executor,
        "--jobs",
        "1",
    ]
    process = subprocess.Popen([*command, *settings], stderr=subprocess.PIPE)
    wait_until_second_trial_learns(folder)
    process.kill()
    process.communicate()

    search(folder, *LONG, display=(display := Quiet()))
    again = json.loads((folder / "search" / "search.json").read_text())
    assert again["begun_again"] == 1
    begun = Counter((number, event.task.config.fold) for event, number in display.events if isinstance(event, Started))
    assert max(begun.values()) == 1
    assert {number for number, _ in begun} == {2, 3, 4}, "the first trial was done"
    search(tmp_path / "whole", *LONG)
    assert results(folder) == results(tmp_path / "whole"), "to the same scores, as if nothing had happened"


def wait_until_second_trial_learns(folder: Path) -> None:
    """Until one trial is done, and a run of the next has some epochs behind it."""
    limit = monotonic() + 60
    while monotonic() < limit:
        done = {file.parent.parent for file in folder.glob("search/trials/*/fold1-*/done.json")}
        learning = [
            file
            for file in folder.glob("search/trials/*/fold0-*/history.csv")
            if file.parent.parent not in done and len(file.read_text().splitlines()) > 5
        ]
        if done and learning:
            return
        sleep(0.02)
    raise AssertionError("no second trial within a minute")


def command(folder: Path) -> None:
    trials.PAUSE = 0.05
    search(folder, "search.trials=6")


@pytest.mark.slow
def test_two_commands_share_the_trials_and_none_is_run_twice(tmp_path: Path) -> None:
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["searching", "torch._dynamo"])
    processes = [context.Process(target=command, args=(tmp_path,)) for _ in range(2)]
    for process in processes:
        process.start()
    for process in processes:
        process.join()
        assert process.exitcode == 0
    found = results(tmp_path)
    assert len(found) == len({str(row) for row in found}) == 6
    assert json.loads((tmp_path / "search" / "search.json").read_text())["begun_again"] == 0
    runs = list((tmp_path / "search" / "trials").glob("*/fold*/provenance.json"))
    assert not any("continued" in json.loads(file.read_text()) for file in runs), "no run changed hands"
