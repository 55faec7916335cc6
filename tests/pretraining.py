"""Small studies of a pretrained network, without weights of its own, for the tests of features and fine-tuning."""

import csv
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import save_file

from diascope.engine import RunTask, execute
from diascope.models.backbone import load_backbone
from diascope.runs.folder import HISTORY_COLUMNS
from diascope.study.extraction import prepare_features
from diascope.study.images import read_images
from diascope.study.plan import Cell, plan
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


def history(folder: Path) -> list[dict[str, float]]:
    """Without the seconds."""
    with (folder / "history.csv").open(newline="") as file:
        rows = [{name: float(value) for name, value in row.items()} for row in csv.DictReader(file)]
    return [{name: row[name] for name in HISTORY_COLUMNS if name != "seconds"} for row in rows]


def predictions(folder: Path, checkpoint: str) -> np.ndarray:
    with (folder / "predictions.csv").open(newline="") as file:
        rows = [row for row in csv.DictReader(file) if row["checkpoint"] == checkpoint]
    return np.array([float(row["p_melanoma"]) for row in rows])


def make_weights(file: Path, seed: int) -> None:
    state = load_backbone("test_resnet", None, channels=3, image_size=(32, 32), seed=seed).state_dict()
    save_file({name: tensor.contiguous() for name, tensor in state.items()}, file)
