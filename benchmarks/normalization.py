"""Batch normalization in short trainings: which statistics evaluation mode should use, and what they cost.

    python benchmarks/normalization.py            300 phantoms, 5 seeds, to results/normalization.md (15 minutes)
    python benchmarks/normalization.py --quick    one length, two seeds, to the screen

Each study is run by `diascope.run`; "share 0.1" is the same AlexNet with moving averages of PyTorch's momentum. The
cost is the time of an epoch of 1,000 images (AlexNet of the lab, 128 x 128, batch 8), the two taking turns.
"""

import argparse
import json
from collections.abc import Iterator
from pathlib import Path
from statistics import median
from tempfile import TemporaryDirectory
from time import process_time
from typing import Any

import numpy as np
import torch

import diascope
from diascope.config import ModelConfig, TrainingConfig
from diascope.config.training import STATISTICS_IMAGES
from diascope.data.batches import EvaluationBatches, TrainingBatches, subset_rows
from diascope.models import build_model
from diascope.training.loop import train
from diascope.training.process import prepare_process
from diascope.training.state import TrainingState

RESULTS = Path(__file__).parent / "results" / "normalization.md"
LENGTHS = [(5, 16), (5, 32), (10, 16), (10, 32), (20, 16), (20, 32)]  # epochs, batch size
ARMS = {
    "plain": "no normalization",
    "recomputed": "recomputed",
    "share": "share 0.1, moving",
    "moving": "share 0.01, moving",
}
NETWORK = '''
from diascope.config import ModelConfig
from diascope.models.alexnet import AlexNet
from torch import Generator, manual_seed, nn, randint


def share(channels, outputs, image_size):
    """AlexNet with batch normalization that averages with a share of 0.1."""
    network = AlexNet(channels, outputs, image_size, normalization="batch")
    network.initialize(Generator().manual_seed(int(randint(2**31, ()))))
    for layer in network.modules():
        if isinstance(layer, nn.BatchNorm2d):
            layer.momentum = 0.1
    return network
'''
STUDY = """
diascope: 1
name: short
data: {source: phantom:skin, phantom: {images: 300}, image_size: 64, channels: 1}
split: {kind: holdout, validation: 0.2}
training: {learning_rate: 1e-3}
arms:
  plain: {}
  recomputed: {model.normalization: batch}
  share: {model.name: "networks.py:share", training.evaluation_statistics: moving}
  moving: {model.normalization: batch, training.evaluation_statistics: moving}
compare: {metric: accuracy, pairs: [[recomputed, share], [recomputed, plain], [moving, plain]]}
"""


def measured(folder: Path, epochs: int, batch_size: int, seeds: int) -> dict[str, Any]:
    """The summary of a study of this length."""
    (folder / "networks.py").write_text(NETWORK, encoding="utf-8")
    file = folder / "short.yaml"
    file.write_text(STUDY, encoding="utf-8")
    settings = {"training.epochs": epochs, "training.batch_size": batch_size, "seeds": seeds}
    out = folder / f"{epochs}-{batch_size}"
    diascope.run(file, out=out, settings=settings)
    return dict(json.loads((out / "summary.json").read_text(encoding="utf-8")))


def rows(folder: Path, lengths: list[tuple[int, int]], seeds: int) -> Iterator[str]:
    yield "| epochs, batch | " + " | ".join(ARMS.values()) + " | alarms |"
    yield "|---|" + "---|" * (len(ARMS) + 1)
    for epochs, batch_size in lengths:
        summary = measured(folder, epochs, batch_size, seeds)
        cells = [_cell(summary["arms"][arm]) for arm in ARMS]
        alarms = [arm for arm in ARMS if any(f"runs {arm} classifies" in warning for warning in summary["warnings"])]
        yield f"| {epochs}, {batch_size} | {' | '.join(cells)} | {', '.join(alarms) or 'none'} |"


def _cell(arm: dict[str, Any]) -> str:
    """Validation accuracy, and what evaluation mode loses on training images at most."""
    modes = [run["training_images"] for run in arm["runs"] if run["training_images"]]
    lost = [scores["training"]["accuracy"] - scores["evaluation"]["accuracy"] for scores in modes]
    return f"{arm['metrics']['accuracy']['mean']:.3f}" + (f" (loses at most {max(lost):.2f})" if lost else "")


def cost(turns: int) -> str:
    """The processor time of an epoch with recomputed statistics over that with moving ones."""
    prepare_process(1)
    random = np.random.default_rng(0)
    pixels = random.integers(0, 256, (1200, 128, 128, 1), dtype=np.uint8)
    labels, device = np.arange(1200) % 2, torch.device("cpu")
    config = TrainingConfig(epochs=turns)
    training, held_out = np.arange(1000), np.arange(1000, 1200)
    ratios, times = [], []

    def epochs(statistics: Any) -> Iterator[float]:
        model = build_model(ModelConfig(normalization="batch"), channels=1, classes=2, image_size=(128, 128), seed=0)
        batches = TrainingBatches(pixels, labels, training, batch_size=8, seed=0, device=device)
        watched, subset = (
            EvaluationBatches(pixels, labels, rows, device=device) for rows in (held_out, training[:200])
        )
        state = TrainingState(model, config, seed=0, device=device)
        iterator = train(state, batches, watched, subset, config, statistics=statistics)
        while True:
            started = process_time()
            if next(iterator, None) is None:
                return
            yield process_time() - started

    recomputed = EvaluationBatches(pixels, labels, subset_rows(training, STATISTICS_IMAGES, 0), device=device)
    for one, other in list(zip(epochs(recomputed), epochs(()), strict=True))[1:]:
        ratios.append(one / other)
        times.append(other)
    return (
        f"An epoch of 1,000 images takes {median(ratios):.3f} times as long with recomputed statistics as with moving "
        f"averages ({min(ratios):.3f} to {max(ratios):.3f}; {len(ratios)} pairs of epochs, processor time; moving: "
        f"{median(times):.2f} s)."
    )


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--quick", action="store_true")
    quick = parser.parse_args().quick
    with TemporaryDirectory() as folder:
        table = "\n".join(rows(Path(folder), LENGTHS[-1:] if quick else LENGTHS, 2 if quick else 5))
    seeds = 2 if quick else 5
    text = (
        "# Batch normalization in short trainings\n\n300 drawn skin lesions, 240 of them for training, 64 x 64 pixels, "
        f"AlexNet, learning rate 1e-3, {seeds} seeds. Mean validation accuracy at the last epoch, by the statistics of "
        "evaluation mode; in brackets how much less accurate, in the worst run, the same training images are in "
        f"evaluation mode than in training mode. Made by `python benchmarks/normalization.py`.\n\n{table}\n\n"
        f"{cost(4 if quick else 12)}\n"
    )
    print(text)
    if not quick:
        RESULTS.write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
