"""The learning rate of every step: a function of the step alone, but for plateaus, which are counted as they come."""

from dataclasses import asdict, dataclass
from math import cos, inf, pi
from typing import Any

from diascope.config import TrainingConfig
from diascope.config.training import Cosine, Exponential, OneCycle, Plateau, Step


def learning_rate(config: TrainingConfig, epoch: int, step: int = 0, steps: int = 1, *, cuts: int = 0) -> float:
    """The rate of step 0, 1, ... of `steps` in epoch 0, 1, ...; `cuts` counts a plateau schedule's reductions so far.

    Only the schedules with a horizon change within an epoch, and look at `steps` and `config.epochs`.
    """
    return config.learning_rate * _share(config, epoch, step, steps, cuts)


def _share(config: TrainingConfig, epoch: int, step: int, steps: int, cuts: int) -> float:
    """The rate as a share of config.learning_rate."""
    match config.schedule:
        case Step(every=every, factor=factor):
            return factor ** (epoch // every)
        case Exponential(factor=factor):
            return factor**epoch
        case Plateau(factor=factor, minimum=minimum):
            return max(factor**cuts, minimum)
        case Cosine() as schedule:
            return _cosine(schedule, epoch * steps + step, config.epochs * steps, steps)
        case OneCycle() as schedule:
            return _one_cycle(schedule, epoch * steps + step, config.epochs * steps)
    return 1.0


def _cosine(schedule: Cosine, step: int, total: int, steps: int) -> float:
    """Step 0, 1, ... of `total`: the first already learns, and the last of the warm-up reaches the full rate.

    After it as Loshchilov and Hutter 2017, without restarts; the step after the last one would be at the minimum.
    """
    warmup = schedule.warmup * steps
    if step < warmup:
        return min(1.0, (step + 1) / warmup)
    return _between(1.0, schedule.minimum, (step - warmup) / (total - warmup))


def _one_cycle(schedule: OneCycle, step: int, total: int) -> float:
    """Step 0, 1, ... of `total`: half a cosine up to 1, half a cosine down to the end at the last step (Smith 2018)."""
    peak, last = max(0.0, schedule.rise * total - 1), total - 1
    if step < peak:
        return _between(schedule.start, 1.0, step / peak)
    return _between(1.0, schedule.start * schedule.end, (step - peak) / (last - peak) if last > peak else 0.0)


def _between(start: float, end: float, share: float) -> float:
    """From `start` to `end` along half a cosine."""
    return end + (start - end) * (1 + cos(pi * share)) / 2


@dataclass
class PlateauCounter:
    """How often the validation loss has stopped falling, so that the rate was cut; what a checkpoint keeps of it."""

    best: float = inf
    waited: int = 0  # epochs since the best one, or since the last cut
    cuts: int = 0

    def note(self, loss: float, schedule: Plateau) -> None:
        """Count an epoch. NaN is no improvement."""
        if loss < self.best - schedule.min_delta:
            self.best, self.waited = loss, 0
            return
        self.waited += 1
        if self.waited > schedule.patience:
            self.cuts, self.waited = self.cuts + 1, 0

    def state_dict(self) -> dict[str, Any]:
        return asdict(self)
