"""A small search that the tests of tuning run: a study on 60 drawn lesions, and a display that keeps quiet."""

from collections.abc import Sequence
from pathlib import Path

from diascope.core.findings import Finding
from diascope.study.executors import Event
from diascope.study.plan import Cell
from diascope.study.run import Options
from diascope.study.tuning import Tuned, tune
from diascope.study.tuning.ledger import Result
from diascope.study.tuning.outcome import Found
from diascope.study.tuning.trials import Ended
from diascope.studyfile import Study, parse_study

STUDY = """
name: small
question: Which rate?
data: {source: phantom:skin, phantom: {images: 60, size: 28, difficulty: 0.1}, image_size: 16}
split: {kind: holdout, validation: 0.3, test: 0.1}
model: {name: alexnet, base_channels: 2, dense: [8]}
training: {epochs: 2, batch_size: 4}
compare: {margin: 0.02}
seeds: 1
arms: {start: {training.learning_rate: 1e-4}, other: {model.dropout: 0.5}}
search:
  trials: 5
  folds: 2
  warmup_trials: 2
  space: SPACE
"""
SPACE = "{training.learning_rate: {low: 1e-5, high: 1e-2, log: true}, training.batch_size: [4, 8]}"


class Quiet:
    """Keeps what it is told."""

    def __init__(self) -> None:
        self.ended: list[Ended] = []
        self.events: list[tuple[Event, int | None]] = []

    def decoded(self, done: int, total: int) -> None: ...
    def audited(self, what: str, done: int, total: int) -> None: ...
    def extracted(self, done: int, total: int) -> None: ...
    def planned(self, cells: Sequence[Cell], findings: Sequence[Finding]) -> None: ...
    def happened(self, event: Event) -> None: ...
    def searching(self, done: Sequence[Result], wanted: int, *, metric: str, lower_is_better: bool) -> None: ...
    def found(self, found: Found, file: Path) -> None: ...

    def trained(self, event: Event, number: int | None) -> None:
        self.events.append((event, number))

    def trial_ended(self, ended: Ended, done: Sequence[Result]) -> None:
        self.ended.append(ended)


def small(*settings: str, space: str = SPACE) -> Study:
    return parse_study(STUDY.replace("SPACE", space), list(settings), where="small.yaml", folder=Path.cwd())


def search(folder: Path, *settings: str, space: str = SPACE, display: Quiet | None = None) -> Tuned:
    return tune(small(*settings, space=space), folder, Options("serial", device="cpu"), display or Quiet())
