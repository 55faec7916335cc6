"""How often equal arms are called different by who looks several times, and what adding seeds until a decision takes.

    python benchmarks/looks.py --partial looks.json     2,000 studies of equal arms a world, to results/looks.md
    python benchmarks/looks.py --quick                  50 studies a world, to the screen

Studies come from `simulated.py`; verdicts, levels and the seeds that are asked for come from Diascope as shipped
(compare_arms, looking_at, asked_seeds), with the log of looks kept in memory. A study is drawn once with 30 seeds; its
looks are at the first 3, 5, 8, ... of them. POWER and KEPT of diascope.compare.looks were chosen on other worlds (run
SD .005 with 200 images, .05 with 400, and 3 folds with 300 in all) and other random numbers.
"""

import argparse
import json
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
from simulated import SimulatedStudy, World, draw

from diascope.compare import pairs
from diascope.compare.looks import looking_at
from diascope.compare.verdict import Comparison, compare_arms
from diascope.config import SeedsUntilDecided
from diascope.runs.look_log import VerdictLook, asked_seeds
from diascope.runs.record import StudyRecord

RESULTS = Path(__file__).parent / "results" / "looks.md"
LOOKS = (3, 5, 8, 12, 20, 30)
PLAN = {"from": 3, "until": "decided", "at_most": 20}
FIXED = 20
DIFFERENCES = (0.02, 0.05, 0.1)
METRICS, OF_METRICS = ("accuracy", "balanced_accuracy", "f1", "mcc", "auroc", "brier"), 5  # seeds
SEVERAL = "several metrics"
MARGIN, WITH_MARGIN = 0.1, 300  # studies of equal arms in which the margin is stated, too


@dataclass(frozen=True)
class Case:
    name: str
    world: World
    metric: str = "accuracy"


CASES = (
    Case("200 images, small seed variance", World(seeds=30, run_sd=0.01)),
    Case("400 images, strong seed variance", World(seeds=30, images=400, run_sd=0.04)),
    Case(
        "3 folds, 300 images in all", World(kind="kfold", folds=3, seeds=30, images=300, run_sd=0.02, training_sd=0.01)
    ),
    Case("200 images in unequal groups", World(seeds=30, groups="unequal", run_sd=0.02)),
    Case(
        "500 images, 10% positive, balanced accuracy",
        World(seeds=30, images=500, prevalence=0.1, accuracy=(0.85, 0.75), run_sd=0.02, bias_sd=0.02),
        "balanced_accuracy",
    ),
    Case("three arms (two pairs), 200 images", World(seeds=30, run_sd=0.02, arms=("a", "b", "c"))),
)


class Once:
    """Calls a shipped function once for each run, though every look asks again: same arguments, same value."""

    def __init__(self, shipped: Callable[..., Any], which: int) -> None:
        """`which`: the argument that tells runs apart."""
        self._shipped, self._which = shipped, which
        self._known: dict[tuple[int, str], Any] = {}

    def clear(self) -> None:
        self._known.clear()

    def __call__(self, *arguments: Any) -> Any:
        metric = arguments[0] if isinstance(arguments[0], str) else ""
        key = (id(arguments[self._which]), metric)
        if key not in self._known:
            self._known[key] = self._shipped(*arguments)
        return self._known[key]


def at_look(whole: StudyRecord, seeds: Any, log: Sequence[VerdictLook], margin: float | None) -> StudyRecord:
    """The study as its folder is when the seeds that are asked for next have been trained."""
    loaded = whole._loaded
    compare = loaded.config.compare.model_copy(update={"margin": margin})
    config = loaded.config.model_copy(update={"seeds": seeds, "compare": compare})
    asked = asked_seeds(config, tuple(log))
    study = SimulatedStudy(
        replace(loaded, config=config), whole.folds, tuple(run for run in whole.runs if run.seed in asked)
    )
    vars(study)["looks"] = tuple(log)
    return study


def see(study: StudyRecord, metric: str, log: list[VerdictLook]) -> list[Comparison]:
    """The verdicts, and the log with this look."""
    found = compare_arms(study, metric)
    look = looking_at(study, metric, sum(each.p is not None for each in found)).look
    log.append(look.model_copy(update={"decided": all(each.verdict != "not shown" for each in found)}))
    return found


def shown(found: Sequence[Comparison]) -> bool:
    return any(each.verdict in ("better", "worse") for each in found)


def six_looks(whole: StudyRecord, metric: str) -> tuple[bool, bool, bool]:
    """Whether a difference was shown at the first look, at any look, and at any look if each were the only one."""
    log: list[VerdictLook] = []
    found = [see(at_look(whole, tuple(range(seeds)), log, None), metric, log) for seeds in LOOKS]
    naive = any(each.p_holm is not None and each.p_holm <= 0.05 for look in found for each in look)
    return shown(found[0]), any(map(shown, found)), naive


def until_decided(whole: StudyRecord, metric: str, margin: float | None = None) -> tuple[bool, int]:
    """Whether a difference was shown at the end, and the seeds that were trained."""
    plan, ended = SeedsUntilDecided.model_validate(PLAN), False
    log: list[VerdictLook] = []
    while True:
        study = at_look(whole, plan, log, margin)
        if log and len(study.seeds) == log[-1].seeds:
            return ended, log[-1].seeds
        ended = shown(see(study, metric, log))


def several_metrics(whole: StudyRecord) -> tuple[bool, bool]:
    """Whether a difference was shown by any of METRICS, one after the other, and whether it would be without a log."""
    log: list[VerdictLook] = []
    seeds = tuple(range(OF_METRICS))
    found = [see(at_look(whole, seeds, log, None), metric, log) for metric in METRICS]
    naive = any(each.p_holm is not None and each.p_holm <= 0.05 for look in found for each in look)
    return any(map(shown, found)), naive


def measure_metrics(studies: int, kept: Sequence[Once]) -> dict[str, float]:
    """Rates where the metric is changed after results were seen, on equal arms."""
    rows = []
    for study in range(studies):
        for once in kept:
            once.clear()
        world = replace(CASES[0].world, seeds=OF_METRICS, prevalence=0.3)
        rows.append(several_metrics(draw(world, np.random.default_rng([16, study]))))
    logged, naive = np.mean(rows, axis=0)
    return {"studies": studies, "logged": float(logged), "naive": float(naive)}


def measure(case: Case, difference: float, studies: int, kept: Sequence[Once]) -> dict[str, float]:
    """Rates and mean numbers of seeds."""
    world, number = replace(case.world, difference=difference), CASES.index(case)
    rows = []
    for study in range(studies):
        for once in kept:
            once.clear()
        whole = draw(world, np.random.default_rng([15, number, round(1000 * difference), study]))
        row: dict[str, float] = {}
        row["shown"], row["seeds"] = until_decided(whole, case.metric)
        row["fixed"] = shown(compare_arms(at_look(whole, tuple(range(FIXED)), (), None), case.metric))
        if difference == 0:
            row["first"], row["six"], row["naive"] = six_looks(whole, case.metric)
            if study < WITH_MARGIN:
                row["seeds_margin"] = until_decided(whole, case.metric, MARGIN)[1]
        rows.append(row)
    return {"studies": studies, **{key: float(np.mean([row[key] for row in rows if key in row])) for key in rows[0]}}


def report(found: dict[str, dict[str, float]]) -> str:
    def percent(rate: float) -> str:
        return f"{100 * rate:.1f}"

    null = []
    for case in CASES:
        if (row := found.get(f"{case.name} 0")) is not None:
            rates = [percent(row[key]) for key in ("naive", "six", "first", "shown", "fixed")]
            null.append(f"| {case.name} | {' | '.join(rates)} |")
    power = []
    for case in CASES:
        for difference in (0, *DIFFERENCES):
            if (row := found.get(f"{case.name} {difference:g}")) is not None:
                margin = f"{row['seeds_margin']:.1f}" if difference == 0 else ""
                cells = [f"{row['seeds']:.1f}", percent(row["shown"]), percent(row["fixed"]), margin]
                power.append(f"| {case.name} | {difference:g} | {' | '.join(cells)} |")
    tried = found.get(SEVERAL, {})
    studies = " or ".join(f"{count:,}" for count in sorted({int(row["studies"]) for row in found.values()}))
    return f"""# Several looks at the verdicts of a study

`python benchmarks/looks.py`; {studies} studies a row, of equal arms the larger number.
The worlds and what is called are described at the top of that file and of `benchmarks/simulated.py`.

## Equal arms called different, in per cent of studies

Six looks are at {", ".join(map(str, LOOKS[:-1]))} and {LOOKS[-1]} seeds. Uncorrected: p ≤ .05 at any of them.
Logged: the verdict at any of them, as Diascope gives it.
The sequential form is `seeds: {{from: 3, until: decided, at_most: 20}}`. It should be at most 5.

| world | six looks, uncorrected | six looks, logged | first look (3 seeds) | sequential | 20 seeds, one look |
|---|---:|---:|---:|---:|---:|
{chr(10).join(null)}

## Seeds that the sequential form takes, beside {FIXED} fixed ones

With margin: the mean number of seeds in {WITH_MARGIN} studies where a margin of ±{MARGIN:g} is stated, so that
"equivalent" ends a study, too.

| world | difference | mean seeds | shown, sequential (%) | shown, 20 seeds (%) | mean seeds with margin |
|---|---:|---:|---:|---:|---:|
{chr(10).join(power)}

## The metric changed after results were seen

Equal arms, {OF_METRICS} seeds, 200 images of which 30% are positive, judged by {", ".join(METRICS)}
in turn. Called different by any of them, in per cent:
{percent(tried.get("naive", np.nan))} by p ≤ .05, {percent(tried.get("logged", np.nan))} as logged looks are judged.
"""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--studies", type=int, default=2_000, help="of equal arms")
    parser.add_argument("--power-studies", type=int, default=300, help="of each difference")
    parser.add_argument("--partial", type=Path, help="JSON file that keeps finished rows, to go on from")
    parser.add_argument("--quick", action="store_true")
    given = parser.parse_args()
    equal, different = (50, 20) if given.quick else (given.studies, given.power_studies)
    found = json.loads(given.partial.read_text()) if given.partial and given.partial.exists() else {}
    kept = (Once(pairs.pseudo_values, 2), Once(pairs._sizes, 0))
    pairs.pseudo_values, pairs._sizes = kept
    for difference in (0.0, *DIFFERENCES):
        for case in CASES:
            if (key := f"{case.name} {difference:g}") not in found:
                found[key] = measure(case, difference, different if difference else equal, kept)
                if given.partial:
                    given.partial.write_text(json.dumps(found, indent=1))
    if SEVERAL not in found:
        found[SEVERAL] = measure_metrics(equal, kept)
        if given.partial:
            given.partial.write_text(json.dumps(found, indent=1))
    if given.quick:
        print(report(found))
    else:
        RESULTS.write_text(report(found), encoding="utf-8")


if __name__ == "__main__":
    main()
