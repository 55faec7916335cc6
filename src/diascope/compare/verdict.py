"""What may be said of two arms: the difference between them, its interval, and a verdict in words.

    for found in compare_arms(record, "accuracy"):
        print(found.sentence)

One fixed training side (given, holdout): two-way random effects over seeds and images. Cross-validation: the corrected
resampled t over folds. docs/verdicts.md has the model, the sources and the measured rates of wrong verdicts.
"""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Literal

import numpy as np

from diascope.compare import wording
from diascope.compare.arms import Analysis, ArmInterval, analyse, arm_intervals
from diascope.compare.estimate import LEVEL
from diascope.compare.jackknife import PseudoValues
from diascope.compare.looks import KEPT, Looking, complete_seeds, looking_at
from diascope.compare.needs import Needs, resampled_needs, two_way_needs, two_way_needs_of_cases
from diascope.compare.pairs import Key, ScoredRuns, differences, score_runs
from diascope.compare.refusals import nothing_to_compare, one_chose_its_weights
from diascope.compare.scoring import VALIDATION, Place
from diascope.core.statistics import holm
from diascope.metrics import LOWER_IS_BETTER, REGISTRY
from diascope.runs.record import StudyRecord

__all__ = ["ArmInterval", "Comparison", "Verdict", "arm_intervals", "compare_arms"]

Verdict = Literal["better", "worse", "equivalent", "not shown"]


@dataclass(frozen=True)
class Comparison:
    """`arm` minus `against` in a metric; better and worse are the arm's. Cases are counted in `unit`.

    `p` is two-sided, `p_holm` adjusted over the study's pairs; both are None where nothing may be inferred. `needs`, of
    what was not shown, says how many seeds, or images or groups, would show it; None where that alone would not.
    `paired` holds the differences by (fold, seed).
    """

    arm: str
    against: str
    metric: str
    difference: float | None
    low: float | None
    high: float | None
    p: float | None
    p_holm: float | None
    method: str
    verdict: Verdict
    needs: dict[str, int | None]
    sentence: str
    runs: int
    cases: int
    unit: str
    generalizes: str
    paired: list[tuple[int, int, float]]
    look: int | None  # at the verdicts of this study, from 1; looks at the test side have a log of their own
    boundary: float  # what p_holm must not exceed at this look


@dataclass(frozen=True)
class _Draft:
    """A pair before its verdict: p-values are filled in once all pairs are known."""

    arm: str
    against: str
    analysis: Analysis
    paired: dict[Key, float]
    undefined: int  # runs, of either arm, whose score is undefined
    size: ScoredRuns
    needs: Needs
    p: float | None
    p_holm: float | None = None
    p_equivalent: float | None = None  # of two one-sided tests, after Holm


def compare_arms(record: StudyRecord, metric: str, place: Place = VALIDATION) -> list[Comparison]:
    """Every pair of the study, by default last epoch, validation side; RunError if a finished run cannot be read."""
    pairs = record.study.pairs
    scored = {
        arm: _of_complete_looks(record, score_runs(record, arm, metric, place))
        for arm in record.arms
        if any(arm in pair for pair in pairs)
    }
    level = KEPT * LEVEL / max(1, len(pairs))  # what Holm asks of the smallest p, at the one look of a study
    drafts = [_analysed(record, pair, scored[pair[0]], scored[pair[1]], level, metric, place) for pair in pairs]
    margin = record.study.compare.margin
    p_holm = holm([draft.p for draft in drafts])
    p_equivalent = holm([_p_equivalent(draft, margin) for draft in drafts])
    tests = sum(p is not None for p in p_holm)
    looking = looking_at(record, metric, tests) if place.side == "validation" else None
    return [
        _judged(record, metric, replace(draft, p_holm=of_pair, p_equivalent=within), tests, place, looking)
        for draft, of_pair, within in zip(drafts, p_holm, p_equivalent, strict=True)
    ]


def _of_complete_looks(record: StudyRecord, scored: ScoredRuns) -> ScoredRuns:
    """Where seeds are added in planned looks, the runs of a look that has only begun are not seen yet."""
    seeds = complete_seeds(record)
    if seeds is None or scored.shared:
        return scored
    runs = {key: run for key, run in scored.runs.items() if key[1] < seeds}
    return replace(scored, runs=runs, undefined=tuple(key for key in scored.undefined if key[1] < seeds))


def _analysed(
    record: StudyRecord,
    pair: tuple[str, str],
    arm: ScoredRuns,
    against: ScoredRuns,
    level: float,
    metric: str,
    place: Place,
) -> _Draft:
    runs = differences(arm, against)
    analysis = _analysis(record, pair, arm, against, runs, metric, place)
    paired = {key: run.score for key, run in runs.items()}
    tested = analysis.estimate is not None and analysis.estimate.variance > 0 and len(runs) > 1
    p = analysis.estimate.p_value() if tested and analysis.estimate is not None else None
    needs = _needs(record, analysis, paired, arm, level) if tested else Needs()
    undefined = len(arm.undefined) + len(against.undefined)
    return _Draft(*pair, analysis, paired, undefined, arm, needs, p)


def _analysis(
    record: StudyRecord,
    pair: tuple[str, str],
    arm: ScoredRuns,
    against: ScoredRuns,
    runs: Mapping[Key, PseudoValues],
    metric: str,
    place: Place,
) -> Analysis:
    if not runs:
        return Analysis(None, None, "none", nothing_to_compare(metric, arm, against, pair))
    found = analyse(record, runs, arm)
    refused = one_chose_its_weights(record, pair, place)
    return replace(found, estimate=None, method="none", reason=refused) if refused else found


def _p_equivalent(draft: _Draft, margin: float | None) -> float | None:
    if margin is None or draft.p is None or draft.analysis.estimate is None:
        return None
    return draft.analysis.estimate.p_within(margin)


def _needs(record: StudyRecord, analysis: Analysis, paired: dict[Key, float], size: ScoredRuns, level: float) -> Needs:
    """Seeds, folds or cases that would show the margin with 80% power; nothing where no margin is stated."""
    estimate, effect = analysis.estimate, record.study.compare.margin
    assert estimate is not None
    if effect is None:
        return Needs()
    folds = sorted({fold for fold, _ in paired})
    seeds, cases = len(paired) // len(folds), size.count(size.cases, folds)
    if analysis.rows is not None and estimate.components is not None:
        return two_way_needs_of_cases(effect, estimate.components, analysis.rows, cases, level)
    if estimate.components is not None:
        return two_way_needs(effect, estimate.components, seeds, cases, level)
    if analysis.within is None:
        return Needs()
    spread = float(np.var([np.mean([paired[key] for key in paired if key[0] == fold]) for fold in folds], ddof=1))
    return resampled_needs(effect, spread, len(folds), analysis.within, seeds, cases, level)


def _within_range(metric: str, interval: tuple[float, float]) -> tuple[float, float]:
    """Cut where no difference of the metric can lie."""
    described = REGISTRY[metric]
    if described.low is None or described.high is None:
        return interval
    most = described.high - described.low
    return max(interval[0], -most), min(interval[1], most)


def _named(needs: Needs, unit: str) -> dict[str, int | None]:
    found = {"seeds": needs.seeds, unit: needs.cases}
    found |= {"folds": needs.folds} if needs.folds else {}
    return {**found, "together": 1} if needs.together else found


def _verdict(draft: _Draft, metric: str, looking: Looking | None) -> Verdict:
    estimate = draft.analysis.estimate
    if estimate is not None and draft.p_holm is not None and draft.p_holm <= (looking.level if looking else LEVEL):
        return "better" if (estimate.value > 0) != (metric in LOWER_IS_BETTER) else "worse"
    within = (looking.level_equivalent if looking else LEVEL) / 2
    if draft.p_equivalent is not None and draft.p_equivalent <= within:
        return "equivalent"
    return "not shown"


def _judged(
    record: StudyRecord, metric: str, draft: _Draft, tests: int, place: Place, looking: Looking | None
) -> Comparison:
    estimate, size, folds = draft.analysis.estimate, draft.size, sorted({fold for fold, _ in draft.paired})
    interval = _within_range(metric, estimate.interval()) if estimate is not None and estimate.variance > 0 else None
    verdict = _verdict(draft, metric, looking)
    complete = complete_seeds(record) if looking else None
    facts = wording.Facts(
        arm=draft.arm,
        against=draft.against,
        metric=metric,
        verdict=verdict,
        difference=draft.analysis.mean,
        interval=interval,
        p_holm=draft.p_holm,
        p_equivalent=draft.p_equivalent,
        tests=tests,
        margin=record.study.compare.margin,
        reason=draft.analysis.reason,
        folds=len(folds),
        runs=len(draft.paired),
        planned=len(record.folds["folds"]) * len(record.seeds if complete is None else range(complete)),
        images=size.count(size.images, folds),
        cases=size.count(size.cases, folds),
        unit=size.unit,
        undefined=draft.undefined,
        crossed=record.folds["kind"] == "kfold",
        needs=draft.needs if verdict == "not shown" else Needs(),
        place=place,
        looking=looking,
        dominating=size.dominating,
    )
    return Comparison(
        arm=draft.arm,
        against=draft.against,
        metric=metric,
        difference=draft.analysis.mean,
        low=interval[0] if interval else None,
        high=interval[1] if interval else None,
        p=draft.p,
        p_holm=draft.p_holm,
        method=draft.analysis.method,
        verdict=verdict,
        needs=_named(facts.needs, size.unit) if verdict == "not shown" else {},
        sentence=wording.sentence(facts),
        runs=len(draft.paired),
        cases=facts.cases,
        unit=size.unit,
        generalizes=wording.generalizes(facts),
        paired=[(fold, seed, difference) for (fold, seed), difference in draft.paired.items()],
        look=looking.number if looking else None,
        boundary=looking.level if looking else LEVEL,
    )
