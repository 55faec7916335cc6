"""Images without any symmetry, and one transformation applied to them at a given strength."""

from typing import Any

import numpy as np
import torch

from diascope.config import AugmentationConfig
from diascope.data.augment import build_augmentation

CPU = torch.device("cpu")


def picture(height: int = 20, width: int = 30, channels: int = 1, number: int = 0) -> np.ndarray:
    """(H, W, C) float32 in [0, 1]: noise, a bright bar to the right of the centre, and a dot at the top left."""
    random = np.random.default_rng([number, height, width, channels])
    image = random.uniform(0.1, 0.6, (height, width, channels)).astype(np.float32)
    image[height // 2 : height // 2 + 2, width // 2 + 2 : -1] = 0.95
    image[2, 3] = 0.9
    return image


def to_batch(images: np.ndarray) -> torch.Tensor:
    """(B, H, W, C) -> (B, C, H, W), channels-last, as the batches have it."""
    return torch.from_numpy(np.ascontiguousarray(images)).permute(0, 3, 1, 2)


def to_images(batch: torch.Tensor) -> np.ndarray:
    return batch.permute(0, 2, 3, 1).numpy()


def augmented(images: np.ndarray, *, seed: int = 0, epoch: int = 0, batch_size: int = 0, **section: Any) -> np.ndarray:
    """(B, H, W, C) -> the same, through a whole epoch of the augmentation that `section` describes."""
    augmentation = build_augmentation(AugmentationConfig.model_validate(section))
    assert augmentation is not None
    count, step = len(images), batch_size or len(images)
    changes = augmentation.epoch(count, images.shape[1:3], seed=seed, epoch=epoch, device=CPU)
    batches = [changes(to_batch(images[first : first + step]), first) for first in range(0, count, step)]
    return to_images(torch.cat(batches))


def changed(image: np.ndarray, **section: Any) -> np.ndarray:
    """One image (H, W, C), each strength given as a single number."""
    ranges = {name: [value, value] if type(value) in (int, float) else value for name, value in section.items()}
    for flip in ("horizontal_flip", "vertical_flip", "fill_value"):
        if flip in section:
            ranges[flip] = section[flip]
    return augmented(image[None], **ranges)[0]
