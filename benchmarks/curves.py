"""How right the readings of learning curves are: planted curves with a known course, plus noise.

    python benchmarks/curves.py           200 curves a cell, to results/curves.md (some ten minutes on a slow core)
    python benchmarks/curves.py --quick   20 curves a cell of 25 and 50 epochs, to the screen

A curve is a course of depth one plus normal autoregressive noise of order one. True convergence is where the course
itself has made 90% of the way from its first to its lowest value; true onset where it leaves its lowest value for good.
"""

import argparse
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from scipy.signal import lfilter

from diascope.compare.curves.trend import end_trend
from diascope.compare.curves.turning import convergence_epoch, falls, overfitting_epoch, still_falls

Curve = NDArray[np.float64]
Course = Callable[[Curve, int], Curve]  # of the epochs from 0 on, and how many there are

RESULTS = Path(__file__).parent / "results" / "curves.md"
BURN_IN = 60
LENGTHS = (25, 50, 150, 250)
NOISE = [(sd, r) for sd in (0.005, 0.02, 0.05, 0.1, 0.2) for r in (0.0, 0.5)]  # SD by the depth, autocorrelation
LEVELLING: dict[str, Course] = {
    "exponential, pace E/12": lambda t, e: np.exp(-12 * t / e),
    "exponential, pace E/6": lambda t, e: np.exp(-6 * t / e),
    "line to 0.3 E": lambda t, e: np.interp(t + 1, [1, 0.3 * e], [1, 0]),
    "line to 0.6 E": lambda t, e: np.interp(t + 1, [1, 0.6 * e], [1, 0]),
    "power -1": lambda t, e: 1 / (t + 1),
    "power -0.5": lambda t, e: (t + 1) ** -0.5,
    "exponential, turning up": lambda t, e: np.exp(-10 * t / e) + np.clip(t / e - 0.5, 0, None),
    "exponential, bending up": lambda t, e: np.exp(-10 * t / e) + 0.4 * (t / e) ** 1.5,
    "line down, line up": lambda t, e: np.interp(t + 1, [1, 0.4 * e, e], [1, 0, 1]),
}
FALLING: dict[str, Course] = {
    "line to the end": lambda t, e: 1 - t / (e - 1),
    "exponential, pace E": lambda t, e: np.exp(-t / e),
    "exponential, pace E/2": lambda t, e: np.exp(-2 * t / e),
}
TURNING: dict[str, Course] = {
    "line down, line up at 0.3 E": lambda t, e: np.interp(t + 1, [1, 0.3 * e, e], [1, 0, 1]),
    "line down, line up at 0.6 E": lambda t, e: np.interp(t + 1, [1, 0.6 * e, e], [1, 0, 1]),
    "flat from 0.2 to 0.6 E, then up": lambda t, e: np.interp(t + 1, [1, 0.2 * e, 0.6 * e, e], [1, 0, 0, 1]),
    "exponential, up from 0.5 E": lambda t, e: np.exp(-10 * t / e) + np.clip(t / e - 0.5, 0, None),
    "exponential, bending up": lambda t, e: np.exp(-10 * t / e) + 0.4 * (t / e) ** 1.5,
}
ONSETS = {"flat from 0.2 to 0.6 E, then up": 0.6, "exponential, up from 0.5 E": 0.5}  # the others: the lowest epoch


def noise(shape: tuple[int, int], sd: float, autocorrelation: float, random: np.random.Generator) -> Curve:
    shocks = random.normal(0, sd * np.sqrt(1 - autocorrelation**2), (shape[0], shape[1] + BURN_IN))
    drawn: Curve = lfilter([1], [1, -autocorrelation], shocks, axis=1)[:, BURN_IN:]
    return drawn


def true_convergence(course: Curve) -> float:
    """Between epochs, in a straight line."""
    level = course.min() + 0.1 * (course[0] - course.min())
    k = int(np.argmax(course <= level))
    return float(k + 1 - (level - course[k]) / (course[k - 1] - course[k]))


def cell(found: Sequence[int | None], truth: float, epochs: int) -> str:
    """`bias ± half the middle 68%, in percent of the epochs (percent without an answer)`."""
    seen = [epoch for epoch in found if epoch is not None]
    missing = round(100 * (1 - len(seen) / len(found)))
    if len(seen) < 5:
        return f"({missing})"
    low, middle, high = np.percentile(seen, [16, 50, 84])
    return f"{100 * (middle - truth) / epochs:+.0f} ± {50 * (high - low) / epochs:.0f} ({missing})"


def draws(course: Curve, level: tuple[float, float], curves: int, random: np.random.Generator) -> Curve:
    return course + noise((curves, len(course)), *level, random)


def convergence(epochs: int, curves: int) -> str:
    time, rows = np.arange(epochs, dtype=np.float64), []
    random = np.random.default_rng([11, epochs])
    for name, draw in LEVELLING.items():
        course = draw(time, epochs)
        truth = true_convergence(course)
        cells = [cell([convergence_epoch(c) for c in draws(course, n, curves, random)], truth, epochs) for n in NOISE]
        rows.append([name, f"{truth:.1f}", *cells])
    for name, draw in FALLING.items():
        found = [[convergence_epoch(c) for c in draws(draw(time, epochs), n, curves, random)] for n in NOISE]
        rows.append([name, "none", *(f"invented {percent([e is not None for e in one])}" for one in found)])
    return table(["course", "truth", *map(title, NOISE)], rows)


def onset(epochs: int, curves: int) -> str:
    time, rows = np.arange(epochs, dtype=np.float64), []
    random, training = np.random.default_rng([12, epochs]), np.linspace(1, 0, epochs)
    for name, draw in TURNING.items():
        course = draw(time, epochs)
        truth = ONSETS[name] * epochs if name in ONSETS else float(np.argmin(course)) + 1
        cells = [
            cell([overfitting_epoch(training, c) for c in draws(course, n, curves, random)], truth, epochs)
            for n in NOISE
        ]
        rows.append([name, f"{truth:.0f}", *cells])
    return table(["course", "truth", *map(title, NOISE)], rows)


def mistakes(lengths: Sequence[int], curves: int) -> str:
    """Of flat curves, and of exponential ones with a plateau for overfitting."""
    rows = []
    for epochs in lengths:
        training, plateau = np.linspace(1, 0, epochs), np.exp(-12 * np.arange(epochs) / epochs)
        for r in (0.0, 0.5, 0.8):
            flat = noise((curves, epochs), 0.1, r, np.random.default_rng([13, epochs, int(10 * r)]))
            sloped = [(end_trend(c), still_falls(c)) for c in flat]
            rates = (
                [falls(c) is True for c in flat],
                [trend is not None and trend.high < 0 for trend, _ in sloped],
                [falling is True for _, falling in sloped],
                [convergence_epoch(c) is not None for c in flat],
                [overfitting_epoch(training, c) is not None for c in flat],
                [overfitting_epoch(training, plateau + c) is not None for c in flat],
            )
            rows.append([str(epochs), f"{r:g}", *map(percent, rates)])
    heads = ["fell", "slope below zero", "still falls", "converged", "overfits", "plateau overfits"]
    return table(["epochs", "autocorrelation", *heads], rows)


def title(level: tuple[float, float]) -> str:
    return f"{100 * level[0]:g}%" + (f", r {level[1]:g}" if level[1] else "")


def percent(outcomes: Sequence[bool]) -> str:
    return f"{100 * float(np.mean(outcomes)):.0f}"


def table(heads: Sequence[str], rows: Sequence[Sequence[str]]) -> str:
    lines = [heads, ["---", *["---:"] * (len(heads) - 1)], *rows]
    return "\n".join(f"| {' | '.join(line)} |" for line in lines)


def report(lengths: Sequence[int], curves: int) -> str:
    convergences = "\n\n".join(f"### {e} epochs\n\n{convergence(e, curves)}" for e in lengths)
    onsets = "\n\n".join(f"### {e} epochs\n\n{onset(e, curves)}" for e in lengths)
    return f"""# How right the readings of learning curves are

Written by `python benchmarks/curves.py`, which describes the curves: {curves} a cell. Columns: SD of the noise as a
share of the fall, and its lag-1 autocorrelation r where it is not zero. A cell is the bias of the median ± half of the
middle 68%, both in percent of the epochs; in brackets the percentage of curves without an answer (censored, or not
surely turned up). "Invented" is the percentage of curves that still fall at the end and were given a convergence.

## Convergence

{convergences}

## Onset of overfitting

{onsets}

## Where nothing is: percent of flat curves, and of curves on a plateau, that pass for something

{mistakes(lengths, 2 * curves)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--curves", type=int, default=200)
    parser.add_argument("--quick", action="store_true", help="20 curves a cell, 25 and 50 epochs, to the screen")
    given = parser.parse_args()
    if given.quick:
        print(report(LENGTHS[:2], 20))
    else:
        RESULTS.write_text(report(LENGTHS, given.curves), encoding="utf-8")


if __name__ == "__main__":
    main()
