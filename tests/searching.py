"""A small search that the tests of tuning run: a study on 60 drawn lesions, and a display that keeps quiet."""

from pathlib import Path

from diascope.app.run import Options
from diascope.app.tune import OfTrial, TrialEnded, Tuned
from diascope.app.tune import search as search_and_train
from diascope.study.executors import Event
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

    def __call__(self, event: object) -> None:
        if isinstance(event, OfTrial):
            self.events.append((event.event, event.number))
        elif isinstance(event, TrialEnded):
            self.ended.append(event.ended)


def small(*settings: str, space: str = SPACE) -> Study:
    return parse_study(STUDY.replace("SPACE", space), list(settings), where="small.yaml", folder=Path.cwd())


def search(folder: Path, *settings: str, space: str = SPACE, display: Quiet | None = None) -> Tuned:
    return search_and_train(small(*settings, space=space), folder, Options("serial", device="cpu"), display or Quiet())
