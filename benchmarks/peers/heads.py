"""What the peers that train heads share: the options, and features in the memory of nobody yet."""

import argparse

import numpy as np

HIDDEN, DROPOUT = 128, 0.5


def arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser()
    parser.add_argument("--inputs", type=int, required=True)
    parser.add_argument("--rows", type=int, default=1000, help="that are trained on; a fifth as many for validation")
    parser.add_argument("--epochs", type=int, default=6)
    parser.add_argument("--threads", type=int, default=1)
    parser.add_argument("--steps-per-execution", type=int, default=1, help="of Keras")
    parser.add_argument("--replicas", type=int, default=1, help="of Diascope: heads that train together")
    return parser.parse_args()


def features(rows: int, inputs: int) -> tuple[np.ndarray, np.ndarray]:
    """(N, inputs) float32, half of them zero as behind a ReLU, and (N,) classes; what they are takes no time."""
    random = np.random.default_rng(0)
    count = rows + rows // 5
    values = np.maximum(random.standard_normal((count, inputs), dtype=np.float32), 0)
    return values, random.integers(0, 2, count)
