"""TrainingState: everything that a training needs to go on, and that a checkpoint keeps."""

from math import inf
from typing import Any

import torch
from torch import Tensor, nn

from diascope.config import TrainingConfig
from diascope.config.training import Plateau
from diascope.training.optimizers import build_optimizer
from diascope.training.schedules import PlateauCounter, learning_rate
from diascope.training.scores import ValidationScores
from diascope.training.stopping import StoppingCounter, cost


class TrainingState:
    """A model in training: weights, optimizer, epochs done, and a copy of the best weights so far."""

    def __init__(self, model: nn.Module, config: TrainingConfig, *, seed: int, device: torch.device) -> None:
        """Moves `model` to `device`, channels-last. `seed` is the run's: dropout draws from its streams."""
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(config, self.model)
        self.seed, self.device = seed, device
        self.epoch = 0
        self.best_epoch = 0
        self.best_cost = inf  # of the best epoch: its validation loss, or minus the score that early stopping watches
        self.best_weights: dict[str, Tensor] = {}
        self.plateau = PlateauCounter()
        self.stopping = StoppingCounter()

    @property
    def learning_rate(self) -> float:
        """Of the last step, or of the first before there was one."""
        return float(self.optimizer.param_groups[0]["lr"])

    def schedule_step(self, config: TrainingConfig, step: int, steps: int) -> None:
        """Set the learning rate for a step of the epoch to come."""
        rate = learning_rate(config, self.epoch, step, steps, cuts=self.plateau.cuts)
        for group in self.optimizer.param_groups:
            group["lr"] = rate * group.get("rate_share", 1.0)

    def note_validation(self, scores: ValidationScores, config: TrainingConfig) -> None:
        """Take an epoch's scores into account: best weights, plateau, early stopping.

        The best epoch has the lowest validation loss, or the best score that early stopping watches; the first on
        ties, whatever min_delta is. NaN is worse than any number.
        """
        rule = config.early_stopping
        found = cost(scores, rule)
        if self.best_epoch == 0 or found < self.best_cost:
            self.best_epoch, self.best_cost = self.epoch, found
            self.best_weights = _copy(self.model.state_dict())
        if isinstance(config.schedule, Plateau):
            self.plateau.note(scores.loss, config.schedule)
        if rule is not None:
            self.stopping.note(scores, rule)

    def finished(self, config: TrainingConfig) -> bool:
        """Whether all epochs are done, or early stopping has ended the training."""
        rule = config.early_stopping
        return self.epoch >= config.epochs or (rule is not None and self.stopping.ended(rule))

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and containers only: `torch.load(..., weights_only=True)` reads it back."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seed": self.seed,
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_cost": self.best_cost,
            "best_weights": self.best_weights,
            "plateau": self.plateau.state_dict(),
            "stopping": self.stopping.state_dict(),
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to where `saved` was taken; the state must be of the same configuration and seed.

        Raises ValueError, with nothing changed, for a checkpoint of another seed, network, optimizer or version.
        """
        self._check(saved)
        try:
            plateau, stopping = PlateauCounter(**saved["plateau"]), StoppingCounter(**saved["stopping"])
            self.optimizer.load_state_dict(saved["optimizer"])  # checks its groups before it changes anything
        except (TypeError, KeyError) as error:
            raise ValueError(f"the checkpoint counts other things ({error}): another version wrote it") from error
        self.model.load_state_dict(saved["model"])
        self.epoch, self.best_epoch, self.best_cost = saved["epoch"], saved["best_epoch"], saved["best_cost"]
        self.best_weights = {name: tensor.to(self.device).clone() for name, tensor in saved["best_weights"].items()}
        self.plateau, self.stopping = plateau, stopping

    def _check(self, saved: dict[str, Any]) -> None:
        missing = self.state_dict().keys() - saved.keys()
        if missing:
            raise ValueError(f"the checkpoint has no {', '.join(sorted(missing))}: another version wrote it")
        if saved["seed"] != self.seed:
            raise ValueError(f"the checkpoint belongs to seed {saved['seed']}, this run to seed {self.seed}")
        if _shapes(saved["model"]) != _shapes(self.model.state_dict()):
            raise ValueError("the checkpoint belongs to a network of other layers or sizes")


def _shapes(weights: dict[str, Tensor]) -> dict[str, torch.Size]:
    return {name: tensor.shape for name, tensor in weights.items()}


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in weights.items()}
