"""What the learning curves of one run say, each reading with its formula."""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from diascope.compare.curves.trend import Curve, Trend, end_trend, tail_length
from diascope.compare.curves.turning import convergence_epoch, falls, overfitting_epoch, still_falls

if TYPE_CHECKING:
    from pandas import DataFrame

ROUNDING = 1e-9  # a mean of equal accuracies may lie one rounding error above them
FEWEST_STEPS = 3  # epoch-to-epoch changes that a roughness needs


@dataclass(frozen=True)
class Reading:
    """The curves of one run of `epochs` epochs. Epochs count from 1; losses are in nats, accuracies in 0 to 1.

    A milestone (epochs_to_target, convergence_*, overfitting) that is None did not come within the run: it is
    censored, not missing. Whether the run could have shown it at all says `tells`.
    """

    epochs: int
    target: float | None  # the training accuracy that epochs_to_target asks for
    epochs_to_target: int | None  # the first epoch whose training accuracy is at least the target
    fell_validation: bool | None  # whether validation loss fell at all, see turning.falls; None: too short
    fell_training: bool | None
    convergence_validation: int | None  # see turning.convergence_epoch
    convergence_training: int | None
    overfitting: int | None  # see turning.overfitting_epoch
    best_epoch: int  # lowest validation loss, first on ties
    trend_validation_loss: Trend | None  # slope of the last fifth, see trend.end_trend; None: fewer than 21 epochs
    trend_validation_accuracy: Trend | None
    trend_training_loss: Trend | None
    improving: dict[str, bool | None]  # per curve: whether its last fifth surely improves, see turning.still_falls
    final_training_accuracy: float  # at the last epoch, the running mean with dropout
    final_validation_loss: float
    final_validation_accuracy: float
    gap_loss: float  # last epoch: validation loss minus evaluation-mode training loss
    gap_accuracy: float  # last epoch: evaluation-mode training accuracy minus validation accuracy
    roughness_loss: float | None  # SD (n - 1) of validation loss' change from one epoch to the next, over the last half
    roughness_accuracy: float | None  # the same of validation accuracy

    @property
    def long_enough(self) -> bool:
        """Whether the last fifth has the five epochs that convergence, overfitting and slopes are judged by."""
        return tail_length(self.epochs) is not None

    def tells(self, name: str) -> bool:
        """Whether the run tells the reading `name`, be it as "not within its epochs".

        A milestone needs 21 epochs, epochs_to_target a target, and convergence a loss that fell.
        """
        if name == "epochs_to_target":
            return self.target is not None
        if name.startswith("convergence_"):
            return getattr(self, name.replace("convergence", "fell")) is True
        return self.long_enough if name == "overfitting" else getattr(self, name) is not None

    @property
    def still_improving(self) -> bool | None:
        """Whether validation loss still falls at the end, so that the run does not show where it would end."""
        return self.improving["validation_loss"]


def read_curves(history: "DataFrame", target: float | None = None) -> Reading:
    """Read a history (E rows, E >= 1, no NaN) with the columns of RunRecord.history; ValueError if it is empty."""
    if len(history) == 0:
        raise ValueError("a history without epochs has no curves to read")
    curves = {str(name): history[name].to_numpy(dtype=np.float64) for name in history}
    validation, training = curves["validation_loss"], curves["training_eval_loss"]
    return Reading(
        epochs=len(history),
        target=target,
        epochs_to_target=None if target is None else _first_at_least(curves["training_accuracy"], target),
        fell_validation=falls(validation),
        fell_training=falls(curves["training_loss"]),
        convergence_validation=convergence_epoch(validation),
        convergence_training=convergence_epoch(curves["training_loss"]),
        overfitting=overfitting_epoch(training, validation),
        best_epoch=int(np.argmin(validation)) + 1,
        trend_validation_loss=end_trend(validation),
        trend_validation_accuracy=end_trend(curves["validation_accuracy"]),
        trend_training_loss=end_trend(curves["training_loss"]),
        improving={
            "validation_loss": still_falls(validation),
            "validation_accuracy": still_falls(-curves["validation_accuracy"]),
            "training_loss": still_falls(curves["training_loss"]),
        },
        final_training_accuracy=float(curves["training_accuracy"][-1]),
        final_validation_loss=float(validation[-1]),
        final_validation_accuracy=float(curves["validation_accuracy"][-1]),
        gap_loss=float(validation[-1] - training[-1]),
        gap_accuracy=float(curves["training_eval_accuracy"][-1] - curves["validation_accuracy"][-1]),
        roughness_loss=_roughness(validation),
        roughness_accuracy=_roughness(curves["validation_accuracy"]),
    )


def _first_at_least(values: Curve, target: float) -> int | None:
    reached = np.flatnonzero(values >= target - ROUNDING)
    return int(reached[0]) + 1 if len(reached) else None


def _roughness(values: Curve) -> float | None:
    """Of the last half: the first epochs' learning would pass for noise. None with fewer than three changes."""
    steps = np.diff(values)[len(values) // 2 :]
    return float(steps.std(ddof=1)) if len(steps) >= FEWEST_STEPS else None
