"""How often verdicts are wrong: simulated studies of two arms with a known truth, judged by Diascope and naive tests.

    python benchmarks/verdicts.py --studies 2000      the whole grid, to results/verdicts.md
    python benchmarks/verdicts.py --quick             200 studies a world, to the screen

Run r of arm a gets case i right when  m + difficulty_i + taste_ai + run_ar + training_aj + noise_ari > 0,  all normal:
- difficulty is shared by both arms; taste (arm x case) makes arms right in different cases, not more often;
- run is the luck of a seed: its SD is given as the SD between runs of the accuracy over all possible cases;
- training (cross-validation) is what the training set of fold j does for one arm and not the other. It is a sum over
  the blocks of data the fold is trained on, so that two folds share as much of it as their training sets overlap. With
  one given training set it belongs to the question: the arms' accuracies for this training set are what is compared.
Equal arms have the same m. Rates are of "better" or "worse", one pair, at 5%.
"""

import argparse
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path
from time import monotonic

import numpy as np
from scipy import stats

from diascope.compare.estimate import Components, Floats, critical_value
from diascope.compare.jackknife import pseudo_values
from diascope.compare.needs import resampled_power, two_way_power
from diascope.compare.resampled import variances
from diascope.compare.two_way import combine, mean_squares

ACCURACY, DIFFICULTY, TASTE = 0.8, 1.5, 0.7
SLOPE = stats.norm.pdf(stats.norm.ppf(ACCURACY))  # of the accuracy, by the latent scale's total SD
BATCH, DRAWS = 50, 200
RESULTS = Path(__file__).parent / "results" / "verdicts.md"
LIMIT = 0.06
OURS = "Diascope"


@dataclass(frozen=True)
class World:
    """`folds` 1: one given training side. `difference` of the arms' accuracies; SDs on the scale of accuracy."""

    folds: int
    seeds: int
    run_sd: float
    taste: bool = False
    training_sd: float = 0.0  # of the difference between the arms, over training sets
    difference: float = 0.0
    images: int = 200  # of a given validation side, or of the whole cross-validation
    groups: int = 0  # 0: every image by itself

    @property
    def name(self) -> str:
        split = "given" if self.folds == 1 else f"{self.folds} folds"
        extra = ", taste" * self.taste + f", training {self.training_sd:g}" * bool(self.training_sd)
        return f"{split}, {self.seeds} seeds, run {self.run_sd:g}{extra}"


def simulate(world: World, studies: int, random: np.random.Generator) -> tuple[Floats, Floats]:
    """Right or wrong, (studies, 2, folds, S, N), and the group of each image (N,)."""
    cases = world.images // world.folds
    taste = TASTE if world.taste else 0.0
    total = np.sqrt(DIFFICULTY**2 + taste**2 + 1)
    run_sd = world.run_sd / SLOPE * total
    training_sd = world.training_sd / np.sqrt(2) / SLOPE * total
    whole = np.sqrt(total**2 + run_sd**2 + training_sd**2)
    means = stats.norm.ppf([ACCURACY + world.difference / 2, ACCURACY - world.difference / 2]) * whole

    def normal(*shape: int) -> Floats:
        return random.standard_normal(shape, dtype=np.float32)

    sizes = group_sizes(world)
    group = np.repeat(np.arange(len(sizes)), sizes)

    def of_cases(arms: int) -> Floats:
        if not world.groups:
            return normal(studies, arms, world.folds, 1, cases)
        inside, between = normal(studies, arms, 1, 1, cases), normal(studies, arms, 1, 1, len(sizes))
        return (inside + np.sqrt(3) * between[..., group]) / 2  # three quarters of the variance are the group's

    latent = normal(studies, 2, world.folds, world.seeds, cases)
    latent += DIFFICULTY * of_cases(1) + np.float32(run_sd) * normal(studies, 2, world.folds, world.seeds, 1)
    if taste:
        latent += taste * of_cases(2)
    if training_sd:
        blocks = normal(studies, 2, world.folds, 1, 1)
        others = (blocks.sum(axis=2, keepdims=True) - blocks) / np.sqrt(world.folds - 1)
        latent += np.float32(training_sd) * others
    latent += means.astype(np.float32)[:, None, None, None]
    return (latent > 0).astype(np.float64), group


def group_sizes(world: World) -> list[int]:
    """One image each, or groups of 1, 2, 4, 1, 2, 4, ... images, scaled to fit."""
    if not world.groups:
        return [1] * (world.images // world.folds)
    sizes = np.resize([1, 2, 4], world.groups)
    sizes[-1] += world.images - sizes.sum()
    return sizes.tolist()


# Each judge: right (studies, 2, folds, S, N), validation / training -> is the difference significant, (studies,).
Judge = Callable[[Floats, float], Floats]


def diascope(right: Floats, share: float) -> Floats:
    differences = right[:, 0] - right[:, 1]  # (studies, folds, S, N)
    return over_folds(differences, share) if differences.shape[1] > 1 else two_way(differences[:, 0])


def two_way(differences: Floats) -> Floats:
    seeds, cases = differences.shape[-2:]
    variance, of_seeds = combine(*mean_squares(differences), seeds, cases)
    critical = critical_value(np.stack([of_seeds, 1 - of_seeds], axis=-1), [seeds - 1, cases - 1])
    return np.abs(differences.mean(axis=(1, 2))) > critical * np.sqrt(variance)


def over_folds(differences: Floats, share: float) -> Floats:
    runs = differences.mean(axis=3)  # (studies, folds, S)
    _, folds, seeds = runs.shape
    seed_variance = runs.var(axis=2, ddof=1).mean(axis=1)
    parts = np.stack(variances(runs.mean(axis=2).var(axis=1, ddof=1), seed_variance, folds, seeds, share), axis=-1)
    whole = parts.sum(axis=-1)
    critical = critical_value(parts / whole[:, None], [folds - 1, folds * (seeds - 1)])
    _, of_cases, rest = mean_squares(differences)
    cases = differences.shape[-1] * folds
    alone = (np.maximum(0, of_cases - rest).mean(axis=1) + rest.mean(axis=1)) / (seeds * cases)
    reach = np.maximum(critical * np.sqrt(whole), stats.t.ppf(0.975, cases - 1) * np.sqrt(alone))
    return np.abs(runs.mean(axis=(1, 2))) > reach


def corrected(values: Floats, share: float) -> Floats:
    """(studies, J): Nadeau and Bengio's t with J - 1 df; share 0: the paired t."""
    count = values.shape[1]
    error = np.sqrt((1 / count + share) * values.var(axis=1, ddof=1))
    return np.abs(values.mean(axis=1)) > stats.t.ppf(0.975, count - 1) * error


def of_runs(right: Floats) -> Floats:
    """Accuracy of each run, (studies, 2, folds x seeds)."""
    return right.mean(axis=-1).reshape(*right.shape[:2], -1)


def unpaired_t(right: Floats, share: float) -> Floats:
    runs = of_runs(right)
    return stats.ttest_ind(runs[:, 0], runs[:, 1], axis=1).pvalue < 0.05


def paired_t(right: Floats, share: float) -> Floats:
    runs = of_runs(right)
    return corrected(runs[:, 0] - runs[:, 1], 0.0)


def mcnemar(right: Floats, share: float) -> Floats:
    """Exact, on the first run of the first fold."""
    one, other = right[:, 0, 0, 0], right[:, 1, 0, 0]
    only_one, only_other = ((a > b).sum(axis=1) for a, b in ((one, other), (other, one)))
    return 2 * stats.binom.cdf(np.minimum(only_one, only_other), only_one + only_other, 0.5) < 0.05


def bootstrap(right: Floats, share: float) -> Floats:
    """Percentiles over resampled seeds and cases, within folds."""
    random = np.random.default_rng(0)
    differences = right[:, 0] - right[:, 1]
    _, folds, seeds, cases = differences.shape
    means = np.zeros((len(differences), DRAWS))
    for fold in range(folds):
        of_cases = random.multinomial(cases, [1 / cases] * cases, DRAWS) / cases
        of_seeds = random.multinomial(seeds, [1 / seeds] * seeds, DRAWS) / seeds
        means += ((differences[:, fold] @ of_cases.T) * of_seeds.T).sum(axis=1) / folds
    low, high = np.quantile(means, [0.025, 0.975], axis=1)
    return (low > 0) | (high < 0)


def corrected_over_runs(right: Floats, share: float) -> Floats:
    runs = of_runs(right)
    return corrected(runs[:, 0] - runs[:, 1], share)


def apart(right: Floats, share: float) -> Floats:
    """The arms' t intervals over runs do not overlap."""
    runs = of_runs(right)
    reach = stats.t.ppf(0.975, runs.shape[2] - 1) * runs.std(axis=2, ddof=1) / np.sqrt(runs.shape[2])
    mean = runs.mean(axis=2)
    return np.abs(mean[:, 0] - mean[:, 1]) > reach.sum(axis=1)


JUDGES: dict[str, Judge] = {
    OURS: diascope,
    "unpaired t over runs": unpaired_t,
    "paired t over runs": paired_t,
    "McNemar, one run": mcnemar,
    "bootstrap, seeds and images": bootstrap,
    "corrected t, J = all runs": corrected_over_runs,
    "intervals apart": apart,
}


def batches(world: World, studies: int, number: int) -> Iterator[tuple[Floats, Floats]]:
    random = np.random.default_rng([20, number])
    for start in range(0, studies, BATCH):
        yield simulate(world, min(BATCH, studies - start), random)


def rates(world: World, studies: int, number: int) -> dict[str, float]:
    """How often each judge calls the arms different."""
    share = 0.25 if world.folds == 1 else 1 / (world.folds - 1)
    called = dict.fromkeys(JUDGES, 0)
    for right, _ in batches(world, studies, number):
        for name, judge in JUDGES.items():
            called[name] += int(judge(right, share).sum())
    return {name: count / studies for name, count in called.items()}


def power(world: World, studies: int, number: int) -> tuple[float, float]:
    """Measured, and by the formula with the variances of the simulated world."""
    called, means, squares, spreads, noise = 0, [], [], [], []
    share = 1 / max(1, world.folds - 1)
    for right, _ in batches(world, studies, number):
        differences = right[:, 0] - right[:, 1]
        called += int(diascope(right, share).sum())
        means.extend(differences.mean(axis=(1, 2, 3)))
        if world.folds == 1:
            squares.append(np.stack(mean_squares(differences[:, 0])))
        else:
            spreads.extend(differences.mean(axis=(2, 3)).var(axis=1, ddof=1))
            noise.extend(differences.mean(axis=3).var(axis=2, ddof=1).mean(axis=1))
    effect = world.difference
    if world.folds > 1:
        spread, variance = float(np.mean(spreads)), float(np.var(means, ddof=1))
        within = float(np.mean(noise))
        return called / studies, resampled_power(effect, spread, within, world.folds, world.seeds, share, variance)
    of_seeds, of_cases, rest = np.concatenate(squares, axis=1).mean(axis=1)
    parts = Components(max(0, of_seeds - rest) / world.images, max(0, of_cases - rest) / world.seeds, rest)
    return called / studies, two_way_power(effect, parts, world.seeds, world.images)


def grouped_rates(world: World, studies: int, number: int) -> tuple[float, float]:
    """Equal arms called different: with groups as cases (pseudo-values), and with images as cases."""
    sizes = np.array(group_sizes(world))
    called = np.zeros(2)
    for right, group in batches(world, studies, number):
        differences = right[:, 0, 0] - right[:, 1, 0]
        sums = np.add.reduceat(differences, np.flatnonzero(np.diff(group, prepend=-1)), axis=-1)
        total = sums.sum(axis=-1, keepdims=True)
        count, images = len(sizes), sizes.sum()
        values = count * total / images - (count - 1) * (total - sums) / (images - sizes)
        values += total / images - values.mean(axis=-1, keepdims=True)
        called += [two_way(values).sum(), two_way(differences).sum()]
    return tuple(called / studies)  # type: ignore[return-value]


def auroc_rate(world: World, studies: int, number: int) -> float:
    """Equal arms called different by AUROC with jackknife; a third of the images positive, AUROC about 0.85."""
    random = np.random.default_rng([21, number])
    labels = (np.arange(world.images) % 3 == 0).astype(np.int64)
    called = 0
    for _ in range(studies):
        difficulty = DIFFICULTY * random.normal(size=world.images)
        rows: list[list[Floats]] = []
        for _ in range(2):
            taste = TASTE * random.normal(size=world.images) * world.taste
            skill = 2.65 + world.run_sd / 0.085 * random.normal(size=(world.seeds, 1))  # 0.085: slope of the AUROC
            latent = labels * skill + difficulty + taste + random.normal(size=(world.seeds, world.images))
            positive = stats.norm.cdf(latent / 4)
            found = [
                pseudo_values("auroc", labels, np.stack([1 - p, p], axis=1), 1, np.arange(world.images))
                for p in positive
            ]
            rows.append([of_run.values for of_run in found if of_run is not None and of_run.values is not None])
        called += int(two_way((np.array(rows[0]) - np.array(rows[1]))[None])[0])
    return called / studies


def null_worlds() -> list[World]:
    given = [World(1, s, sd, taste) for s in (3, 5, 10) for sd in (0.015, 0.03, 0.06) for taste in (False, True)]
    crossed = [
        replace(world, folds=folds, images=1_000, training_sd=training)
        for folds in (3, 5)
        for training in (0.0, 0.01)
        for world in given
    ]
    return given + crossed


def beyond_worlds() -> list[World]:
    """Outside the grid: two seeds, few images or many, and strong effects of the training set."""
    odd = [World(1, 2, 0.03), World(1, 2, 0.06, True), World(1, 5, 0.03, images=40), World(1, 3, 0.03, images=2_000)]
    few = [World(f, 3, 0.03, images=images) for f in (3, 5) for images in (90, 240)]
    return odd + few + [World(f, 5, 0.03, True, sd, images=1_000) for f in (3, 5) for sd in (0.02, 0.04)]


def power_worlds() -> list[World]:
    given = [replace(world, difference=0.06) for world in null_worlds() if world.folds == 1]
    crossed = [
        World(folds, seeds, sd, True, training, 0.07, 1_000)
        for folds in (3, 5)
        for seeds in (3, 10)
        for sd in (0.015, 0.06)
        for training in (0.0, 0.01)
    ]
    return given + crossed


def table(header: list[str], rows: list[list[str]]) -> str:
    lines = [header, ["---"] + ["---:"] * (len(header) - 1), *rows]
    return "\n".join("| " + " | ".join(line) + " |" for line in lines)


def percent(rate: float) -> str:
    return f"{100 * rate:.1f}"


def level_section(title: str, worlds: list[World], studies: int, first: int) -> tuple[str, list[float]]:
    rows, ours = [], []
    for number, world in enumerate(worlds, first):
        found = rates(world, studies, number)
        ours.append(found[OURS])
        rows.append([world.name + f", {world.images:,} images" * (title != "grid"), *map(percent, found.values())])
        progress(world.name, found[OURS])
    return table(["world", *JUDGES], rows), ours


def progress(name: str, rate: float) -> None:
    print(f"{monotonic() - STARTED:6.0f} s  {name}: {percent(rate)}%", file=sys.stderr, flush=True)


STARTED = monotonic()


def report(studies: int, worlds: list[World]) -> str:
    grid, ours = level_section("grid", worlds, studies, 0)
    beyond, _ = level_section("beyond", beyond_worlds(), studies, 1_000)
    strong = []
    for number, world in enumerate(power_worlds(), 2_000):
        measured, formula = power(world, studies, number)
        progress(world.name, measured)
        strong.append((world, measured, formula))
    grouped = []
    for number, world in enumerate([World(1, s, sd, True, groups=86) for s in (3, 10) for sd in (0.015, 0.06)], 3_000):
        found = grouped_rates(world, studies, number)
        progress("groups, " + world.name, found[0])
        grouped.append([world.name, *map(percent, found)])
    areas = []
    for number, world in enumerate([World(1, s, sd, True) for s in (3, 10) for sd in (0.015, 0.06)], 4_000):
        rate = auroc_rate(world, studies, number)
        progress("AUROC, " + world.name, rate)
        areas.append([world.name, percent(rate)])
    off = max(abs(measured - formula) for _, measured, formula in strong)
    noise = 100 * np.sqrt(0.05 * 0.95 / studies)
    return f"""# How often verdicts are wrong

Written by `python benchmarks/verdicts.py --studies {studies}`, which describes the model: {studies:,} studies in each
world (standard error of a rate of 5%: {noise:.1f} points). All numbers but those of power are percentages of studies in
which two *equal* arms were called better or worse, one pair, at 5%.

Over the {len(ours)} worlds of the grid Diascope's rate is {percent(min(ours))} to {percent(max(ours))}%, mean {
        percent(float(np.mean(ours)))
    }%; the limit is {percent(LIMIT)}%: {"held" if max(ours) <= LIMIT else "NOT held"} in {
        sum(rate <= LIMIT for rate in ours)
    } of {len(ours)}. Power differs from the formula by at most {percent(off)} points.

## Equal arms called different

{grid}

Run: SD between runs of the accuracy. Taste: the arms are right in different cases. Training: SD between training sets
of the difference between the arms.

## Beyond the grid

Not used to choose the method. Strong effects of the training set are what no cross-validation can measure without
new data.

{beyond}

## Power

A true difference of 0.06 (given) or 0.07 (folds), accuracy about 0.8.

{
        table(
            ["world", "measured", "formula", "difference"],
            [[w.name, percent(m), percent(f), f"{100 * (m - f):+.1f}"] for w, m, f in strong],
        )
    }

## Groups of 1, 2, 4 images, equal arms

{table(["world", "groups as cases", "images as cases"], grouped)}

## AUROC by jackknife, equal arms

{table(["world", OURS], areas)}
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2_000)
    parser.add_argument("--quick", action="store_true", help="200 studies, every fifth world, to the screen")
    given = parser.parse_args()
    if given.quick:
        print(report(200, null_worlds()[::5]))
    else:
        RESULTS.write_text(report(given.studies, null_worlds()), encoding="utf-8")


if __name__ == "__main__":
    main()
