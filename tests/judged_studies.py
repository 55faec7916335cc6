"""Small studies with a test side, trained for the tests of `diascope test`."""

from pathlib import Path

from diascope.app.run import Options
from diascope.app.run import train as train_study
from diascope.config import PhantomConfig
from diascope.data import phantoms
from diascope.studyfile import parse_study

SIZE = 28
STUDY = """name: judged
data: {source: images/manifest.csv, group: group, classes: [nevus, melanoma], image_size: 28, channels: 1}
split: {kind: holdout, validation: 0.25, test: 0.25}
model: {base_channels: 2}
training: {epochs: 2, learning_rate: 3e-3}
seeds: 2
arms: {plain: {}, dropout: {model.dropout: 0.4}}
"""


def draw_images(folder: Path, images: int = 40) -> None:
    """PNG files of the size that the network sees, so that a test can read the same pixels by itself."""
    phantoms.write("skin", PhantomConfig(images=images, size=SIZE), folder)


def train(home: Path, *settings: str, text: str = STUDY, name: str = "study", retrain: bool = False) -> Path:
    """Train the study in `home`, which holds the images; its folder."""
    study = parse_study(text, list(settings), where="study.yaml", folder=home)
    outcome = train_study(study, home / name, Options("serial", device="cpu", retrain=retrain))
    assert not outcome.failed
    return home / name
