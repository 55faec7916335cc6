"""TrainingState: everything that a training needs to go on, and that a checkpoint keeps."""

from math import inf, isnan
from typing import Any

import torch
from torch import Tensor, nn

from diascope.config import TrainingConfig
from diascope.training.optimizers import build_optimizer


class TrainingState:
    """A model in training: weights, optimizer, epochs done, and a copy of the best weights so far."""

    def __init__(self, model: nn.Module, config: TrainingConfig, *, seed: int, device: torch.device) -> None:
        """Moves `model` to `device`, channels-last. `seed` is the run's: dropout draws from its streams."""
        self.model = model.to(device).to(memory_format=torch.channels_last)
        self.optimizer = build_optimizer(config.optimizer, self.model.parameters(), config.learning_rate)
        self.seed, self.device = seed, device
        self.epoch = 0
        self.best_epoch = 0
        self.best_loss = inf
        self.best_weights: dict[str, Tensor] = {}

    @property
    def learning_rate(self) -> float:
        return float(self.optimizer.param_groups[0]["lr"])

    def note_validation(self, loss: float) -> None:
        """Keep a copy of the weights if `loss` is the lowest so far (first on ties); NaN is worse than any number."""
        loss = inf if isnan(loss) else loss
        if self.best_epoch == 0 or loss < self.best_loss:
            self.best_epoch, self.best_loss = self.epoch, loss
            self.best_weights = _copy(self.model.state_dict())

    def state_dict(self) -> dict[str, Any]:
        """Tensors, numbers and containers only: `torch.load(..., weights_only=True)` reads it back."""
        return {
            "model": self.model.state_dict(),
            "optimizer": self.optimizer.state_dict(),
            "seed": self.seed,
            "epoch": self.epoch,
            "best_epoch": self.best_epoch,
            "best_loss": self.best_loss,
            "best_weights": self.best_weights,
        }

    def load_state_dict(self, saved: dict[str, Any]) -> None:
        """Go back to where `saved` was taken; the state must be of the same configuration and seed."""
        if saved["seed"] != self.seed:
            raise ValueError(f"the checkpoint belongs to seed {saved['seed']}, this run to seed {self.seed}")
        self.model.load_state_dict(saved["model"])
        self.optimizer.load_state_dict(saved["optimizer"])
        self.epoch, self.best_epoch, self.best_loss = saved["epoch"], saved["best_epoch"], saved["best_loss"]
        self.best_weights = {name: tensor.to(self.device).clone() for name, tensor in saved["best_weights"].items()}


def _copy(weights: dict[str, Tensor]) -> dict[str, Tensor]:
    return {name: tensor.detach().clone() for name, tensor in weights.items()}
