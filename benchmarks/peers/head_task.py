"""Diascope's task of a head on features that were computed once, as the plan of a study makes it."""

from pathlib import Path

import numpy as np
from gate import BATCH, LEARNING_RATE
from heads import DROPOUT, HIDDEN, features

from diascope.config import RunConfig, run_id
from diascope.engine import RunData, RunTask
from diascope.studyfile import parse_study

TEXT = "name: benchmark\ndata: {source: benchmark.npz}\nmodel: {name: pretrained, backbone: test_resnet}\n"


def make_tasks(folder: Path, *, inputs: int, rows: int, epochs: int, threads: int, seeds: int) -> list[RunTask]:
    """One for each seed; they share the features, which are memory-mapped as those of the cache are."""
    settings = {
        "model.weights": "random",
        "model.dense": [HIDDEN],
        "model.dropout": DROPOUT,
        "training.epochs": epochs,
        "training.batch_size": BATCH,
        "training.learning_rate": LEARNING_RATE,
        "training.threads": threads,
    }
    told = [f"{key}={value}" for key, value in settings.items()]
    study = parse_study(TEXT, told, where="benchmark", folder=folder)
    arm = study.arms[0]
    sections = {name: getattr(arm, name) for name in ("data", "model", "augmentation", "training")}
    values, labels = features(rows, inputs)
    np.save(folder / "features.npy", values)
    data = RunData(
        pixels=folder / "none.npy",
        paths=[f"{number}.png" for number in range(len(labels))],
        labels=labels.astype(np.int64),
        groups=None,
        classes=("no", "yes"),
        training=np.arange(rows),
        validation=np.arange(rows, len(labels)),
        features=np.load(folder / "features.npy", mmap_mode="r"),
    )
    configs = [RunConfig(**sections, split=study.split, fold=0, seed=seed) for seed in range(seeds)]
    return [
        RunTask("head", config, run_id(config, "benchmark"), folder / f"run-{config.seed}", data) for config in configs
    ]
