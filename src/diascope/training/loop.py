"""The training loop: yields an epoch at a time; the caller logs, saves, or stops by leaving the loop."""

from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Protocol, runtime_checkable

import torch
from torch import Tensor, nn

from diascope.config import TrainingConfig
from diascope.core.seeding import stream_seed
from diascope.training.batch_statistics import recompute
from diascope.training.evaluation import Batch, autocast, evaluate, validate
from diascope.training.losses import PLAIN, Loss, Targets, TrainingLoss
from diascope.training.mixup import Mixup
from diascope.training.scores import Scores, ValidationScores, running_scores
from diascope.training.state import TrainingState


@runtime_checkable
class Stochastic(Protocol):
    """A layer that draws random numbers, from a generator that it is given."""

    generator: torch.Generator | None


@runtime_checkable
class Staged(Protocol):
    """A network whose layers begin to learn in different epochs."""

    def begin_epoch(self, epoch: int) -> None: ...


@dataclass(frozen=True)
class Epoch:
    """What is known after an epoch. `epoch` counts those done; `seconds` include the evaluations."""

    epoch: int
    learning_rate: float  # of the epoch's last step
    training: Scores  # running, while the weights change and dropout is active; of mixed images, if they are
    training_eval: Scores  # in evaluation mode, on a fixed subset as large as the validation side
    validation: ValidationScores
    seconds: float


def train(
    state: TrainingState,
    batches: Callable[[int], Iterable[Batch]],
    validation: Iterable[Batch],
    subset: Iterable[Batch],
    config: TrainingConfig,
    class_weights: Tensor | None = None,
    *,
    steps: int | None = None,
    statistics: Iterable[Batch] = (),
) -> Iterator[Epoch]:
    """Train up to `config.epochs` or until early stopping, yielding after each epoch, when `state` may be saved.

    `batches(epoch)` gives the training side for epoch 0, 1, ...; `validation` and `subset` are iterated each epoch.
    `class_weights` (K,) multiply the loss of each image. `steps` is how many batches an epoch has: a schedule with a
    horizon needs it. From `statistics`, images of the training side, batch normalization gets its statistics for
    evaluation; without any they are its own moving averages. All scores are plain, without weights or smoothing, so
    that they compare between configurations.
    """
    while not state.finished(config):
        started = perf_counter()
        training = train_epoch(state, batches(state.epoch), config, class_weights, steps=steps)
        state.epoch += 1
        recompute(state.model, statistics, precision=config.precision)
        watched = evaluate(state.model, subset, precision=config.precision)
        validated = validate(state.model, validation, precision=config.precision)
        state.note_validation(validated, config)
        yield Epoch(state.epoch, state.learning_rate, training, watched, validated, perf_counter() - started)


def train_epoch(
    state: TrainingState,
    batches: Iterable[Batch],
    config: TrainingConfig,
    class_weights: Tensor | None = None,
    *,
    steps: int | None = None,
) -> Scores:
    """One pass over the training side. Nothing is read back from the device before the end."""
    if config.has_horizon and steps is None:
        raise ValueError(f"schedule {config.schedule.kind} needs to know how many batches an epoch has: pass steps")
    _give_generator(state.model, dropout_generator(state))
    if isinstance(state.model, Staged):
        state.model.begin_epoch(state.epoch)
    state.model.train()
    loss = TrainingLoss(config.label_smoothing, None if class_weights is None else class_weights.to(state.device))
    mixup = Mixup(config.mixup, seed=state.seed, epoch=state.epoch) if config.mixup else None
    logits: list[Tensor] = []
    trained_on: list[Targets] = []
    for step, (images, classes) in enumerate(batches):
        inputs, targets = (images, classes) if mixup is None else mixup(images, classes)
        state.schedule_step(config, step, steps or 1)
        logits.append(
            train_step(state, inputs, targets, config.precision, loss=loss, clipping=config.gradient_clipping)
        )
        trained_on.append(targets)
    if steps not in (None, len(logits)):
        raise ValueError(f"an epoch was to have {steps} batches and has {len(logits)}: the schedule would be wrong")
    return running_scores(logits, trained_on)


def train_step(
    state: TrainingState,
    images: Tensor,
    targets: Targets,
    precision: str,
    *,
    loss: Loss = PLAIN,
    clipping: float | None = None,
) -> Tensor:
    """One step of the optimizer; returns the logits (B, outputs) from before it, on the device.

    `clipping` is the largest norm that the gradients of all parameters together may have.
    """
    with autocast(images.device, precision):
        logits: Tensor = state.model(images)
    logits = logits.float()
    state.optimizer.zero_grad(set_to_none=True)
    torch.autograd.backward(loss(logits, targets))
    if clipping is not None:
        nn.utils.clip_grad_norm_(state.model.parameters(), clipping)
    state.optimizer.step()
    return logits.detach()


def dropout_generator(state: TrainingState) -> torch.Generator:
    """The epoch's generator of random numbers on the device."""
    return torch.Generator(state.device).manual_seed(stream_seed(state.seed, "dropout", state.epoch))


def _give_generator(model: nn.Module, generator: torch.Generator) -> None:
    """Hand the epoch's generator to every layer that draws random numbers."""
    for module in model.modules():
        if isinstance(module, Stochastic):
            module.generator = generator
