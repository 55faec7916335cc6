"""Means and variances of batch normalization for evaluation, recomputed for the current weights.

A moving average over the training steps describes weights of the past: with Keras' share of 0.01 a training of 100
steps ends before the average has left its initial values. Computed from training images after each epoch ("PreciseBN"
in Wu and Johnson 2021, "Rethinking 'Batch' in BatchNorm"), the statistics belong to the weights that are evaluated,
however short the training was.
"""

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from torch import nn
from torch.nn.modules.batchnorm import _BatchNorm

from diascope.training.evaluation import Batch, forward
from diascope.training.scores import ValidationScores, validation_scores


@dataclass(frozen=True)
class ModeScores:
    """Scores of the same images with the statistics of their batches, as in training, and with those of evaluation."""

    training: ValidationScores
    evaluation: ValidationScores


def recompute(model: nn.Module, batches: Iterable[Batch], *, precision: str) -> None:
    """Replace the statistics of batch normalization by means over the batches, each weighted by its images.

    Dropout is off and no weight changes. Layers whose statistics are frozen stay as they are, and a model without
    batch normalization, or without batches, as it is.
    """
    with _normalizing_by_batch(model) as layers:
        shares, seen = [layer.momentum for layer in layers], 0
        for images, classes in batches if layers else ():
            seen += len(images)
            for layer in layers:
                layer.momentum = len(images) / seen
            forward(model, [(images, classes)], precision)
        for layer, share in zip(layers, shares, strict=True):
            layer.momentum = share


def score_both_modes(model: nn.Module, batches: Iterable[Batch], *, precision: str) -> ModeScores | None:
    """None for a model without batch normalization that learns. Dropout is off in both; the model stays as it is.

    Some networks cannot normalize a last batch of one image: it is left out of both.
    """
    with _normalizing_by_batch(model) as layers:
        if not layers:
            return None
        shares = [layer.momentum for layer in layers]
        for layer in layers:
            layer.momentum = 0.0  # the statistics stay
        by_batch = validation_scores(*forward(model, _of_several(batches), precision))
        for layer, share in zip(layers, shares, strict=True):
            layer.momentum = share
    return ModeScores(by_batch, validation_scores(*forward(model, _of_several(batches), precision)))


def _of_several(batches: Iterable[Batch]) -> Iterator[Batch]:
    for number, (images, classes) in enumerate(batches):
        if number == 0 or len(images) > 1:
            yield images, classes


@contextmanager
def _normalizing_by_batch(model: nn.Module) -> Iterator[list[_BatchNorm]]:
    """The model in evaluation mode, but for the layers of batch normalization that learn, which it yields."""
    layers = [layer for layer in model.train().modules() if isinstance(layer, _BatchNorm) and layer.training]
    model.eval()
    layers = [layer for layer in layers if layer.running_mean is not None]
    for layer in layers:
        layer.train()
    try:
        yield layers
    finally:
        model.eval()
