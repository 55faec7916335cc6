"""Runs for the tests of probes: networks with a known rule, and studies on phantoms with and without a shortcut."""

from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diascope.config import RunConfig
from diascope.engine import RunData, RunTask, execute
from diascope.predict.network import TrainedRun
from diascope.predict.predictor import Network
from diascope.probes import Options, Subject
from diascope.study.images import read_images
from diascope.study.plan import plan
from diascope.studyfile import parse_study

SIZE = 20
CORNER, MIDDLE = (slice(0, 3), slice(17, 20)), (slice(8, 12), slice(8, 12))


class Looks(nn.Module):
    """Calls an image by the brightness of one part of it."""

    def __init__(self, place: tuple[slice, slice]) -> None:
        super().__init__()
        self.place, self.scale = place, nn.Parameter(torch.tensor(20.0))

    def forward(self, images: Tensor) -> Tensor:  # (B, C, H, W) -> (B, 1)
        return self.scale * (images[:, :, *self.place].mean(dim=(1, 2, 3)) - 0.5)[:, None]


def signs(labels: NDArray[np.int64], *, corner: float, middle: float) -> NDArray[np.uint8]:
    """Gray images (N, 20, 20, 1) with noise whose corner and middle are bright in class 1, as often as these rates."""
    random = np.random.default_rng(0)
    pixels = random.integers(100, 140, (len(labels), SIZE, SIZE, 1))
    for place, rate in ((CORNER, corner), (MIDDLE, middle)):
        agrees = random.random(len(labels)) < rate
        bright = np.where(agrees, labels, 1 - labels)
        pixels[:, place[0], place[1]] = (60 + 130 * bright)[:, None, None, None] + random.integers(
            -20, 20, (len(labels), 1, 1, 1)
        )
    return pixels.astype(np.uint8)


def with_model(
    model: nn.Module,
    pixels: NDArray[np.uint8],
    labels: NDArray[np.int64],
    columns: Mapping[str, list[str]] | None = None,
    *,
    options: Options = Options(text=False),  # noqa: B008
    classes: tuple[str, ...] = ("no", "yes"),
) -> Subject:
    """A probed run whose network is this one; two images or more a group, all on the validation side."""
    rows = np.arange(len(labels))
    groups = [str(row // 4) + "abc"[label] for row, label in enumerate(labels.tolist())]
    paths = [f"{row}.png" for row in rows]
    data = RunData(pixels, paths, labels, groups, classes, training=rows, validation=rows)
    arm = parse_study("name: a\ndata: {source: a.csv}\n", [], where="a", folder=Path.cwd()).arms[0]
    study = parse_study("name: a\ndata: {source: a.csv}\n", [], where="a", folder=Path.cwd())
    config = RunConfig(
        data=arm.data,
        split=study.split,
        model=arm.model,
        augmentation=arm.augmentation,
        training=arm.training,
        fold=0,
        seed=0,
    )
    task = RunTask("arm", config, "id", Path("nowhere"), data)
    probed = Subject(task, columns or {}, 1, torch.device("cpu"), options, lambda what, done, total: None)
    run = TrainedRun(config, classes, model.eval(), 16)
    vars(probed)["network"] = Network(run, probed.device, model)
    return probed


def trained(folder: Path, shortcut: str, seed: int, **phantom: Any) -> RunTask:
    """A finished run on 300 drawn lesions, whose networks learn in seconds."""
    drawn = {"images": 300, "size": 48, "difficulty": 0.3, "shortcut": shortcut, "rate": 1.0, "seed": seed, **phantom}
    told = ", ".join(f"{key}: {value}" for key, value in drawn.items())
    text = (
        f"name: a\ndata: {{source: 'phantom:skin', phantom: {{{told}}}, image_size: 48}}\n"
        f"split: {{kind: holdout, validation: 0.4, seed: {seed}}}\n"
        f"training: {{epochs: 10, learning_rate: 1e-3}}\nseeds: [{seed}]\n"
    )
    study = parse_study(text, [], where="a", folder=folder)
    (cell,) = plan(study, read_images(study), folder)
    for _ in execute(cell.task):
        pass
    return cell.task
