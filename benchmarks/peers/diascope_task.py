"""A Diascope task on the benchmark's pixels, as the plan of a study makes them."""

from pathlib import Path

import numpy as np
from gate import BASE, BATCH, LEARNING_RATE, SIZE, pixels

from diascope.config import RunConfig, run_id
from diascope.engine import RunData, RunTask
from diascope.studyfile import parse_study


def make_task(folder: Path, *, lab: str, precision: str, epochs: int, images: int, threads: int, seed: int) -> RunTask:
    settings = {
        "data.image_size": SIZE,
        "model.base_channels": BASE,
        "model.normalization": "batch" if lab == "lab-1b" else "none",
        "training.epochs": epochs,
        "training.batch_size": BATCH,
        "training.learning_rate": LEARNING_RATE,
        "training.precision": precision,
        "training.threads": threads,
    }
    text = "name: benchmark\ndata: {source: benchmark.npz}\n"
    study = parse_study(text, [f"{key}={value}" for key, value in settings.items()], where="benchmark", folder=folder)
    arm = study.arms[0]
    sections = {name: getattr(arm, name) for name in ("data", "model", "augmentation", "training")}
    config = RunConfig(**sections, split=study.split, fold=0, seed=seed)
    shown, labels = pixels(images)
    file = folder / f"pixels-{images}.npy"
    if not file.exists():
        np.save(file, shown)
    data = RunData(
        pixels=file,
        paths=[f"{number}.png" for number in range(len(labels))],
        labels=labels.astype(np.int64),
        groups=None,
        classes=("no", "yes"),
        training=np.arange(images),
        validation=np.arange(images, len(labels)),
    )
    return RunTask(lab, config, run_id(config, "benchmark"), folder / f"run-{seed}", data)
