"""Studies in memory, drawn from worlds whose truth is known, for benchmarks that call the shipped judges.

    record = draw(World(seeds=5, prevalence=0.1), np.random.default_rng(0))
    compare_arms(record, "balanced_accuracy"), arm_intervals(record, "a", ["auroc"])
    truth(World(seeds=5, prevalence=0.1), "auroc")

Everything behind the reading of predictions.csv is Diascope's own code. Run r of arm a on image i of class y has

    latent = m_y + run_ar + bias_ar (+1 if y is positive, else -1) + training_aj
             + difficulty_i + taste_ai + noise_ari,        all normal and independent

and gives the true class the probability 1 / (1 + exp(-latent)):
- difficulty is shared by the arms; taste (arm x image) makes arms right on different images, not more often;
- run is the luck of a seed, bias moves its threshold: both are given as the SD of the accuracy over all images;
- training (kfold) is what the training set of fold j does for an arm: a sum over the blocks of data that the fold is
  trained on, so that two folds share as much of it as of their training sets. With one training side there is none:
  the truth is about this training set;
- images of a group share their label and three quarters of the variance of difficulty and taste.
"""

from dataclasses import dataclass, replace
from functools import cache, cached_property
from pathlib import Path
from typing import Literal

import numpy as np
from numpy.typing import NDArray
from scipy import stats

from diascope.compare.pairs import Predictions, preload_predictions
from diascope.compare.scoring import VALIDATION, Place
from diascope.runs.folder import run_path
from diascope.runs.record import RunRecord, State, StudyRecord
from diascope.studyfile import Study, parse_study

Floats = NDArray[np.float64]
Grouping = Literal["images", "unequal", "dominating"]

TASTE = 0.7  # SD
IN_GROUP = 0.75  # share of the variance of difficulty and taste that the images of a group have in common
MEAN_SLOPE = float(stats.norm.pdf(stats.norm.ppf(0.8)))  # of an accuracy of 0.8, by the latent scale's total SD
CLASSES = ("negative", "positive")
TEST = Place("test", "last")


@dataclass(frozen=True)
class World:
    """`difference` of the arms' accuracies, b minus a; `accuracy` in negative and positive images; SDs of accuracy.

    `images`: of the validation side, or of the whole cross-validation.
    """

    kind: Literal["given", "holdout", "kfold"] = "given"
    folds: int = 1
    seeds: int = 3
    images: int = 200
    prevalence: float = 0.5
    accuracy: tuple[float, float] = (0.8, 0.8)
    difference: float = 0.0
    run_sd: float = 0.015
    bias_sd: float = 0.0
    taste: bool = True
    difficulty: float = 1.5  # SD; the noise of a run has 1
    training_sd: float = 0.0
    groups: Grouping = "images"
    arms: tuple[str, ...] = ("a", "b")
    dominating: float = 0.6  # the share of the images that one group holds, where groups are so
    test: bool = False  # kfold: every network is judged on one more set of `images`

    @property
    def name(self) -> str:
        split = f"{self.folds} folds" if self.kind == "kfold" else self.kind
        parts = [split + " on one test side" * self.test, f"{self.seeds} seed{'s' * (self.seeds > 1)}"]
        parts += [f"{self.images:,} images", f"{100 * self.prevalence:g}% positive", f"run {self.run_sd:g}"]
        parts += [f"threshold {self.bias_sd:g}"] * (self.bias_sd > 0)
        parts += [f"training {self.training_sd:g}"] * (self.training_sd > 0)
        parts += [f"groups {self.groups}" + f" {self.dominating:g}" * (self.groups == "dominating")] * (
            self.groups != "images"
        )
        parts += [f"difficulty {self.difficulty:g}"] * (self.difficulty != 1.5)
        return ", ".join(parts + ["same images hard"] * (not self.taste))

    @property
    def total_sd(self) -> float:
        """Of the latent scale within one run."""
        return float(np.sqrt(self.difficulty**2 + (TASTE * self.taste) ** 2 + 1))

    def latent_sd(self, of_accuracy: float) -> float:
        return of_accuracy / MEAN_SLOPE * self.total_sd

    @property
    def whole_sd(self) -> float:
        """Of the latent scale over images, runs and training sets."""
        between = (self.run_sd, self.bias_sd, self.training_sd if self.kind == "kfold" else 0.0)
        return float(np.sqrt(self.total_sd**2 + sum(self.latent_sd(sd) ** 2 for sd in between)))

    def means(self, arm: int) -> Floats:
        """Of the latent scale, for negative and positive images."""
        shift = self.difference / 2 * (1 if arm else -1)
        found: Floats = stats.norm.ppf(np.array(self.accuracy) + shift) * self.whole_sd
        return found


class SimulatedRun(RunRecord):
    """A finished run without a folder."""

    @property
    def state(self) -> State:
        return "done"

    @cached_property
    def predictions(self):  # type: ignore[no-untyped-def]
        """Where it was judged; the probabilities themselves were preloaded."""
        import pandas as pd

        places = vars(self)["places"]
        return pd.DataFrame({"checkpoint": [p.checkpoint for p in places], "side": [p.side for p in places]})


class SimulatedStudy(StudyRecord):
    """A study without a folder."""

    def __init__(self, study: Study, folds: dict, runs: tuple[RunRecord, ...]) -> None:
        self.folder = Path("simulated")
        vars(self).update(_loaded=study, folds=folds, runs=runs, classes=CLASSES, index=None)


def draw(world: World, random: np.random.Generator) -> StudyRecord:
    """One study of the world."""
    labels, groups, side = _images(world, random)
    judged = [np.flatnonzero(side == fold) for fold in range(world.folds)]
    means = np.stack([world.means(arm) for arm in range(len(world.arms))])
    run_sd, bias_sd = world.latent_sd(world.run_sd), world.latent_sd(world.bias_sd)
    shape = (len(world.arms), world.folds, world.seeds)
    run, bias = run_sd * random.standard_normal(shape), bias_sd * random.standard_normal(shape)
    if world.kind == "kfold":
        run = run + world.latent_sd(world.training_sd) * _of_training(shape, random)[..., None]
    own = _of_images(world, groups, random)
    on_test = _images(replace(world, kind="given", folds=1), random)[:2] if world.test else None
    own_test = _of_images(world, on_test[1], random) if on_test else None
    runs = []
    for a, arm in enumerate(world.arms):
        for fold in range(world.folds):
            for seed in range(world.seeds):
                luck, moved = run[a, fold, seed], bias[a, fold, seed]
                inside = judged[fold]
                found = {
                    VALIDATION: _predict(
                        labels[inside], own[a, inside], groups[inside], means[a] + luck, moved, world, random
                    )
                }
                if on_test is not None and own_test is not None:
                    found[TEST] = _predict(on_test[0], own_test[a], on_test[1], means[a] + luck, moved, world, random)
                runs.append(_run(arm, fold, seed, found))
    everything = list(range(len(labels)))
    folds = [
        {"training": np.setdiff1d(everything, inside).tolist() or everything * 4, "validation": inside.tolist()}
        for inside in judged
    ]
    return SimulatedStudy(_study(world), {"kind": world.kind, "folds": folds}, tuple(runs))


def first_seeds(record: StudyRecord, seeds: int) -> StudyRecord:
    """The study as it was when only so many seeds were trained."""
    loaded = record._loaded
    config = loaded.config.model_copy(update={"seeds": tuple(range(seeds))})
    runs = tuple(run for run in record.runs if run.seed < seeds)
    return SimulatedStudy(replace(loaded, config=config), record.folds, runs)


def truth(world: World, metric: str, arm: int = 0) -> float:
    """The metric's mean over runs (and training sets) in the whole population, by quadrature."""
    between = world.latent_sd(world.run_sd) ** 2
    between += world.latent_sd(world.training_sd) ** 2 if world.kind == "kfold" else 0.0
    negative, positive = world.means(arm)
    points, weights = np.polynomial.hermite_e.hermegauss(41)
    weights = weights / weights.sum()
    share = world.prevalence
    if metric in ("loss", "brier"):
        latent = world.whole_sd * np.linspace(-9, 9, 20_001)
        density = stats.norm.pdf(latent / world.whole_sd) / world.whole_sd
        each = (lambda x: np.logaddexp(0, -x)) if metric == "loss" else (lambda x: 1 / (1 + np.exp(x)) ** 2)
        of_class = [float(np.trapezoid(density * each(latent + m), latent)) for m in (negative, positive)]
        return (1 - share) * of_class[0] + share * of_class[1]
    run = (np.sqrt(between) * points)[:, None]
    bias = (world.latent_sd(world.bias_sd) * points)[None]
    sensitivity = stats.norm.cdf((positive + run + bias) / world.total_sd)
    specificity = stats.norm.cdf((negative + run - bias) / world.total_sd)
    tp, fn = share * sensitivity, share * (1 - sensitivity)
    tn, fp = (1 - share) * specificity, (1 - share) * (1 - specificity)
    values = {
        "accuracy": tp + tn,
        "balanced_accuracy": (sensitivity + specificity) / 2,
        "sensitivity": sensitivity,
        "specificity": specificity,
        "auroc": stats.norm.cdf((positive + negative + 2 * run) / (np.sqrt(2) * world.total_sd)) + 0 * bias,
        "f1": 2 * tp / (2 * tp + fp + fn),
        "mcc": (tp * tn - fp * fn) / np.sqrt((tp + fp) * (tp + fn) * (tn + fp) * (tn + fn)),
    }
    return float(weights @ values[metric] @ weights)


def _images(
    world: World, random: np.random.Generator
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.int64]]:
    """Labels, groups and the fold that validates each image; folds are dealt by group, class by class."""
    sizes = _group_sizes(world)
    of_group = (random.random(len(sizes)) < world.prevalence).astype(np.int64)
    dealt = np.empty(len(sizes), dtype=np.int64)
    order = np.concatenate([random.permutation(np.flatnonzero(of_group == label)) for label in (0, 1)])
    dealt[order] = np.arange(len(sizes)) % world.folds
    groups = np.repeat(np.arange(len(sizes)), sizes)
    return of_group[groups], groups, dealt[groups]


def _group_sizes(world: World) -> NDArray[np.int64]:
    if world.groups == "unequal":  # 1, 2, 4, 1, 2, 4, ... images
        sizes = np.resize([1, 2, 4], max(2, round(world.images * 3 / 7)))
        return np.append(sizes, max(1, world.images - sizes.sum()))
    if world.groups == "dominating":
        most = round(world.dominating * world.images)
        return np.append(np.ones(world.images - most, dtype=np.int64), most)
    return np.ones(world.images, dtype=np.int64)


def _of_images(world: World, groups: NDArray[np.int64], random: np.random.Generator) -> Floats:
    """Difficulty and taste, (arms, images)."""

    def normal(rows: int) -> Floats:
        alone = random.standard_normal((rows, len(groups)))
        if world.groups == "images":
            return alone
        together = random.standard_normal((rows, int(groups.max()) + 1))[:, groups]
        return np.sqrt(1 - IN_GROUP) * alone + np.sqrt(IN_GROUP) * together

    return world.difficulty * normal(1) + (
        TASTE * normal(len(world.arms)) if world.taste else np.zeros((len(world.arms), 1))
    )


def _of_training(shape: tuple[int, int, int], random: np.random.Generator) -> Floats:
    """(arms, folds), each of variance 1: the sum over the blocks that are not validated."""
    blocks = random.standard_normal(shape[:2])
    found: Floats = (blocks.sum(axis=1, keepdims=True) - blocks) / np.sqrt(shape[1] - 1)
    return found


def _predict(
    labels: NDArray[np.int64],
    own: Floats,
    groups: NDArray[np.int64],
    means: Floats,
    moved: float,
    world: World,
    random: np.random.Generator,
) -> Predictions:
    sign = 2 * labels - 1
    latent = means[labels] + sign * moved + own + random.standard_normal(len(labels))
    positive = 1 / (1 + np.exp(-sign * latent))
    if world.groups == "images":
        return Predictions(labels, np.stack([1 - positive, positive], axis=1), np.arange(len(labels)), "images")
    cases = np.unique(groups, return_inverse=True)[1].astype(np.int64)
    return Predictions(labels, np.stack([1 - positive, positive], axis=1), cases, "groups")


def _run(arm: str, fold: int, seed: int, found: dict[Place, Predictions]) -> RunRecord:
    run = SimulatedRun(arm, fold, seed, run_path(Path("simulated"), arm, fold, seed))
    vars(run).update(places=tuple(found), _identity={"run_id": f"{arm}-{fold}-{seed}", "config": {}})
    for place, predictions in found.items():
        preload_predictions(run, place, predictions)
    return run


@cache
def _study(world: World) -> Study:
    arms = "".join(f"  {arm}: {{model.dropout: 0.{number + 1}}}\n" for number, arm in enumerate(world.arms))
    split = f"{{kind: kfold, folds: {world.folds}}}" if world.kind == "kfold" else f"{{kind: {world.kind}}}"
    text = (
        f"diascope: 1\nname: simulated\ndata: {{source: phantom, classes: [{', '.join(CLASSES)}]}}\n"
        f"split: {split}\nseeds: {world.seeds}\narms:\n{arms}"
    )
    return parse_study(text, [], where="simulated", folder=Path())
