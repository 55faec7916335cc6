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
from diascope.compare.pairs import Predictions, load_predictions
from diascope.compare.scoring import VALIDATION
from diascope.compare.verdict import compare_arms
from diascope.runs.record import StudyRecord

Floats = NDArray[np.float64]
RESULTS = Path(__file__).resolve().parent / "results" / "verdicts.md"
LIMIT = 6.0
OURS = "Diascope"
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
    ("accuracy", World("kfold", 3, 3, images=200, test=True)),
    (B, World(seeds=10, **RARE)),
    (B, World(seeds=10, accuracy=(0.95, 0.6), bias_sd=0.03, **RARE)),
    (B, World(seeds=10, **RARER)),
    (B, World("kfold", 5, 3, **RARE)),
    ("auroc", World(seeds=10, **RARE)),
    ("auroc", World("kfold", 3, 1, images=300)),
    ("auroc", World("kfold", 3, 3, images=300, training_sd=0.007)),
    ("auroc", World("kfold", 5, 3, **RARE)),
    ("loss", World(seeds=10)),
    ("loss", World("kfold", 5, 3, images=500)),
    ("accuracy", World(seeds=10, groups="unequal")),
    ("loss", World(seeds=10, groups="unequal")),
    ("loss", World("kfold", 5, 3, images=500, groups="unequal")),
    ("loss", World(seeds=3, groups="dominating")),
    ("loss", World(seeds=10, groups="dominating")),
    ("loss", World(seeds=10, groups="dominating", dominating=0.8)),
    ("loss", World("kfold", 5, 3, groups="dominating")),
)
STRONG: tuple[tuple[str, World], ...] = (
    ("accuracy", World("kfold", 3, 3, images=600, training_sd=0.028)),
    ("accuracy", World("kfold", 5, 3, images=600, training_sd=0.028)),
)
POWER: tuple[tuple[str, World], ...] = tuple(
    (metric, replace(world, difference=0.06))
    for metric, world in (
        ("accuracy", World(seeds=3)),
        ("accuracy", World(seeds=10)),
        ("accuracy", World("kfold", 3, 1, images=300)),
        ("accuracy", World("kfold", 5, 3, images=1000, training_sd=0.007)),
        (B, World(seeds=10, **RARE)),
    )
)

# What others do. Each gets scores (studies, 2, folds x seeds) of the runs and n_validation / n_training, and says in
# which studies (studies,) the difference is significant.
Judge = Callable[[Floats, float], NDArray[np.bool_]]


def corrected(scores: Floats, share: float) -> NDArray[np.bool_]:
    """Nadeau and Bengio's t over all runs with J - 1 df; share 0: the paired t."""
    differences = scores[:, 1] - scores[:, 0]
    count = differences.shape[1]
    error = np.sqrt((1 / count + share) * differences.var(axis=1, ddof=1))
    found: NDArray[np.bool_] = np.abs(differences.mean(axis=1)) > stats.t.ppf(0.975, count - 1) * error
    return found


def unpaired(scores: Floats, share: float) -> NDArray[np.bool_]:
    count = scores.shape[2]
    error = np.sqrt(scores.var(axis=2, ddof=1).sum(axis=1) / count)
    found: NDArray[np.bool_] = np.abs(np.diff(scores.mean(axis=2))[:, 0]) > stats.t.ppf(0.975, 2 * count - 2) * error
    return found


def apart(scores: Floats, share: float) -> NDArray[np.bool_]:
    """The arms' t intervals over runs do not overlap."""
    count = scores.shape[2]
    reach = stats.t.ppf(0.975, count - 1) * scores.std(axis=2, ddof=1) / np.sqrt(count)
    found: NDArray[np.bool_] = np.abs(np.diff(scores.mean(axis=2))[:, 0]) > reach.sum(axis=1)
    return found


JUDGES: dict[str, Judge] = {
    "unpaired t over runs": unpaired,
    "paired t over runs": lambda scores, share: corrected(scores, 0.0),
    "corrected t, J = all runs": corrected,
    "intervals apart": apart,
}
MCNEMAR = "McNemar, one run"  # of accuracy


def mcnemar(one: Predictions, other: Predictions) -> bool:
    """Exact, on one run of each arm."""
    right = [(found.probabilities[:, 1] > 0.5) == (found.labels == 1) for found in (one, other)]
    only_one, only_other = int((right[0] & ~right[1]).sum()), int((right[1] & ~right[0]).sum())
    return bool(2 * stats.binom.cdf(min(only_one, only_other), only_one + only_other, 0.5) < 0.05)


def scores_of(record: StudyRecord, metric: str) -> list[list[float | None]]:
    """The scores of the runs, (2, folds x seeds)."""
    found = [[load_predictions(record, run) for run in record.runs_of(arm)] for arm in record.arms]
    return [[metrics.score(metric, p.labels, p.probabilities, 1) for p in of_arm] for of_arm in found]


def rates(metric: str, world: World, studies: int, seed: int) -> dict[str, float]:
    """Per cent of studies in which each judge calls the arms different."""
    identity = [seed, len(world.name), world.images, world.seeds, world.folds, round(1000 * world.difference)]
    random = np.random.default_rng(identity)
    called = {OURS: 0} | ({MCNEMAR: 0} if metric == "accuracy" and not world.test else {})
    scores = []
    for _ in range(studies):
        record = draw(world, random)
        (found,) = compare_arms(record, metric, TEST if world.test else VALIDATION)
        called[OURS] += found.verdict in ("better", "worse")
        if world.test:
            continue
        if MCNEMAR in called:
            called[MCNEMAR] += mcnemar(*[load_predictions(record, record.runs_of(arm)[0]) for arm in record.arms])
        scores.append(scores_of(record, metric))
    called_in = {name: 100 * count / studies for name, count in called.items()}
    if scores:
        defined = np.array(scores, dtype=np.float64)
        share = 1 / (world.folds - 1) if world.folds > 1 else 0.25
        called_in |= {name: float(100 * np.mean(judge(defined, share))) for name, judge in JUDGES.items()}
    return called_in


def table(worlds: tuple[tuple[str, World], ...], done: dict[str, dict[str, float]], names: list[str]) -> str:
    lines = ["| metric, world | studies | " + " | ".join(names) + " |", "| --- |" + " ---: |" * (1 + len(names))]
    for metric, world in worlds:
        found = done.get(key(metric, world))
        if found is None:
            continue
        accuracy = f", accuracy {world.accuracy[0]:g} and {world.accuracy[1]:g}" * (len(set(world.accuracy)) > 1)
        cells = [f"{found[name]:.1f}" if name in found else "" for name in names]
        lines.append(f"| {metric}, {world.name}{accuracy} | {found['studies']:,.0f} | " + " | ".join(cells) + " |")
    return "\n".join(lines)


def key(metric: str, world: World) -> str:
    return f"{metric}, {world.name}, {world.accuracy}, {world.difference}"


def ranges(done: dict[str, dict[str, float]], names: list[str]) -> str:
    lines = ["| test | given, holdout | kfold | worlds above 6 |", "| --- | ---: | ---: | ---: |"]
    [(world.kind, done.get(key(metric, world), {})) for metric, world in NULL]
    for name in names:
        by_kind = [
            [
                done[key(m, w)][name]
                for m, w in NULL
                if (w.kind == "kfold") == crossed and name in done.get(key(m, w), {})
            ]
            for crossed in (False, True)
        ]
        cells = [f"{min(found):.1f} to {max(found):.1f}" for found in by_kind]
        both = [*by_kind[0], *by_kind[1]]
        lines.append(f"| {name} | {cells[0]} | {cells[1]} | {sum(rate > LIMIT for rate in both)} of {len(both)} |")
    return "\n".join(lines)


def report(done: dict[str, dict[str, float]], seed: int) -> str:
    ours = [done[key(metric, world)][OURS] for metric, world in NULL if key(metric, world) in done]
    names = [OURS, *JUDGES, MCNEMAR]
    return f"""# How often verdicts are wrong

Written by `python benchmarks/verdicts.py --seed {seed}`, which draws 1,000 studies in each world (the tables say
where fewer were drawn: the first of the same stream; standard error of a rate of 5%: 0.7 points with 1,000, 1.1 with
400), judged by `compare_arms` as shipped. simulated.py describes the worlds. Numbers are percentages of studies in
which the arms were called better or worse, one pair, at 5%.

Equal arms, {len(ours)} worlds: Diascope's rate is {min(ours):.1f} to {max(ours):.1f}%, mean {np.mean(ours):.1f}%; at
most {LIMIT:g}% (5, and the luck of the simulation) in {sum(rate <= LIMIT for rate in ours)} of {len(ours)}.

{ranges(done, names)}

## Equal arms called different

{table(NULL, done, names)}

Run, threshold: SD between runs of the accuracy. Training: SD of an arm's accuracy over training sets (of the difference
between two arms it is 1.4 times that). McNemar is of accuracy alone.

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
    parser.add_argument("--only-report", action="store_true", help="write what --keep holds")
    options = parser.parse_args()
    done = json.loads(options.keep.read_text()) if options.keep and options.keep.exists() else {}
    start = monotonic()
    for metric, world in (*NULL, *STRONG, *POWER):
        name = key(metric, world)
        if options.only_report:
            continue
        if name not in done or done[name]["studies"] < options.studies:
            done[name] = {"studies": options.studies, **rates(metric, world, options.studies, options.seed)}
            if options.keep:
                options.keep.write_text(json.dumps(done))
        print(f"{monotonic() - start:6.0f} s  {name}: {done[name][OURS]:.1f}%", file=sys.stderr, flush=True)
    text = report(done, options.seed)
    if options.studies >= 1_000:
        RESULTS.write_text(text, encoding="utf-8")
    else:
        print(text)


if __name__ == "__main__":
    main()
