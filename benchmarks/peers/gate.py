"""What every peer shares: the task, the pixels, and a gate at which it waits before each epoch.

A peer is a program that prints one JSON line an epoch and starts the next one when it reads a line. So the driver can
start the epochs of several copies together.
"""

import argparse
import json
import resource
import sys
from time import perf_counter

import numpy as np

SIZE, BATCH, LEARNING_RATE, BASE = 128, 8, 1e-4, 8


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--task", choices=("lab-1a", "lab-1b"), required=True)
    parser.add_argument("--precision", choices=("fp32", "bf16"), default="fp32")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--images", type=int, default=1000, help="training images; a fifth as many for validation")
    parser.add_argument("--threads", type=int, default=2)
    return parser.parse_args()


def pixels(images: int) -> tuple[np.ndarray, np.ndarray]:
    """Noise: (N, H, W, 1) uint8 and (N,) classes. What is in the pictures does not change how long they take."""
    random = np.random.default_rng(0)
    count = images + images // 5
    return random.integers(0, 256, (count, SIZE, SIZE, 1), dtype=np.uint8), random.integers(0, 2, count)


class Gate:
    """Waits for the driver, and tells it how long the epoch took, and its training part of it."""

    def __init__(self) -> None:
        self.trained = 0.0
        self.started = perf_counter()

    def wait(self) -> None:
        if not sys.stdin.readline():
            sys.exit(0)
        self.started = perf_counter()

    def training_ends(self) -> None:
        self.trained = perf_counter() - self.started

    def epoch_ends(self) -> None:
        peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024
        told = {"epoch": perf_counter() - self.started, "training": self.trained, "peak_mib": peak}
        print(json.dumps(told), flush=True)
