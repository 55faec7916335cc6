"""What augmentation costs beside a training step, and beside Kornia and torchvision.

    pip install kornia torchvision
    python benchmarks/augmentation.py           a minute; writes benchmarks/results/augmentation.md
    python benchmarks/augmentation.py --quick   some seconds, to see that it works; writes nothing

A batch of 8 gray images of 128 x 128, as the lab's task 4 has them, float32 on the processor. The step is one of the
lab's AlexNet (base 8) with Adam. The candidates take turns, so that a machine that slows down slows down all of them.
Each number of threads is a process of its own. Nothing else should run meanwhile.
"""

import argparse
import json
import os
import platform
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median

import numpy as np

RESULTS = Path(__file__).resolve().parent / "results" / "augmentation.md"
LAB_4 = {"rotation": 10, "shift": 0.1, "horizontal_flip": 0.5}
ALONE = {
    "horizontal_flip": 0.5,
    "vertical_flip": 0.5,
    "rotation": 20,
    "shear": 20,
    "zoom": 0.2,
    "shift": 0.1,
    "downscale": 0.3,
    "blur": 2,
    "intensity": 10,
    "contrast": 0.3,
    "brightness": 0.2,
    "noise": 0.1,
    "erasing": 0.3,
}
BATCH, SIZE, EPOCH = 8, 128, 800
Candidates = dict[str, Callable[[], object]]


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--measure", type=int, help=argparse.SUPPRESS)  # this process measures, on so many threads
    told = parser.parse_args()
    rounds = 5 if told.quick else 40
    if told.measure:
        print(json.dumps(measure(told.measure, rounds)))
        return
    measured = {threads: in_own_process(threads, told.quick) for threads in (1, 2)}
    text = report(measured, rounds)
    print(text)
    if not told.quick:
        RESULTS.write_text(text)


def in_own_process(threads: int, quick: bool) -> dict[str, list[float]]:
    command = [sys.executable, __file__, "--measure", str(threads), *(["--quick"] if quick else [])]
    environment = {**os.environ, "OMP_NUM_THREADS": str(threads)}
    done = subprocess.run(command, env=environment, stdout=subprocess.PIPE, text=True, check=True)
    return json.loads(done.stdout.splitlines()[-1])


def measure(threads: int, rounds: int) -> dict[str, list[float]]:
    """Seconds of each candidate in each round: {candidate: (rounds,)}."""
    from diascope.training.process import prepare_process

    prepare_process(threads)
    candidates = {"step": step(), **libraries(), **ours(), **blocks()}
    seconds: dict[str, list[float]] = {name: [] for name in candidates}
    for number in range(rounds + 2):  # the first two warm up
        for name, call in candidates.items():
            started = time.perf_counter()
            for _ in range(3):
                call()
            if number > 1:
                seconds[name].append((time.perf_counter() - started) / 3)
    return seconds


def images():
    import torch

    return torch.rand(BATCH, SIZE, SIZE, 1, generator=torch.Generator().manual_seed(0)).permute(0, 3, 1, 2)


def step() -> Callable[[], object]:
    import torch

    from diascope.config import ModelConfig, TrainingConfig
    from diascope.models import build_model
    from diascope.training.loop import train_step
    from diascope.training.state import TrainingState

    model = build_model(ModelConfig(base_channels=8), channels=1, classes=2, image_size=(SIZE, SIZE), seed=0)
    state = TrainingState(model, TrainingConfig(), seed=0, device=torch.device("cpu"))
    model.train()
    batch, targets = images(), torch.arange(BATCH) % 2
    return lambda: train_step(state, batch, targets, "fp32")


def libraries() -> Candidates:
    import kornia.augmentation as kornia
    import torch
    from torch.nn import functional
    from torchvision.transforms import v2

    batch = images()
    of_kornia = kornia.AugmentationSequential(
        kornia.RandomHorizontalFlip(p=0.5), kornia.RandomAffine(10.0, (0.1, 0.1), p=1.0, padding_mode="border")
    )
    of_torchvision = v2.Compose(
        [
            v2.RandomHorizontalFlip(0.5),
            v2.RandomAffine(10, (0.1, 0.1), interpolation=v2.InterpolationMode.BILINEAR),
        ]
    )

    def plain() -> object:
        flipped = torch.where(torch.rand(BATCH, 1, 1, 1) < 0.5, batch.flip(3), batch)
        angle, shift = (torch.rand(BATCH) - 0.5) * 0.35, (torch.rand(BATCH, 2) - 0.5) * 0.4
        cosine, sine = angle.cos(), angle.sin()
        rows = [torch.stack([cosine, -sine, shift[:, 0]], 1), torch.stack([sine, cosine, shift[:, 1]], 1)]
        grid = functional.affine_grid(torch.stack(rows, 1), list(batch.shape), align_corners=False)
        return functional.grid_sample(flipped, grid, padding_mode="border", align_corners=False)

    return {
        "Kornia, AugmentationSequential": lambda: of_kornia(batch),
        "torchvision v2, image by image": lambda: torch.stack([of_torchvision(image) for image in batch]),
        "PyTorch, affine_grid and grid_sample": plain,
    }


def ours() -> Candidates:
    """Of lab-4's set and of each transformation by itself: a batch, and its share of drawing for an epoch."""
    import torch

    from diascope.config import AugmentationConfig
    from diascope.data.augment import build_augmentation

    batch = images()

    def candidate(section: dict[str, float]) -> Callable[[], object]:
        augmentation = build_augmentation(AugmentationConfig.model_validate(section))
        drawn = {"first": EPOCH, "changes": None, "epoch": 0}

        def call() -> object:
            if drawn["first"] >= EPOCH:
                drawn["changes"] = augmentation.epoch(
                    EPOCH, (SIZE, SIZE), seed=0, epoch=drawn["epoch"], device=torch.device("cpu")
                )
                drawn["first"], drawn["epoch"] = 0, drawn["epoch"] + 1
            changed = drawn["changes"](batch, drawn["first"])
            drawn["first"] += BATCH
            return changed

        return call

    return {"Diascope": candidate(LAB_4)} | {name: candidate({name: value}) for name, value in ALONE.items()}


def blocks() -> Candidates:
    """The ways to do what costs most, and which was taken."""
    import torch
    from torch.nn import functional

    from diascope.config import AugmentationConfig
    from diascope.data.augment.geometry import Affine
    from diascope.data.augment.intensity import _sorted

    batch = images()
    angles = np.linspace(0.1, 0.3, BATCH)
    matrices = np.zeros((BATCH, 2, 3))
    matrices[:, 0, 0] = matrices[:, 1, 1] = np.cos(angles)
    matrices[:, 1, 0] = np.sin(angles)
    matrices[:, 0, 1] = -matrices[:, 1, 0]
    affine = Affine(matrices, (SIZE, SIZE), AugmentationConfig(), torch.device("cpu"))
    theta = torch.from_numpy(matrices.astype(np.float32))

    return {
        "grid: affine_grid": lambda: functional.affine_grid(theta, list(batch.shape), align_corners=False),
        "grid: rows and columns (taken)": lambda: affine._grid(affine._matrices),
        "sort for percentiles: PyTorch": lambda: batch.flatten(1).sort(dim=1),
        "sort for percentiles: NumPy (taken)": lambda: _sorted(batch.flatten(1)),
    }


def report(measured: dict[int, dict[str, list[float]]], rounds: int) -> str:
    import torch

    names = list(measured[1])
    first = names.index("Diascope") + 1
    parts = {"Lab-4's set": names[:first], "Each transformation by itself": names[first:-4], "Parts": names[-4:]}
    versions = ", ".join(f"{name} {version(name)}" for name in ("kornia", "torchvision"))
    lines = [
        "# What augmentation costs",
        "",
        f"`python benchmarks/augmentation.py`: {BATCH} gray images of {SIZE} x {SIZE}, float32, {rounds} rounds; torch "
        f"{torch.__version__}, {versions}; {processor()}, {os.cpu_count()} cores.",
        f"Load of the machine meanwhile, on average: {os.getloadavg()[0]:.1f}, of which about 1.5 is this program.",
        "",
        "Median milliseconds a batch, on one thread and on two; as a share of the median AlexNet-8 step (fp32);",
        "and the fastest round as a share of the fastest step, which other work on the machine disturbs least.",
        "Diascope's times hold their share of drawing for an epoch of 800 images.",
    ]
    for title, rows in parts.items():
        lines += ["", f"## {title}", "", "| | 1 thread | median | fastest | 2 threads | median | fastest |"]
        lines += ["|---|---:|---:|---:|---:|---:|---:|", *(table_row(name, measured) for name in rows)]
    return "\n".join(lines) + "\n"


def table_row(name: str, measured: dict[int, dict[str, list[float]]]) -> str:
    cells = []
    for seconds in measured.values():
        mine, step = seconds[name], seconds["step"]
        cells += [f"{1e3 * median(mine):.2f}", f"{median(mine) / median(step):.1%}", f"{min(mine) / min(step):.1%}"]
    label = "AlexNet-8 step" if name == "step" else name
    return f"| {label} | {' | '.join(cells)} |"


def version(package: str) -> str:
    from importlib.metadata import version

    return version(package)


def processor() -> str:
    try:
        lines = Path("/proc/cpuinfo").read_text().splitlines()
    except OSError:
        return platform.machine()
    return next((line.partition(":")[2].strip() for line in lines if line.startswith("model name")), platform.machine())


if __name__ == "__main__":
    main()
