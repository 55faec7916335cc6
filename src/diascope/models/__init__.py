"""The networks: MODELS holds them all, build_model makes one from a study file's `model` section."""

from collections.abc import Callable

import torch
from torch import nn

from diascope.config import ModelConfig
from diascope.errors import ConfigError
from diascope.models.alexnet import AlexNet
from diascope.models.layers import initialize
from diascope.seeding import stream_seed


def _alexnet(config: ModelConfig, channels: int, outputs: int, image_size: tuple[int, int]) -> nn.Module:
    return AlexNet(
        channels,
        outputs,
        image_size,
        base_channels=config.base_channels,
        dense=config.dense,
        dropout=config.dropout,
        normalization=config.filled()["normalization"],
        spatial_dropout=config.spatial_dropout,
    )


MODELS: dict[str, Callable[[ModelConfig, int, int, tuple[int, int]], nn.Module]] = {"alexnet": _alexnet}


def build_model(
    config: ModelConfig, *, channels: int, classes: int, image_size: tuple[int, int], seed: int
) -> nn.Module:
    """A network with its initial weights on the CPU, channels-last: (B, channels, height, width) -> logits.

    Two classes give one logit (B, 1), that of the second class; K > 2 classes give (B, K). Draws from the stream "init"
    of `seed` alone. Raises ConfigError where the images are too small for the network.
    """
    outputs = 1 if classes == 2 else classes
    if min(image_size) < 8:
        raise ConfigError(
            f"{config.name} halves the image three times, {image_size[0]} x {image_size[1]} pixels are too few",
            remedy="set data.image_size to 8 or more",
        )
    with torch.device("meta"):  # PyTorch's own initial weights, drawn from the global stream, are never made
        model = MODELS[config.name](config, channels, outputs, image_size)
    model = model.to_empty(device="cpu")
    initialize(model, torch.Generator().manual_seed(stream_seed(seed, "init")))
    return model.to(memory_format=torch.channels_last)
