"""After a power loss at any moment, with unsynced writes lost or torn, the same command ends with the same bits."""

import csv
import os
import shutil
import sys
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

import pytest
from judged_studies import draw_images
from power_loss import Recorder, lay_out, recorded, states

from diascope.app.judge import judge
from diascope.app.run import Options, train
from diascope.app.tune import TrialEnded, search
from diascope.runs import claim
from diascope.runs.judged_log import read_test_log
from diascope.study.executors import Finished
from diascope.studyfile import parse_study

STUDY = """name: powerless
data: {source: images/manifest.csv, group: group, classes: [nevus, melanoma], image_size: 12, channels: 1}
split: {kind: holdout, validation: 0.25, test: 0.25}
model: {base_channels: 1, dense: [4]}
training: {epochs: 2, learning_rate: 3e-3}
seeds: 1
arms: {plain: {}, dropout: {model.dropout: 0.4}}
"""
SEARCH = """
search: {trials: 3, folds: 2, warmup_trials: 1, pruner: none, space: {training.learning_rate: [1e-3, 3e-3, 1e-2]}}
"""
OPTIONS = Options("serial", device="cpu")
LOSSES = int(os.environ.get("DIASCOPE_POWER_LOSSES", "8"))  # about so many states are tried of each command
BITS = ("last.safetensors", "best.safetensors", "predictions.csv", "config.json")


@dataclass
class World:
    """A folder whose disk may lose power: study and cache. The images lie outside of it."""

    home: Path

    @property
    def root(self) -> Path:
        return self.home / "world"

    @property
    def study(self) -> Path:
        return self.root / "study"

    def train(self, recorder: Recorder | None = None) -> None:
        """`diascope run`."""

        def mark(event: object) -> None:
            if recorder is not None and isinstance(event, Finished):
                recorder.mark(event.task.arm)

        study = parse_study(STUDY, [], where="study.yaml", folder=self.home)
        assert not train(study, self.study, OPTIONS, mark).failed

    def tune(self, recorder: Recorder | None = None) -> None:
        """`diascope tune`."""

        def mark(event: object) -> None:
            if recorder is not None and isinstance(event, TrialEnded):
                recorder.mark(f"trial {len(event.done) - 1}")

        study = parse_study(STUDY + SEARCH, [], where="study.yaml", folder=self.home)
        search(study, self.study, OPTIONS, mark)

    def judge(self, recorder: Recorder | None = None) -> None:
        """`diascope test`."""
        judge(self.study, device="cpu")
        if recorder is not None:
            recorder.mark("judged")

    def results(self) -> dict[str, object]:
        """All that a command leaves and that holds no time: bytes of files, the trials of a search."""
        files = [self.study / name for name in ("study.yaml", "folds.json", "index.csv", "findings.json", "tuned.yaml")]
        files += [file for file in self.study.glob("runs/*/*/*") if file.name in BITS]
        found: dict[str, object] = {str(file): file.read_bytes() for file in files if file.exists()}
        trials = self.study / "search" / "trials.csv"
        if trials.exists():
            rows = list(csv.DictReader(trials.read_text().splitlines()))
            found["trials"] = [{key: row[key] for key in row if key != "seconds"} for row in rows]
        return found

    def ended(self) -> set[str]:
        """What the disk knows to have ended, by the marks of the commands."""
        found = {file.parent.parent.name for file in self.study.glob("runs/*/*/done.json")}
        journal = self.study / "search" / "journal.log"
        lines = journal.read_text(errors="replace").splitlines() if journal.exists() else []
        found |= {f"trial {number}" for number in range(sum('"op_code":6,' in line for line in lines))}
        if any(look.finished for look in read_test_log(self.study)):
            found.add("judged")
        return found


@pytest.fixture
def world(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
    draw_images(tmp_path / "images", 16)
    found = World(tmp_path)
    found.root.mkdir()
    monkeypatch.setenv("DIASCOPE_CACHE", str(found.root / "cache"))
    return found


def survives(world: World, command: Callable[[Recorder | None], None]) -> None:
    """Record the command, lay out what a power loss may leave, run it again from there, and compare."""
    with recorded(world.root) as recorder, pytest.MonkeyPatch.context() as patch:
        patch.setattr(claim, "_born", lambda process: 0.0)  # who claimed a run is gone after the loss
        command(recorder)
    expected, random, tried = world.results(), Random(0), 0
    marks = {change.mark: number for number, change in enumerate(recorder.changes, 1) if change.mark}
    assert marks
    for number, tree in states(recorder, random, LOSSES / (4 * len(recorder.changes))):  # about four new ones a change
        shutil.rmtree(world.root)
        world.root.mkdir()
        lay_out(tree, world.root)
        where = f"after change {number}, {recorder.changes[number - 1]}"
        assert {mark for mark, end in marks.items() if end <= number} <= world.ended(), f"something is lost {where}"
        _refuse_unlogged(world.study)
        command(None)
        assert world.results() == expected, f"other bits {where}"
        tried += 1
    sys.stderr.write(f"{command.__name__}: {tried} states after {len(recorder.changes)} changes\n")
    assert tried


def _refuse_unlogged(study: Path) -> None:
    """Whatever is there of the test side, the log has the look that it is of."""
    seen = [file for file in study.glob("runs/*/*/predictions.csv") if b",test," in file.read_bytes()]
    assert not seen or read_test_log(study)


def test_runs_and_caches(world: World) -> None:
    survives(world, world.train)


def test_searches(world: World) -> None:
    survives(world, world.tune)


def test_judgements_on_the_test_side(world: World) -> None:
    world.train()
    survives(world, world.judge)
