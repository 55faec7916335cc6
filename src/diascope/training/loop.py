"""The training loop: yields an epoch at a time; the caller logs, saves, or stops by leaving the loop."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, runtime_checkable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from diascope.config import TrainingConfig
from diascope.seeding import stream_seed
from diascope.training.state import TrainingState

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W), classes (B,) int64


@runtime_checkable
class Stochastic(Protocol):
    """A layer that draws random numbers, from a generator that it is given."""

    generator: torch.Generator | None


@dataclass(frozen=True)
class Scores:
    """Means over images, each image counted once."""

    loss: float
    accuracy: float


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch. `epoch` counts those done; `seconds` include the evaluations."""

    epoch: int
    learning_rate: float
    training: Scores  # running, while the weights change and dropout is active
    training_eval: Scores  # in evaluation mode, on a fixed subset as large as the validation side
    validation: Scores
    seconds: float


def train(
    state: TrainingState,
    batches: Callable[[int], Iterable[Batch]],
    validation: Iterable[Batch],
    subset: Iterable[Batch],
    config: TrainingConfig,
) -> Iterator[Epoch]:
    """Train up to `config.epochs`, yielding after each epoch, when `state` may be saved.

    `batches(epoch)` gives the training side for epoch 0, 1, ...; `validation` and `subset` are iterated each epoch.
    """
    while state.epoch < config.epochs:
        started = perf_counter()
        training = train_epoch(state, batches(state.epoch), config)
        state.epoch += 1
        watched = evaluate(state.model, subset, precision=config.precision)
        validated = evaluate(state.model, validation, precision=config.precision)
        state.note_validation(validated.loss)
        yield Epoch(state.epoch, state.learning_rate, training, watched, validated, perf_counter() - started)


def train_epoch(state: TrainingState, batches: Iterable[Batch], config: TrainingConfig) -> Scores:
    """One pass over the training side. Nothing is read back from the device before the end."""
    seed = stream_seed(state.seed, "dropout", state.epoch)
    _give_generator(state.model, torch.Generator(state.device).manual_seed(seed))
    state.model.train()
    logits, classes = [], []
    for images, targets in batches:
        logits.append(train_step(state, images, targets, config.precision))
        classes.append(targets)
    return _scores(torch.cat(logits), torch.cat(classes))


def train_step(state: TrainingState, images: Tensor, targets: Tensor, precision: str) -> Tensor:
    """One step of the optimizer; returns the logits (B, outputs) from before it, on the device."""
    with _autocast(images.device, precision):
        logits: Tensor = state.model(images)
    logits = logits.float()
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(_loss(logits, targets))
    state.optimizer.step()
    return logits.detach()


def evaluate(model: nn.Module, batches: Iterable[Batch], *, precision: str) -> Scores:
    """Loss and accuracy in evaluation mode."""
    logits, targets = _forward(model, batches, precision)
    return _scores(logits, targets)


def predict(model: nn.Module, batches: Iterable[Batch], *, precision: str = "fp32") -> NDArray[np.float64]:
    """Probabilities (N, K) in the order of the classes, K = 2 for a network with one logit."""
    logits, _ = _forward(model, batches, precision)
    logits = logits.double()
    if logits.shape[1] == 1:
        probabilities = torch.cat([torch.sigmoid(-logits), torch.sigmoid(logits)], dim=1)
    else:
        probabilities = torch.softmax(logits, dim=1)
    return probabilities.cpu().numpy()


@torch.inference_mode()
def _forward(model: nn.Module, batches: Iterable[Batch], precision: str) -> Batch:
    """Logits (N, outputs) float32 and classes (N,) of all batches, in evaluation mode, on the device."""
    model.eval()
    logits, classes = [], []
    for images, targets in batches:
        with _autocast(images.device, precision):
            logits.append(model(images).float())
        classes.append(targets)
    return torch.cat(logits), torch.cat(classes)


def _loss(logits: Tensor, targets: Tensor) -> Tensor:
    """Mean cross-entropy: binary for one logit (B, 1), else categorical (B, K)."""
    if logits.shape[1] == 1:
        return functional.binary_cross_entropy_with_logits(logits.squeeze(1), targets.to(logits.dtype))
    return functional.cross_entropy(logits, targets)


def _scores(logits: Tensor, targets: Tensor) -> Scores:
    """Exact means over all images, from logits (N, outputs): the one place where the host waits for the device."""
    predicted = (logits.squeeze(1) > 0).long() if logits.shape[1] == 1 else logits.argmax(dim=1)
    correct = (predicted == targets).sum().item()
    return Scores(loss=_loss(logits.double(), targets).item(), accuracy=correct / len(targets))


def _autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")


def _give_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Hand the epoch's generator to every layer that draws random numbers."""
    for module in model.modules():
        if isinstance(module, Stochastic):
            module.generator = generator
