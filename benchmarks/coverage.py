"""How often the 95% intervals of diascope.metrics hold the true value, by simulation.

    python benchmarks/coverage.py --quick            half a minute, to see that it works; writes nothing
    python benchmarks/coverage.py --datasets 1000    about 20 minutes on one core; writes benchmarks/results/coverage.md

Each data set: labels with the given prevalence; logits that are normal in each class, as far apart as the AUROC says;
the probabilities are overconfident (the true logit times 1.3). Clustered: groups of 1 to 6 images (as many of each
size) share their label and half of the variance of their logits. The true values are integrals over the population.
These are intervals of one run; arm_coverage.py measures those of an arm over seeds and folds.
"""

import argparse
import itertools
import time
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from scipy.special import expit, logit, ndtr, ndtri
from scipy.stats import norm

from diascope import metrics

RESULTS = Path(__file__).resolve().parent / "results" / "coverage.md"
OVERCONFIDENCE = 1.3
WITHIN = 0.5  # the correlation of logits within a group
SIZES = np.arange(1, 7)
SHOWN = metrics.WITH_INTERVAL
LOW, HIGH = 0.93, 0.97


@dataclass(frozen=True)
class Cell:
    """One population and the size of the samples from it."""

    clustered: bool
    images: int
    prevalence: float
    auroc: float

    @property
    def distance(self) -> float:
        """Of the class means, in standard deviations."""
        return float(np.sqrt(2) * ndtri(self.auroc))

    @property
    def groups(self) -> int:
        return round(self.images / SIZES.mean()) if self.clustered else self.images

    @property
    def within_target(self) -> bool:
        """AUROC to .95, 50 images a class, and of groups 50: where the intervals promise 93 to 97%."""
        fewest = self.images * min(self.prevalence, 1 - self.prevalence)
        return self.auroc <= 0.95 and fewest >= 50 and self.groups >= 50

    def probabilities(self, scores: np.ndarray) -> np.ndarray:
        """Scores (N,), centred on 0 and on `distance` -> (N, 2)."""
        true_logits = logit(self.prevalence) + self.distance * scores - self.distance**2 / 2
        p = expit(OVERCONFIDENCE * true_logits)
        return np.column_stack([expit(-OVERCONFIDENCE * true_logits), p])

    def sample(self, random: np.random.Generator) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
        """Labels (N,), probabilities (N, 2), groups (N,)."""
        sizes = random.choice(SIZES, self.groups) if self.clustered else np.ones(self.groups, dtype=int)
        groups = np.repeat(np.arange(self.groups), sizes)
        labels = (random.random(self.groups) < self.prevalence).astype(int)[groups]
        shared = random.normal(size=self.groups)[groups] * np.sqrt(WITHIN)
        noise = shared + random.normal(size=len(groups)) * np.sqrt(1 - WITHIN)
        return labels, self.probabilities(noise + self.distance * labels), groups


def truths(cell: Cell) -> dict[str, float]:
    """Every metric in the population, from closed forms and integrals over a fine grid."""
    d, share = cell.distance, cell.prevalence
    cut = d / 2 - logit(share) / d  # where the probability is 0.5
    sensitivity, specificity = ndtr(d - cut), ndtr(cut)
    tp, fn = share * sensitivity, share * (1 - sensitivity)
    tn, fp = (1 - share) * specificity, (1 - share) * (1 - specificity)
    grid = np.linspace(-9, d + 9, 40_001)
    of_positives, of_negatives = share * norm.pdf(grid - d), (1 - share) * norm.pdf(grid)
    p = cell.probabilities(grid)

    def mean(of_positive: np.ndarray, of_negative: np.ndarray) -> float:
        return float(np.trapezoid(of_positives * of_positive + of_negatives * of_negative, grid))

    above = share * ndtr(d - grid), (1 - share) * ndtr(-grid)
    logits = np.log(p[:, 1]) - np.log(p[:, 0])
    low, high = -20.0, 20.0
    for _ in range(60):
        middle = (low + high) / 2
        too_low = mean(expit(logits + middle), expit(logits + middle)) < share
        low, high = (middle, high) if too_low else (low, middle)
    return {
        "accuracy": tp + tn,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "ppv": tp / (tp + fp),
        "npv": tn / (tn + fn),
        "f1": 2 * tp / (2 * tp + fp + fn),
        "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
        "auroc": cell.auroc,
        "auprc": float(np.trapezoid(norm.pdf(grid - d) * above[0] / np.maximum(above[0] + above[1], 1e-300), grid)),
        "brier": mean((1 - p[:, 1]) ** 2, p[:, 1] ** 2),
        "loss": mean(-np.log(p[:, 1]), -np.log(p[:, 0])),
        "calibration_slope": 1 / OVERCONFIDENCE,
        "calibration_intercept": middle,
    }


@dataclass
class Tally:
    """What became of one metric's intervals."""

    defined: int = 0
    below: int = 0  # intervals that end below the true value
    above: int = 0
    width: float = 0.0

    @property
    def coverage(self) -> float:
        return 1 - (self.below + self.above) / max(1, self.defined)


def judge(cell: Cell, datasets: int, draws: int) -> dict[str, Tally]:
    """Draw data sets, compute every interval, and count which hold the truth."""
    random = np.random.default_rng([cell.clustered, cell.images, round(100 * cell.prevalence), round(100 * cell.auroc)])
    true, tallies = truths(cell), {name: Tally() for name in SHOWN}
    for number in range(datasets):
        labels, probabilities, groups = cell.sample(random)
        found = metrics.intervals(
            labels, probabilities, 1, groups=groups if cell.clustered else None, names=SHOWN, draws=draws, seed=number
        )
        for name, interval in found.items():
            if interval.low is None or interval.high is None:
                continue
            tally = tallies[name]
            tally.defined += 1
            tally.below += interval.high < true[name]
            tally.above += interval.low > true[name]
            tally.width += interval.high - interval.low
    return tallies


def report(done: dict[Cell, dict[str, Tally]], command: str, datasets: int, draws: int) -> Iterator[str]:
    """Lines of markdown: the summary by metric, then every cell."""
    yield "# Coverage of the 95% intervals of diascope.metrics"
    yield ""
    yield f"`{command}`: {datasets} data sets a row, {draws} bootstrap draws, numpy {np.__version__}."
    yield f"One row's standard error is {100 * np.sqrt(0.95 * 0.05 / datasets):.1f} points."
    yield "What is simulated is said at the top of the program."
    yield ""
    yield "Inside: AUROC to .95, at least 50 images a class and, clustered, at least 50 groups. Percent of intervals"
    yield "that hold the true value, mean (lowest to highest row); undefined intervals are left out and counted below."
    yield ""
    yield "| metric | inside, images | inside, clustered | outside, images | outside, clustered |"
    yield "|---|---|---|---|---|"
    for name in SHOWN:
        kinds = itertools.product((True, False), (False, True))
        yield f"| {name} | " + " | ".join(_summary(done, name, *kind) for kind in kinds) + " |"
    yield ""
    yield "## Every row"
    yield ""
    yield "Percent that hold the true value; behind it the mean width. * marks rows inside; (n) the undefined ones."
    yield ""
    yield "| | images | prevalence | AUROC | " + " | ".join(SHOWN) + " |"
    yield "|---|---|---|---|" + "---|" * len(SHOWN)
    for cell, tallies in done.items():
        kind = ("clustered" if cell.clustered else "images") + (" *" if cell.within_target else "")
        values = " | ".join(_shown(tallies[name], datasets) for name in SHOWN)
        yield f"| {kind} | {cell.images} | {cell.prevalence} | {cell.auroc} | {values} |"


def _summary(done: dict[Cell, dict[str, Tally]], name: str, inside: bool, clustered: bool) -> str:
    found = [
        100 * tallies[name].coverage
        for cell, tallies in done.items()
        if (cell.within_target, cell.clustered) == (inside, clustered) and tallies[name].defined
    ]
    return f"{np.mean(found):.1f} ({min(found):.1f} to {max(found):.1f})" if found else ""


def _shown(tally: Tally, datasets: int) -> str:
    missing = f" ({datasets - tally.defined})" if tally.defined < datasets else ""
    return f"{100 * tally.coverage:.1f} {tally.width / max(1, tally.defined):.3f}{missing}"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--quick", action="store_true", help="a few cells, 100 data sets, no file")
    parser.add_argument("--datasets", type=int, default=1000, help="data sets a cell (default: 1000)")
    parser.add_argument("--draws", type=int, default=1000, help="bootstrap draws (default: 1000)")
    parser.add_argument("--out", type=Path, default=RESULTS, help="the file to write")
    options = parser.parse_args()
    datasets = 100 if options.quick else options.datasets
    cells = [
        Cell(*parts)
        for parts in itertools.product((False, True), (100, 200, 500), (0.5, 0.25), (0.7, 0.85, 0.95, 0.99))
    ]
    if options.quick:
        cells = [cell for cell in cells if cell.images == 200 and cell.auroc in (0.7, 0.95)]
    start, done = time.perf_counter(), {}
    for number, cell in enumerate(cells, start=1):
        done[cell] = judge(cell, datasets, options.draws)
        missed = [
            f"{n} {100 * t.coverage:.1f}" for n, t in done[cell].items() if t.defined and not LOW <= t.coverage <= HIGH
        ]
        print(
            f"{number}/{len(cells)} {time.perf_counter() - start:.0f} s {cell}: outside 93 to 97%: {', '.join(missed)}",
            flush=True,
        )
    lines = list(
        report(
            done,
            f"python benchmarks/coverage.py --datasets {datasets} --draws {options.draws}",
            datasets,
            options.draws,
        )
    )
    if options.quick:
        print("\n".join(lines))
    else:
        options.out.write_text("\n".join(lines) + "\n")


if __name__ == "__main__":
    main()
