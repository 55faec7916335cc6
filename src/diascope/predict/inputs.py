"""What the network of a run takes, and its batches in evaluation: of the run itself, and of whoever asks it later."""

from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray

from diascope.config import AugmentationConfig
from diascope.data.batches import EVALUATION_BATCH, EvaluationBatches, FrozenTransform

FEATURE_BATCH = 1024  # rows of features a batch in evaluation: they are small


@dataclass(frozen=True)
class Inputs:
    """What the network of a run takes: an array for all images, and what its pixels go through, if they do."""

    values: NDArray[Any]
    copies: int = 1
    augmentation: AugmentationConfig = field(default_factory=AugmentationConfig)
    transform: FrozenTransform | None = None


def evaluation_batches(
    inputs: Inputs, labels: NDArray[np.int64], rows: NDArray[np.int64], device: torch.device
) -> EvaluationBatches:
    """The images `rows`, in order."""
    size = FEATURE_BATCH if inputs.values.ndim == 2 else EVALUATION_BATCH
    return EvaluationBatches(inputs.values, labels, rows, device=device, batch_size=size, transform=inputs.transform)
