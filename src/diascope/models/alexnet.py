"""AlexNet as the lab draws it: five 3x3 convolution blocks and three dense layers (after Krizhevsky et al. 2012)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from diascope.models.initialization import glorot_uniform
from diascope.models.layers import convolution_block, dense_layers, flatten_like_keras

WIDTHS = (1, 2, 4, 4, 2)  # channels of the five convolutions, in multiples of base_channels
POOLED = (1, 2, 5)  # the convolutions that are followed by 2x2 max pooling
SMALLEST = 2 ** len(POOLED)  # pixels a side that leave one value to the dense layers


class AlexNet(nn.Module):
    """Convolution, [batch normalization], ReLU, [spatial dropout], [pooling], five times; then the dense layers."""

    cam_layer = "features.conv5"  # the last convolution: its output is what a class activation map explains

    def __init__(
        self,
        channels: int,
        outputs: int,
        image_size: tuple[int, int],
        *,
        base_channels: int = 8,
        dense: Sequence[int] = (64, 64),
        dropout: float = 0.0,
        normalization: Literal["none", "batch"] = "none",
        spatial_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        for number, width in enumerate(WIDTHS, start=1):
            for name, layer in convolution_block(
                str(number),
                channels,
                width * base_channels,
                normalization=normalization,
                spatial_dropout=spatial_dropout,
                pooled=number in POOLED,
            ):
                self.features.add_module(name, layer)
            channels = width * base_channels
        height, width = (side // 2 ** len(POOLED) for side in image_size)
        self.classifier = dense_layers(channels * height * width, dense, outputs, dropout)

    def forward(self, images: Tensor) -> Tensor:  # (B, C, H, W) -> logits (B, outputs)
        maps: Tensor = self.features(images)  # (B, 2b, H/8, W/8)
        logits: Tensor = self.classifier(flatten_like_keras(maps))
        return logits

    def initialize(self, generator: torch.Generator) -> None:
        glorot_uniform(self, generator)
