"""Fixtures that several test files share: a small task on a learnable array, and a cache folder of the test's own."""

import multiprocessing
from collections.abc import Callable, Iterator
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch

from diascope.config import RunConfig, run_id
from diascope.data.store import write_manifest
from diascope.engine import RunData, RunTask
from diascope.studyfile import parse_study

pytest_plugins = ("study_folders",)

IMAGES, SIZE = 40, 16


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """The longest test comes first: at the end one process would run it while all others have nothing to do."""
    items.sort(key=lambda item: item.path.name != "test_readme.py")


@pytest.fixture(autouse=True)
def _own_cache(tmp_path_factory: pytest.TempPathFactory, monkeypatch: pytest.MonkeyPatch) -> None:
    """No test reads or fills the user's cache."""
    monkeypatch.setenv("DIASCOPE_CACHE", str(tmp_path_factory.getbasetemp() / "cache"))


@pytest.fixture(autouse=True)
def _workers_share_their_start(monkeypatch: pytest.MonkeyPatch) -> None:
    """Worker processes fork from one that has imported PyTorch, which takes seconds, once for all tests.

    Commands that tests start in a process of their own spawn theirs as they do for a user.
    """
    context = multiprocessing.get_context("forkserver")
    context.set_forkserver_preload(["diascope.engine", "torch._dynamo"])
    found = SimpleNamespace(get_context=lambda kind: context)
    monkeypatch.setattr("diascope.study.executors.processes.multiprocessing", found)


@pytest.fixture(autouse=True)
def _denormal_numbers() -> Iterator[None]:
    """A run that trained in this process leaves it without them, and Hypothesis refuses to draw what is lost then."""
    yield
    torch.set_flush_denormal(False)


@pytest.fixture
def make_task(tmp_path: Path) -> Callable[..., RunTask]:
    """A task on 40 images of 16 x 16 pixels, bright or dark: 30 for training, 10 for validation."""
    random = np.random.default_rng(0)
    labels = np.arange(IMAGES) % 2
    pixels = (random.integers(0, 100, (IMAGES, SIZE, SIZE, 1)) + labels[:, None, None, None] * 100).astype(np.uint8)
    np.save(tmp_path / "pixels.npy", pixels)
    write_manifest(tmp_path, {"source": "drawn", "images": len(pixels)}, ["pixels.npy"])
    data = RunData(
        pixels=tmp_path / "pixels.npy",
        paths=[f"{number}.png" for number in range(IMAGES)],
        labels=labels.astype(np.int64),
        groups=None,
        classes=("dark", "light"),
        training=np.arange(30),
        validation=np.arange(30, IMAGES),
    )

    def make(name: str = "arm", *settings: str, seed: int = 0, folder: str = "runs", **changed: Any) -> RunTask:
        base = ("data.image_size=16", "model.base_channels=2", "model.dropout=0.3", "training.epochs=3")
        text = "name: a\ndata: {source: a.csv}\n"
        arm = parse_study(text, [*base, *settings], where="a", folder=tmp_path).arms[0]
        study = parse_study(text, [], where="a", folder=tmp_path)
        config = RunConfig(
            data=arm.data,
            split=study.split,
            model=arm.model,
            augmentation=arm.augmentation,
            training=arm.training,
            fold=0,
            seed=seed,
        )
        path = tmp_path / folder / name / f"fold0-seed{seed}"
        return RunTask(name, config, run_id(config, "content"), path, RunData(**{**vars(data), **changed}))

    return make
