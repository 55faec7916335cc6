"""One arm's own interval: the mean of a metric over its runs, counting both images and seeds."""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np

from diascope.compare.estimate import LEVEL, ROUNDING, Candidates, Components, Estimate, most_cautious
from diascope.compare.jackknife import PseudoValues
from diascope.compare.own_score import df_of_sum, own_score
from diascope.compare.pairs import (
    Key,
    ScoredRuns,
    Unit,
    averaged,
    by_fold,
    in_a_row,
    score_runs,
    two_way_of_fold,
    validation_share,
)
from diascope.compare.resampled import corrected_resampled, pooled_variance
from diascope.compare.scoring import VALIDATION, Place
from diascope.metrics import REGISTRY, Metric
from diascope.runs.record import StudyRecord


@dataclass(frozen=True)
class ArmInterval:
    """Mean over the runs and its 95% interval; low and high are None where the data give none. `cases` in `unit`."""

    mean: float | None
    low: float | None
    high: float | None
    method: str
    runs: int
    cases: int
    unit: Unit


@dataclass(frozen=True)
class Analysis:
    """An estimate over runs, or the reason why there is none.

    `within`: components inside a fold (cross-validation); `rows`: how many rows the two-way analysis had beside cases,
    where they are not the seeds of one training side.
    """

    mean: float | None
    estimate: Estimate | Candidates | None
    method: str
    reason: str = ""
    within: Components | None = None
    rows: int | None = None


def arm_intervals(
    record: StudyRecord, arm: str, metrics: Sequence[str], place: Place = VALIDATION
) -> dict[str, ArmInterval]:
    """Of the finished runs of an arm, or on the test side of those judged there: every metric's mean and interval."""
    found = {}
    for metric in metrics:
        scored = score_runs(record, arm, metric, place)
        analysis = _own_analysis(record, scored)
        folds = by_fold(scored.runs)
        cases = scored.count(scored.cases, folds)
        low, high = _inside(REGISTRY[metric], analysis.estimate, scored)
        method = "Clopper-Pearson" if analysis.method == "none" and low is not None else analysis.method
        found[metric] = ArmInterval(analysis.mean, low, high, method, len(scored.runs), cases, scored.unit)
    return found


def _own_analysis(record: StudyRecord, scored: ScoredRuns) -> Analysis:
    """The mean score of an arm and its variance, by parts (own_score.py)."""
    runs, folds = scored.runs, by_fold(scored.runs)
    crossed = record.folds["kind"] == "kfold" and not scored.shared
    if not folds or (crossed and len(folds) == 1 and len(runs) > 1):
        return analyse(record, runs, scored)
    mean = float(np.mean([np.mean(scores) for scores in folds.values()]))
    if len(folds) > 1 and not crossed:
        views = _views(runs)
        estimate = most_cautious([own_score(view, _of_view(scored)) for view in views.values()], mean)
        what = f"{_rows(views)} and {scored.unit}"
    else:
        estimate = own_score(runs, scored)
        what = scored.unit
        if crossed and len(folds) > 1:
            what += ", and what folds and seeds add" if len(runs) > len(folds) else ", and what folds add"
        elif len(runs) > 1:
            what += ", and what seeds add"
    if estimate is None:
        return analyse(record, runs, scored)
    if estimate.variance < ROUNDING**2:
        return Analysis(mean, Estimate(mean, 0.0, ((1.0, 1.0),)), "none", _without_spread(runs, scored))
    return Analysis(mean, estimate, f"variance components: {what}")


def analyse(record: StudyRecord, runs: Mapping[Key, PseudoValues], size: ScoredRuns) -> Analysis:
    """Differences of scores, by (fold, seed) -> their mean and its variance, by the kind of split."""
    folds = by_fold(runs)
    if not folds:
        reason = "no run was judged on the test side" if size.shared else "no run is finished"
        return Analysis(None, None, "none", reason)
    mean = float(np.mean([np.mean(scores) for scores in folds.values()]))
    if record.folds["kind"] == "kfold" and len(runs) > 1 and not size.shared:
        return _over_folds(record, runs, folds, size, mean)
    if len(folds) > 1:
        return _on_shared(runs, size, mean)
    fold = min(folds)
    what = "over seeds and" if len(runs) > 1 else "one run, over"
    estimate = two_way_of_fold(runs, fold, size.cases[fold])
    if estimate is None:
        return Analysis(mean, None, "none", f"the metric is undefined without one of the {size.unit}")
    if estimate.error < ROUNDING:
        return Analysis(mean, replace(estimate, variance=0.0), "none", _without_spread(runs, size))
    model = "two-way random effects, " if len(runs) > 1 else ""
    return Analysis(mean, estimate, f"{model}{what} {size.unit}")


def _without_spread(runs: Mapping[Key, PseudoValues], size: ScoredRuns) -> str:
    return f"the {'runs' if len(runs) > 1 else size.unit} do not vary"


def _views(runs: Mapping[Key, PseudoValues]) -> dict[str, dict[Key, PseudoValues]]:
    """The networks of several folds, all judged on the same cases: folds x seeds x cases, fully crossed.

    Networks of one fold share a training side, those of one seed their initial weights. With the other factor averaged
    out, each is the row of a two-way analysis, and so is the single run; the widest interval counts.
    """
    views = {"folds": averaged(runs, over="seeds"), "seeds": averaged(runs, over="folds"), "runs": in_a_row(runs)}
    return {rows: view for rows, view in views.items() if len(view) > 1}


def _rows(views: Mapping[str, object]) -> str:
    return "folds, seeds or runs (the widest)" if "seeds" in views else "folds"


def _of_view(size: ScoredRuns) -> ScoredRuns:
    return replace(size, cases={0: min(size.cases.values())})


def _on_shared(runs: Mapping[Key, PseudoValues], size: ScoredRuns, mean: float) -> Analysis:
    cases = min(size.cases.values())
    views = _views(runs)
    found = {rows: two_way_of_fold(view, 0, cases) for rows, view in views.items()}
    estimate = most_cautious(list(found.values()), mean)
    if estimate is None:
        return Analysis(mean, None, "none", f"the metric is undefined without one of the {size.unit}")
    if estimate.variance == 0:
        return Analysis(mean, estimate, "none", "the runs do not vary")
    widest = max((rows for rows, each in found.items() if each is not None), key=lambda rows: found[rows].reach())  # type: ignore[union-attr]
    method = f"two-way random effects, over {_rows(views)} and {size.unit}"
    return Analysis(mean, estimate, method, rows=len(views[widest]))


def _over_folds(
    record: StudyRecord,
    runs: Mapping[Key, PseudoValues],
    folds: Mapping[int, list[float]],
    size: ScoredRuns,
    mean: float,
) -> Analysis:
    if len(folds) < 2:
        return Analysis(mean, None, "none", "only one fold is finished")
    share = validation_share(record, list(folds))
    seed_variance, seed_df = pooled_variance(list(folds.values()))
    means = [float(np.mean(scores)) for scores in folds.values()]
    seeds, cases = len(runs) / len(folds), sum(size.cases[fold] for fold in folds)
    of_folds = corrected_resampled(means, share, seed_variance, seeds, seed_df)
    parts = [two_way_of_fold(runs, fold, size.cases[fold]) for fold in folds]
    within = _mean_components(parts)
    estimate = most_cautious([of_folds, _of_cases(mean, parts, within, seeds, cases)], mean)
    assert estimate is not None
    if estimate.variance == 0:
        return Analysis(mean, estimate, "none", "the folds do not vary")
    method = "corrected resampled t over folds"
    if np.ptp(means) < ROUNDING:
        method = f"{size.unit} within folds, as the folds agree exactly"
    return Analysis(mean, estimate, method, within=within)


def _of_cases(
    mean: float, parts: Sequence[Estimate | None], within: Components | None, seeds: float, cases: int
) -> Estimate | None:
    """What the cases alone give, which is never undercut: three folds sometimes agree by luck."""
    if within is None:
        return None
    df = df_of_sum([(each.components.case, each.sources[-1][1]) for each in parts if each and each.components])
    return Estimate(mean, replace(within, seed=None).of_mean(seeds, cases), ((1.0, max(1.0, df)),))


def _mean_components(parts: Sequence[Estimate | None]) -> Components | None:
    found = [part.components for part in parts if part is not None and part.components is not None]
    if len(found) < len(parts):
        return None
    seeds = [part.seed for part in found if part.seed is not None]
    return Components(
        seed=float(np.mean(seeds)) if len(seeds) == len(found) else None,
        case=float(np.mean([part.case for part in found])),
        residual=float(np.mean([part.residual for part in found])),
    )


def _inside(
    metric: Metric, estimate: Estimate | Candidates | None, size: ScoredRuns
) -> tuple[float | None, float | None]:
    """The interval, drawn on a scale without bounds (delta method), so that it stays where the metric can be."""
    if estimate is None:
        return None, None
    if estimate.variance == 0:
        return _all_right_or_wrong(metric, estimate.value, size)
    forward, slope, back = _scale(metric, estimate.value)
    reach = estimate.reach() * slope
    if not np.isfinite(reach):
        return None, None
    return back(forward - reach), back(forward + reach)


def _scale(metric: Metric, value: float) -> tuple[float, float, Callable[[float], float]]:
    """The value on the unbounded scale, the slope there, and the way back."""
    match metric.low, metric.high:
        case None, None:
            return value, 1.0, float
        case 0, None if value > 0:
            return float(np.log(value)), 1 / value, lambda x: float(np.exp(x))
        case 0, 1 if 0 < value < 1:
            return float(np.log(value / (1 - value))), 1 / (value * (1 - value)), lambda x: float(1 / (1 + np.exp(-x)))
        case -1, 1 if abs(value) < 1:
            return float(np.arctanh(value)), 1 / (1 - value**2), lambda x: float(np.tanh(x))
    return value, np.inf, float


def _all_right_or_wrong(metric: Metric, value: float, size: ScoredRuns) -> tuple[float | None, float | None]:
    """Clopper and Pearson's (1934) bound where every case of every run is right, or wrong; None for other metrics."""
    if metric.share_of is None or value not in (0.0, 1.0):
        return None, None
    sizes = {"cases": size.cases, "positives": size.positives, "negatives": size.negatives}
    count = size.count(sizes[metric.share_of], by_fold(size.runs))
    bound = (LEVEL / 2) ** (1 / count)
    return (bound, 1.0) if value == 1 else (0.0, 1 - bound)
