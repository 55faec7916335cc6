"""Forward passes without learning: the scores and the probabilities of a network in evaluation mode."""

from collections.abc import Iterable

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diascope.training.scores import Scores, ValidationScores, plain_scores, probabilities, validation_scores

Batch = tuple[Tensor, Tensor]  # images (B, C, H, W), classes (B,) int64


def evaluate(model: nn.Module, batches: Iterable[Batch], *, precision: str) -> Scores:
    """Loss and accuracy in evaluation mode."""
    return plain_scores(*forward(model.eval(), batches, precision))


def validate(model: nn.Module, batches: Iterable[Batch], *, precision: str) -> ValidationScores:
    """Loss, accuracy, balanced accuracy and AUROC in evaluation mode."""
    return validation_scores(*forward(model.eval(), batches, precision))


def predict(model: nn.Module, batches: Iterable[Batch], *, precision: str = "fp32") -> NDArray[np.float64]:
    """Probabilities (N, K) in the order of the classes, K = 2 for a network with one logit."""
    logits, _ = forward(model.eval(), batches, precision)
    return probabilities(logits)


@torch.inference_mode()
def forward(model: nn.Module, batches: Iterable[Batch], precision: str) -> Batch:
    """Logits (N, outputs) float32 and classes (N,) of all batches, in the mode that the model is in, on the device."""
    logits, classes = [], []
    for images, targets in batches:
        with autocast(images.device, precision):
            logits.append(model(images).float())
        classes.append(targets)
    return torch.cat(logits), torch.cat(classes)


def autocast(device: torch.device, precision: str) -> torch.autocast:
    return torch.autocast(device.type, dtype=torch.bfloat16, enabled=precision == "bf16")
