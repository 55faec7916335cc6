"""Normalization of the images inside the network, so that a saved model takes plain pixels from 0 to 1."""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

IMAGENET_MEAN = (0.485, 0.456, 0.406)  # red, green, blue of ImageNet's training images, where white is 1
IMAGENET_SD = (0.229, 0.224, 0.225)


def imagenet_statistics(channels: int) -> tuple[Tensor, Tensor]:
    """Mean and SD, (channels,) each. ImageNet has no gray images: one channel gets the average over the three."""
    mean, sd = torch.tensor(IMAGENET_MEAN), torch.tensor(IMAGENET_SD)
    return (mean, sd) if channels == 3 else (mean.mean().expand(channels).clone(), sd.mean().expand(channels).clone())


def scaled(network: nn.Module, mean: Tensor | Sequence[float], sd: Tensor | Sequence[float]) -> nn.Module:
    """`network` behind (image - mean) / sd, each (C,); both are saved with the weights."""
    return Scaled(network, torch.as_tensor(mean, dtype=torch.float32), torch.as_tensor(sd, dtype=torch.float32))


class Scaled(nn.Module):
    """Takes images (B, C, H, W) with values from 0 to 1; the network sees (image - mean) / sd."""

    mean: Tensor
    sd: Tensor

    def __init__(self, network: nn.Module, mean: Tensor, sd: Tensor) -> None:
        super().__init__()
        if mean.ndim != 1 or mean.shape != sd.shape:
            raise ValueError(f"mean {tuple(mean.shape)} and SD {tuple(sd.shape)} must be one number a channel each")
        if not (sd > 0).all():
            raise ValueError(f"an SD of {sd.tolist()}: every channel's must be above 0")
        self.network = network
        self.register_buffer("mean", mean.clone())
        self.register_buffer("sd", sd.clone())
        inner = getattr(network, "cam_layer", None)
        self.cam_layer = f"network.{inner}" if isinstance(inner, str) else None

    def forward(self, images: Tensor) -> Tensor:  # (B, C, H, W) -> logits (B, outputs)
        logits: Tensor = self.network((images - self.mean.view(1, -1, 1, 1)) / self.sd.view(1, -1, 1, 1))
        return logits
