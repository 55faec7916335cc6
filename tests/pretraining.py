"""Small studies of a pretrained network, without weights of its own, for the tests of features and fine-tuning."""

from pathlib import Path

import torch

from diascope.engine import RunTask, execute
from diascope.study.extraction import prepare_features
from diascope.study.plan import Cell, plan, read_images
from diascope.studyfile import parse_study

TEXT = """name: tiny
data: {source: "phantom:skin", image_size: 32, phantom: {images: 40, size: 32}}
split: {kind: holdout, validation: 0.3, test: 0.2}
model: {name: pretrained, backbone: test_resnet, weights: random, dense: [8], dropout: 0.5}
training: {epochs: 3, learning_rate: 1e-2, batch_size: 5}
seeds: 1
"""
CPU = torch.device("cpu")
TUNED = "{model.mode: finetune, model.unfreeze: 2, model.layer_decay: 0.5, training.start_from: 'arm:head'}"


def cells_of(folder: Path, arms: str, *settings: str) -> list[Cell]:
    study = parse_study(f"{TEXT}arms: {arms}", list(settings), where="tiny.yaml", folder=folder)
    return plan(study, read_images(study), folder)


def tasks_of(folder: Path, arms: str, *settings: str) -> list[RunTask]:
    """The tasks of a study, with their features computed."""
    tasks = [cell.task for cell in cells_of(folder, arms, *settings)]
    prepare_features(tasks, CPU, lambda done, total: None)
    torch.set_num_threads(1)
    return tasks


def train(task: RunTask) -> None:
    for _ in execute(task, device="cpu"):
        pass
