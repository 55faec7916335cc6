"""VGG as the lab draws it: five blocks of 3x3 convolutions and three dense layers (Simonyan and Zisserman 2015)."""

from collections.abc import Sequence
from typing import Literal

import torch
from torch import Tensor, nn

from diascope.config.depth import VGG_PLANS
from diascope.models.initialization import glorot_uniform
from diascope.models.layers import convolution_block, dense_layers, flatten_like_keras

WIDTHS = (1, 2, 4, 8, 8)  # channels of the five blocks, in multiples of base_channels
SMALLEST = 2 ** len(WIDTHS)  # pixels a side that leave one value to the dense layers


class VGG(nn.Module):
    """Convolution, [batch normalization], ReLU, several times a block; [spatial dropout] and pooling end each block.

    `depth` counts the layers with weights, the three dense ones of the published network included; with another number
    of dense layers it only names the plan of the convolutions.
    """

    def __init__(
        self,
        channels: int,
        outputs: int,
        image_size: tuple[int, int],
        *,
        depth: int = 16,
        base_channels: int = 8,
        dense: Sequence[int] = (64, 64),
        dropout: float = 0.0,
        normalization: Literal["none", "batch"] = "none",
        spatial_dropout: float = 0.0,
    ) -> None:
        super().__init__()
        self.features = nn.Sequential()
        for block, (convolutions, width) in enumerate(zip(VGG_PLANS[depth], WIDTHS, strict=True), start=1):
            for number in range(1, convolutions + 1):
                last = number == convolutions
                for name, layer in convolution_block(
                    f"{block}_{number}",
                    channels,
                    width * base_channels,
                    normalization=normalization,
                    spatial_dropout=spatial_dropout if last else 0.0,
                    pooled=last,
                ):
                    self.features.add_module(name, layer)
                channels = width * base_channels
        self.cam_layer = f"features.conv5_{VGG_PLANS[depth][-1]}"  # the last convolution
        height, width = (side // SMALLEST for side in image_size)
        self.classifier = dense_layers(channels * height * width, dense, outputs, dropout)

    def forward(self, images: Tensor) -> Tensor:  # (B, C, H, W) -> logits (B, outputs)
        maps: Tensor = self.features(images)  # (B, 8b, H/32, W/32)
        logits: Tensor = self.classifier(flatten_like_keras(maps))
        return logits

    def initialize(self, generator: torch.Generator) -> None:
        glorot_uniform(self, generator)
