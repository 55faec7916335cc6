"""The runs of the arms, scored case by case and lined up by fold and seed."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

from diascope.compare.estimate import Components, Estimate, Floats
from diascope.compare.jackknife import PseudoValues, pseudo_values
from diascope.compare.scoring import VALIDATION, Place, judged_runs
from diascope.compare.two_way import two_way
from diascope.core.errors import RunError
from diascope.runs.record import RunRecord, StudyRecord, predicted_classes

Unit = Literal["images", "groups"]
Key = tuple[int, int]  # fold, seed


@dataclass(frozen=True, eq=False)
class Predictions:
    """One run on one side: labels (N,), probabilities (N, K) in the study's class order, case of each image (N,)."""

    labels: NDArray[np.int64]
    probabilities: Floats
    cases: NDArray[np.int64]
    unit: Unit


@dataclass(frozen=True, eq=False)
class ScoredRuns:
    """The finished runs of one arm by (fold, seed), with the size of what they were judged on."""

    runs: Mapping[Key, PseudoValues]
    undefined: tuple[Key, ...]  # finished runs whose score is undefined
    images: Mapping[int, int]  # of each fold
    cases: Mapping[int, int]
    positives: Mapping[int, int]  # cases with an image of the positive class
    negatives: Mapping[int, int]  # cases with an image of another
    unit: Unit
    shared: bool = False  # every fold is judged on the same cases: those of the test side
    largest: Mapping[int, int] = field(default_factory=dict)  # images of each fold's largest case

    @property
    def dominating(self) -> float:
        """The share of all images that the largest case holds."""
        return max(self.largest.values(), default=0) / max(1, self.count(self.images, self.images))

    def count(self, sizes: Mapping[int, int], folds: Iterable[int]) -> int:
        """Of images or cases: those of all these folds, each counted once."""
        found = [sizes[fold] for fold in folds]
        return max(found, default=0) if self.shared else sum(found)


def load_predictions(record: StudyRecord, run: RunRecord, place: Place = VALIDATION) -> Predictions:
    """A finished run's predictions, in the order of their paths; RunError if they are missing or do not fit.

    They are kept with the run, as its table is: every metric asks for them.
    """
    kept = _kept(run)
    if place not in kept:
        kept[place] = _read_predictions(record, run, place)
    return kept[place]


def preload_predictions(run: RunRecord, place: Place, found: Predictions) -> None:
    """Give a run predictions that come from elsewhere than its folder."""
    _kept(run)[place] = found


def _kept(run: RunRecord) -> dict[Place, Predictions]:
    found: dict[Place, Predictions] = vars(run).setdefault("_predictions_by_place", {})
    return found


def _read_predictions(record: StudyRecord, run: RunRecord, place: Place) -> Predictions:
    table, classes = run.predictions, record.classes
    where, remedy = str(run.folder / "predictions.csv"), f"delete the folder {run.folder} and run the study again"
    if set(predicted_classes(table)) != set(classes):
        found = ", ".join(predicted_classes(table))
        raise RunError(f"its classes are {found}, the study's are {', '.join(classes)}", where=where, remedy=remedy)
    rows: Any = table[(table["checkpoint"] == place.checkpoint) & (table["side"] == place.side)].sort_values("path")
    _refuse_other_images(record, run, place.side, rows["path"].tolist(), where, remedy)
    numbers = {name: number for number, name in enumerate(classes)}
    alone = rows["group"] == ""
    _, cases = np.unique((rows["group"].where(~alone, "image " + rows["path"])).to_numpy(str), return_inverse=True)
    labels = np.array([numbers[label] for label in rows["label"]], dtype=np.int64)
    probabilities = rows[[f"p_{name}" for name in classes]].to_numpy(dtype=np.float64)
    return Predictions(labels, probabilities, cases.astype(np.int64), "images" if alone.all() else "groups")


def score_runs(record: StudyRecord, arm: str, metric: str, place: Place = VALIDATION) -> ScoredRuns:
    """Every finished run of an arm; on the test side every one that was judged there."""
    positive = record.classes.index(record.positive)
    runs: dict[Key, PseudoValues] = {}
    undefined: list[Key] = []
    sizes: dict[int, tuple[int, int, int, int, int]] = {}
    unit: Unit = "images"
    for run in judged_runs(record.runs_of(arm), place):
        found = load_predictions(record, run, place)
        unit = "groups" if "groups" in (unit, found.unit) else "images"
        sizes[run.fold] = _sizes(found, positive)
        scored = pseudo_values(metric, found.labels, found.probabilities, positive, found.cases)
        if scored is None:
            undefined.append((run.fold, run.seed))
        else:
            runs[run.fold, run.seed] = scored
    images, cases, positives, negatives, largest = ({fold: size[k] for fold, size in sizes.items()} for k in range(5))
    shared = place.side == "test"
    return ScoredRuns(runs, tuple(undefined), images, cases, positives, negatives, unit, shared, largest)


def _sizes(found: Predictions, positive: int) -> tuple[int, int, int, int, int]:
    """Images, cases, cases with a positive image, cases with a negative one, images of the largest case."""
    is_positive = found.labels == positive
    of_case = np.bincount(found.cases)
    positives = np.bincount(found.cases, is_positive, len(of_case))
    with_positive, with_negative = int((positives > 0).sum()), int((positives < of_case).sum())
    return len(found.labels), len(of_case), with_positive, with_negative, int(of_case.max())


def shared(arm: ScoredRuns, against: ScoredRuns) -> tuple[Key, ...]:
    """The folds and seeds that are finished and defined in both."""
    return tuple(sorted(arm.runs.keys() & against.runs.keys()))


def differences(arm: ScoredRuns, against: ScoredRuns) -> dict[Key, PseudoValues]:
    """Arm minus against, run by run and case by case."""
    return {key: _minus(arm.runs[key], against.runs[key]) for key in shared(arm, against)}


def matrix(runs: Mapping[Key, PseudoValues], fold: int) -> Floats | None:
    """Pseudo-values (S, N) of one fold; None where a score cannot do without one of its cases."""
    rows = [run.values for (of_fold, _), run in sorted(runs.items()) if of_fold == fold]
    defined = [row for row in rows if row is not None]
    return np.stack(defined) if rows and len(defined) == len(rows) else None


def two_way_of_fold(runs: Mapping[Key, PseudoValues], fold: int, cases: int) -> Estimate | None:
    """The two-way analysis of one fold, its components for single cases also where blocks of cases were left out."""
    values = matrix(runs, fold)
    if values is None:
        return None
    strata = next(run.strata for (of_fold, _), run in runs.items() if of_fold == fold)
    case_df = None if strata is None else strata.df(values.mean(axis=0))
    found, scale = two_way(values, case_df), cases / values.shape[1]
    components = found.components
    if components is None or scale == 1:
        return found
    scaled = Components(components.seed, components.case * scale, components.residual * scale)
    return Estimate(found.value, found.variance, found.sources, scaled)


def averaged(runs: Mapping[Key, PseudoValues], *, over: Literal["seeds", "folds"]) -> dict[Key, PseudoValues]:
    """The mean over the seeds of each fold, or over the folds of each seed, as runs of one fold: (0, number)."""
    members: dict[int, list[PseudoValues]] = {}
    for (fold, seed), run in sorted(runs.items()):
        members.setdefault(fold if over == "seeds" else seed, []).append(run)
    return {(0, number): _mean(found) for number, found in members.items()}


def in_a_row(runs: Mapping[Key, PseudoValues]) -> dict[Key, PseudoValues]:
    """All runs as if they were of one fold."""
    return {(0, number): run for number, (_, run) in enumerate(sorted(runs.items()))}


def _mean(runs: list[PseudoValues]) -> PseudoValues:
    values = [run.values for run in runs if run.values is not None]
    score = float(np.mean([run.score for run in runs]))
    return PseudoValues(score, np.mean(values, axis=0) if len(values) == len(runs) else None, runs[0].strata)


def by_fold(runs: Mapping[Key, PseudoValues]) -> dict[int, list[float]]:
    """Scores of each fold, by seed."""
    found: dict[int, list[float]] = {}
    for (fold, _), run in sorted(runs.items()):
        found.setdefault(fold, []).append(run.score)
    return found


def validation_share(record: StudyRecord, folds: list[int]) -> float:
    """n_validation / n_training in images, the mean over folds."""
    sides = [record.folds["folds"][fold] for fold in folds]
    return float(np.mean([len(side["validation"]) / len(side["training"]) for side in sides]))


def _minus(one: PseudoValues, other: PseudoValues) -> PseudoValues:
    both = one.values is not None and other.values is not None
    values = one.values - other.values if both else None  # type: ignore[operator]
    return PseudoValues(one.score - other.score, values, one.strata)


def _refuse_other_images(
    record: StudyRecord, run: RunRecord, side: str, paths: list[str], where: str, remedy: str
) -> None:
    if not paths:
        raise RunError(f"it holds no prediction of the {side} side", where=where, remedy=remedy)
    fold = record.folds["folds"][run.fold]
    wanted = sorted(fold[side] if side in fold else record.folds.get(side, []))
    if paths != wanted:
        what = f"its {len(paths):,} {side} images are not the {len(wanted):,} of folds.json"
        raise RunError(what, where=where, remedy=remedy)
