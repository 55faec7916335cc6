"""The number that is explained: the logit of one class."""

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from diascope.metrics import predicted_classes


def class_logit(outputs: Tensor, targets: Tensor) -> Tensor:
    """Outputs (B,), (B, 1) or (B, K) of a network and class numbers (B,) int64 -> each image's logit (B,) of its class.

    A network with one output gives the logit of the second of two classes; the first one's is minus that, since its
    probability is 1 - sigmoid(logit) = sigmoid(-logit). Raises ValueError for a class that there is not.
    """
    columns = outputs.unsqueeze(1) if outputs.ndim == 1 else outputs
    classes = max(2, columns.shape[1])
    if targets.numel() and (int(targets.min()) < 0 or int(targets.max()) >= classes):
        raise ValueError(f"classes {targets.tolist()} for a network of {classes}")
    if columns.shape[1] == 1:
        return torch.where(targets == 1, columns[:, 0], -columns[:, 0])
    return columns.gather(1, targets[:, None])[:, 0]


def predicted_targets(found: NDArray[np.float64], positive: int) -> Tensor:
    """Probabilities (B, K) -> the predicted classes (B,) int64, by the rule that every table of the report goes by."""
    return torch.from_numpy(predicted_classes(found, positive))
