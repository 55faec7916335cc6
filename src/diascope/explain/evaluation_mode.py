"""A network in evaluation mode for as long as it is looked at, and where its weights lie."""

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn


@contextmanager
def evaluating(model: nn.Module) -> Iterator[torch.device]:
    """Dropout off and normalization by its own statistics within, as before afterwards; the device of the weights."""
    modes = {module: module.training for module in model.modules()}
    model.eval()
    try:
        yield next((weight.device for weight in model.parameters()), torch.device("cpu"))
    finally:
        for module, training in modes.items():
            module.training = training
