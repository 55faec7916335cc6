"""How often verdicts are wrong: simulated studies of two arms with a known truth, judged by Diascope and naive tests.

    python benchmarks/verdicts.py --studies 1000 --seed 2027     about 20 minutes; writes results/verdicts.md
    python benchmarks/verdicts.py --studies 100                  to the screen

simulated.py draws the studies and describes their worlds. Diascope's column is what `compare_arms` says, as shipped.
Rates are of "better" or "worse", one pair, at 5%; the arms are equal but in the section on power.
"""

import argparse
import json
import sys
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from time import monotonic

import numpy as np
from numpy.typing import NDArray
from scipy import stats
from simulated import TEST, World, draw

from diascope import metrics
from diascope.compare.pairs import load_predictions
from diascope.compare.scoring import VALIDATION
from diascope.compare.verdict import compare_arms
from diascope.runs.record import StudyRecord

Floats = NDArray[np.float64]
RESULTS = Path(__file__).resolve().parent / "results" / "verdicts.md"
LIMIT = 6.0
OURS = "Diascope"
DRAWS = 200
RARE, RARER = {"prevalence": 0.1, "images": 500}, {"prevalence": 0.03, "images": 500}
B = "balanced_accuracy"

NULL: tuple[tuple[str, World], ...] = (
    ("accuracy", World(seeds=2, run_sd=0.06)),
    ("accuracy", World(seeds=3)),
    ("accuracy", World(seeds=3, run_sd=0.06)),
    ("accuracy", World(seeds=5, run_sd=0.03)),
    ("accuracy", World(seeds=10)),
    ("accuracy", World(seeds=10, run_sd=0.06)),
    ("accuracy", World("holdout", seeds=5, prevalence=0.25, taste=False)),
    ("accuracy", World("kfold", 3, 1, images=300)),
    ("accuracy", World("kfold", 5, 1, images=300, run_sd=0.03)),
    ("accuracy", World("kfold", 10, 1, images=500)),
    ("accuracy", World("kfold", 3, 3, images=1000, training_sd=0.007)),
    ("accuracy", World("kfold", 5, 3, images=1000, training_sd=0.007)),
    ("accuracy", World("kfold", 5, 10, images=1000, training_sd=0.007)),
    ("accuracy", World("kfold", 3, 3, images=200, test=True)),
    (B, World(seeds=3, **RARE)),
    (B, World(seeds=10, **RARE)),
    (B, World(seeds=10, accuracy=(0.95, 0.6), bias_sd=0.03, **RARE)),
    (B, World(seeds=10, **RARER)),
    (B, World("kfold", 5, 3, **RARE)),
    ("auroc", World(seeds=3)),
    ("auroc", World(seeds=10, **RARE)),
    ("auroc", World("kfold", 3, 1, images=300)),
    ("auroc", World("kfold", 3, 3, images=300, training_sd=0.007)),
    ("auroc", World("kfold", 5, 3, **RARE)),
    ("loss", World(seeds=3)),
    ("loss", World(seeds=10)),
    ("loss", World("kfold", 5, 3, images=500)),
    ("accuracy", World(seeds=10, groups="unequal")),
    ("loss", World(seeds=10, groups="unequal")),
    ("loss", World("kfold", 5, 3, images=500, groups="unequal")),
    ("loss", World(seeds=3, groups="dominating")),
    ("loss", World(seeds=10, groups="dominating")),
    ("loss", World(seeds=10, groups="dominating", dominating=0.8)),
    ("accuracy", World(seeds=10, groups="dominating")),
    ("loss", World("kfold", 5, 3, groups="dominating")),
)
STRONG: tuple[tuple[str, World], ...] = (
    ("accuracy", World("kfold", 3, 5, images=1000, run_sd=0.03, training_sd=0.028)),
    ("accuracy", World("kfold", 5, 5, images=1000, run_sd=0.03, training_sd=0.028)),
)
POWER: tuple[tuple[str, World], ...] = tuple(
    (metric, replace(world, difference=0.06))
    for metric, world in (
        ("accuracy", World(seeds=3)),
        ("accuracy", World(seeds=5, run_sd=0.03)),
        ("accuracy", World(seeds=10)),
        ("accuracy", World("kfold", 3, 1, images=300)),
        ("accuracy", World("kfold", 3, 3, images=1000, training_sd=0.007)),
        ("accuracy", World("kfold", 5, 3, images=1000, training_sd=0.007)),
        (B, World(seeds=10, **RARE)),
        ("auroc", World("kfold", 3, 3, images=300, training_sd=0.007)),
        ("loss", World(seeds=10)),
    )
)

# What others do. Each gets scores (2, folds x seeds) of the runs and n_validation / n_training: is it significant?
Judge = Callable[[Floats, float], bool]


def corrected(differences: Floats, share: float) -> bool:
    """Nadeau and Bengio's t over all runs with J - 1 df; share 0: the paired t."""
    count = len(differences)
    error = np.sqrt((1 / count + share) * differences.var(ddof=1))
    return bool(np.abs(differences.mean()) > stats.t.ppf(0.975, count - 1) * error)


def apart(scores: Floats) -> bool:
    """The arms' t intervals over runs do not overlap."""
    count = scores.shape[1]
    reach = stats.t.ppf(0.975, count - 1) * scores.std(axis=1, ddof=1) / np.sqrt(count)
    return bool(np.abs(scores[0].mean() - scores[1].mean()) > reach.sum())


JUDGES: dict[str, Judge] = {
    "unpaired t over runs": lambda scores, share: bool(stats.ttest_ind(scores[0], scores[1]).pvalue < 0.05),
    "paired t over runs": lambda scores, share: corrected(scores[1] - scores[0], 0.0),
    "corrected t, J = all runs": lambda scores, share: corrected(scores[1] - scores[0], share),
    "intervals apart": lambda scores, share: apart(scores),
}
# And of accuracy: right or wrong, (2, folds, seeds, images) with the images of the smallest fold.
OF_IMAGES = ("McNemar, one run", "bootstrap, seeds and images")


def mcnemar(right: Floats) -> bool:
    """Exact, on the first run of the first fold."""
    one, other = right[:, 0, 0]
    only_one, only_other = int((one > other).sum()), int((other > one).sum())
    return bool(2 * stats.binom.cdf(min(only_one, only_other), only_one + only_other, 0.5) < 0.05)


def bootstrap(right: Floats, random: np.random.Generator) -> bool:
    """Percentiles over resampled seeds and images, within folds."""
    differences = right[1] - right[0]
    _, seeds, images = differences.shape
    means = np.zeros(DRAWS)
    for table in differences:
        of_images = random.multinomial(images, [1 / images] * images, DRAWS) / images
        of_seeds = random.multinomial(seeds, [1 / seeds] * seeds, DRAWS) / seeds
        means += ((table @ of_images.T) * of_seeds.T).sum(axis=0) / len(differences)
    low, high = np.quantile(means, [0.025, 0.975])
    return bool(low > 0 or high < 0)


def judged(record: StudyRecord, metric: str, world: World, random: np.random.Generator) -> dict[str, bool]:
    """Whether each judge calls the arms of one study different."""
    place = TEST if world.test else VALIDATION
    (ours,) = compare_arms(record, metric, place)
    found = {OURS: ours.verdict in ("better", "worse")}
    runs = [[load_predictions(record, run, place) for run in record.runs_of(arm)] for arm in record.arms]
    if len(runs[0]) < 2:
        return found
    scores = np.array([[metrics.score(metric, p.labels, p.probabilities, 1) for p in of_arm] for of_arm in runs], float)
    share = 1 / (world.folds - 1) if world.folds > 1 else 0.25
    if np.isfinite(scores).all():
        found |= {name: judge(scores, share) for name, judge in JUDGES.items()}
    if metric == "accuracy":
        fewest = min(len(p.labels) for p in runs[0])
        right = np.array(
            [[((p.probabilities[:, 1] > 0.5) == p.labels)[:fewest] for p in of_arm] for of_arm in runs], float
        ).reshape(2, world.folds, world.seeds, fewest)
        found |= dict(zip(OF_IMAGES, (mcnemar(right), bootstrap(right, random)), strict=True))
    return found


def rates(metric: str, world: World, studies: int, seed: int) -> dict[str, float]:
    """Per cent of studies in which each judge calls the arms different."""
    identity = [seed, len(world.name), world.images, world.seeds, world.folds, round(1000 * world.difference)]
    random, others = np.random.default_rng(identity), np.random.default_rng(0)
    called: dict[str, int] = {}
    for _ in range(studies):
        for name, different in judged(draw(world, random), metric, world, others).items():
            called[name] = called.get(name, 0) + different
    return {name: 100 * count / studies for name, count in called.items()}


def table(worlds: tuple[tuple[str, World], ...], done: dict[str, dict[str, float]], names: list[str]) -> str:
    lines = ["| metric, world | " + " | ".join(names) + " |", "| --- |" + " ---: |" * len(names)]
    for metric, world in worlds:
        found = done[key(metric, world)]
        accuracy = f", accuracy {world.accuracy[0]:g} and {world.accuracy[1]:g}" * (len(set(world.accuracy)) > 1)
        cells = [f"{found[name]:.1f}" if name in found else "" for name in names]
        lines.append(f"| {metric}, {world.name}{accuracy} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def key(metric: str, world: World) -> str:
    return f"{metric}, {world.name}, {world.accuracy}, {world.difference}"


def ranges(done: dict[str, dict[str, float]], names: list[str]) -> str:
    lines = ["| test | given, holdout | kfold | worlds above 6 |", "| --- | ---: | ---: | ---: |"]
    for name in names:
        by_kind = [
            [done[key(m, w)][name] for m, w in NULL if (w.kind == "kfold") == crossed and name in done[key(m, w)]]
            for crossed in (False, True)
        ]
        cells = [f"{min(found):.1f} to {max(found):.1f}" for found in by_kind]
        both = [*by_kind[0], *by_kind[1]]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {sum(rate > LIMIT for rate in both)} of {len(both)} |")
    return "\n".join(lines)


def report(done: dict[str, dict[str, float]], studies: int, seed: int) -> str:
    ours = [done[key(metric, world)][OURS] for metric, world in NULL]
    names = [OURS, *JUDGES, *OF_IMAGES]
    return f"""# How often verdicts are wrong

Written by `python benchmarks/verdicts.py --studies {studies} --seed {seed}`: {studies:,} studies in each world
(standard error of a rate of 5%: {100 * np.sqrt(0.05 * 0.95 / studies):.1f} points), judged by `compare_arms` as
shipped. simulated.py describes the worlds. Numbers are percentages of studies in which the arms were called better or
worse, one pair, at 5%.

Equal arms, {len(ours)} worlds: Diascope's rate is {min(ours):.1f} to {max(ours):.1f}%, mean {np.mean(ours):.1f}%; at
most {LIMIT:g}% (5, and the luck of the simulation) in {sum(rate <= LIMIT for rate in ours)} of {len(ours)}.

{ranges(done, names)}

## Equal arms called different

{table(NULL, done, names)}

Run, threshold: SD between runs of the accuracy. Training: SD of an arm's accuracy over training sets (of the difference
between two arms it is 1.4 times that). McNemar and the bootstrap are of accuracy alone.

## Training sets that matter much

No cross-validation can measure this without new data, as folds share training images.

{table(STRONG, done, names)}

## Power

A true difference of 0.06 in the accuracy of both classes.

{table(POWER, done, [OURS])}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=1_000)
    parser.add_argument("--seed", type=int, default=2027)
    parser.add_argument("--keep", type=Path, help="a JSON file of finished worlds, to go on after an interruption")
    options = parser.parse_args()
    done = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    start = monotonic()
    for metric, world in (*NULL, *STRONG, *POWER):
        name = key(metric, world)
        if name not in done:
            done[name] = rates(metric, world, options.studies, options.seed)
            if options.keep:
                options.keep.write_text(json.dumps(done))
        print(f"{monotonic() - start:6.0f} s  {name}: {done[name][OURS]:.1f}%", file=sys.stderr, flush=True)
    text = report(done, options.studies, options.seed)
    if options.studies >= 1_000:
        RESULTS.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
