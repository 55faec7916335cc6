"""What a trial is judged by: the study's metric on inner folds that are made of the training side alone.

Of the outer fold 0 the validation side, and the test side, are on no side of any inner fold: no trial learns from them,
is watched on them, or is chosen by them.
"""

from dataclasses import replace
from pathlib import Path

import numpy as np

from diascope.compare.primary import Primary, primary_metric
from diascope.compare.scoring import evaluate
from diascope.config import SearchConfig, SplitConfig, canonical_json
from diascope.core.errors import DataError
from diascope.data.cache import ImageCache
from diascope.data.index import ImageIndex
from diascope.data.split import Fold, Folds, make_folds
from diascope.engine import RunTask
from diascope.metrics import REGISTRY
from diascope.runs.record import RunRecord
from diascope.study.images import Images, OnUnreadable, Progress, read_images
from diascope.study.plan import plan
from diascope.study.tuning.space import Values, name_of, overridden, vary
from diascope.studyfile import Study


class Objective:
    """Turns the values of a trial into its tasks, one an inner fold, and a finished task into its score."""

    def __init__(self, study: Study, search: SearchConfig, images: Images, folder: Path) -> None:
        """`folder` is where the runs of the trials go. Raises DataError where the training side is too small."""
        self.primary = outer_primary(study, images)
        self._study, self._search, self._folder = study, search, folder
        self._images, self._inner = images, inner_folds(images, search)
        self._caches: dict[str, ImageCache] = {
            canonical_json(arm.data): images.caches[arm.name] for arm in study.arms
        }  # by what the network gets to see of the images
        self._classes, self._positive = images.index.classes, images.index.positive

    @property
    def lower_is_better(self) -> bool:
        return REGISTRY[self.primary.metric].lower_is_better

    def tasks(
        self, values: Values, *, on_unreadable: OnUnreadable = "error", progress: Progress | None = None
    ) -> list[RunTask]:
        """A task an inner fold, in order. Raises ConfigError for values that do not fit together."""
        name = name_of(values)
        varied = vary(self._study, {name: overridden(self._study, values)})
        cache = self._cache(varied, on_unreadable, progress)
        split = SplitConfig(kind="kfold", folds=self._search.folds, seed=self._search.seed)
        config = varied.config.model_copy(update={"split": split, "seeds": (self._search.seed,)})
        index = self._images.index
        images = Images(index, self._inner, {name: cache}, {name: index}, [])
        cells = plan(replace(varied, config=config), images, self._folder)
        return [replace(cell.task, folder=self._folder / name / cell.task.folder.name) for cell in cells]

    def _cache(self, varied: Study, on_unreadable: OnUnreadable, progress: Progress | None) -> ImageCache:
        view = canonical_json(varied.arms[0].data)
        if view not in self._caches:  # a size of the images, say, that no trial had before
            read = read_images(varied, on_unreadable=on_unreadable, progress=progress)
            self._caches[view] = read.caches[varied.arms[0].name]
        return self._caches[view]

    def score(self, task: RunTask) -> float | None:
        """The metric on the task's inner validation side after its last epoch; None where it is undefined."""
        run = RunRecord(task.arm, task.config.fold, task.config.seed, task.folder)
        return evaluate(run, "last", self._classes, self._positive).scores[self.primary.metric]


def inner_folds(images: Images, search: SearchConfig) -> Folds:
    """Folds of the training side of the outer fold 0, by group and stratified, as row numbers of the whole index."""
    rows = images.folds.folds[0].training
    split = SplitConfig(kind="kfold", folds=search.folds, seed=search.seed)
    try:
        inside = make_folds(images.index.subset(rows), split)
    except DataError as error:
        what = f"search.folds {search.folds}, made of the training side: {error.what}"
        raise DataError(what, where=error.where, remedy="choose fewer search.folds, or add images") from error
    folds = tuple(Fold(rows[fold.training], rows[fold.validation]) for fold in inside.folds)
    return Folds("kfold", folds, np.array([], dtype=np.int64), images.index.paths)


def outer_primary(study: Study, images: Images) -> Primary:
    """The metric that leads the report of the study, by the same rule."""
    return primary_metric(study.config.compare, _per_class(images.index, images.folds.folds[0]))


def _per_class(index: ImageIndex, fold: Fold) -> dict[str, int]:
    labels = index.labels[np.concatenate([fold.training, fold.validation])]
    counts = np.bincount(labels, minlength=len(index.classes)).tolist()
    return dict(zip(index.classes, counts, strict=True))
