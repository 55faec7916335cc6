"""What every metric is computed from: labels, probabilities, the positive class and the threshold, checked once."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

Labels = NDArray[np.integer[Any]]
Probabilities = NDArray[np.floating[Any]]
Flags = NDArray[np.bool_]
Reals = NDArray[np.floating[Any]]
Counts = NDArray[np.int64]
Scores = dict[str, float | None]
Groups = Sequence[str] | Sequence[int] | NDArray[Any]


@dataclass(frozen=True)
class Judged:
    """Images (N,) of K classes with what a classifier said of them; `checked` makes them."""

    labels: Labels
    probabilities: Probabilities
    positive: int
    threshold: float

    @property
    def classes(self) -> int:
        return int(self.probabilities.shape[1])

    @property
    def against_rest(self) -> Sequence[int]:
        """The classes that a metric of one class against the rest is about: the positive of two, all of more."""
        return [self.positive] if self.classes == 2 else range(self.classes)

    def ranked(self, class_number: int) -> tuple[Flags, Probabilities]:
        """Whether images are of a class, and its probability, (N,) each."""
        return self.labels == class_number, self.probabilities[:, class_number]

    @cached_property
    def predicted(self) -> Counts:
        return predicted_classes(self.probabilities, self.positive, self.threshold)

    @cached_property
    def confusion(self) -> Counts:
        """Counts (K, K): row = true class, column = predicted class."""
        cells = self.labels * self.classes + self.predicted
        return np.bincount(cells, minlength=self.classes**2).reshape(self.classes, -1).astype(np.int64)


def checked(labels: Labels, probabilities: Probabilities, positive: int, threshold: float = 0.5) -> Judged:
    """The arguments together; ValueError for arrays that do not fit one another."""
    labels, probabilities = np.asarray(labels), np.asarray(probabilities)
    if probabilities.ndim != 2 or labels.shape != probabilities.shape[:1]:
        raise ValueError(f"labels {labels.shape} and probabilities {probabilities.shape} are not (N,) and (N, K)")
    classes = probabilities.shape[1]
    if classes < 2 or not 0 <= positive < classes:
        raise ValueError(f"class {positive} cannot be the positive one of {classes}")
    if len(labels) and not (labels.min() >= 0 and labels.max() < classes):
        raise ValueError(f"labels lie outside 0 to {classes - 1}")
    if not np.isfinite(probabilities).all():
        raise ValueError("probabilities are not all finite")
    return Judged(labels, probabilities, positive, threshold)


def predicted_classes(probabilities: Probabilities, positive: int, threshold: float = 0.5) -> Counts:
    """(N, K) -> (N,) class numbers. Of two classes the positive one needs strictly more than the threshold, as in
    Keras' binary accuracy; of more, the largest probability wins and the first class wins ties."""
    if probabilities.shape[1] == 2:
        return np.where(probabilities[:, positive] > threshold, positive, 1 - positive).astype(np.int64)
    largest: Counts = np.argmax(probabilities, axis=1).astype(np.int64)
    return largest


def group_numbers(groups: Groups, images: int) -> Counts:
    """Names of groups (N,) -> their numbers from 0 (N,); ValueError unless there is one an image."""
    named = np.asarray(groups)
    if named.shape != (images,):
        raise ValueError(f"groups {named.shape} do not name one group for each of {images} images")
    return np.unique(named, return_inverse=True)[1].astype(np.int64)
