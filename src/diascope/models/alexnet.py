"""AlexNet as the lab draws it: five 3x3 convolution blocks and three dense layers (after Krizhevsky et al. 2012)."""

from collections.abc import Sequence
from typing import Literal

from torch import Tensor, nn

from diascope.models.layers import Dropout, MaxPool
from diascope.models.normalization import BatchNorm

WIDTHS = (1, 2, 4, 4, 2)  # channels of the five convolutions, in multiples of base_channels
POOLED = (1, 2, 5)  # the convolutions that are followed by 2x2 max pooling


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
            block = _block(number, channels, width * base_channels, normalization, spatial_dropout)
            for name, layer in block:
                self.features.add_module(name, layer)
            channels = width * base_channels
        height, width = (side // 2 ** len(POOLED) for side in image_size)
        self.classifier = _dense_layers(channels * height * width, dense, outputs, dropout)

    def forward(self, images: Tensor) -> Tensor:  # (B, C, H, W) -> logits (B, outputs)
        maps: Tensor = self.features(images)  # (B, 2b, H/8, W/8)
        logits: Tensor = self.classifier(maps.permute(0, 2, 3, 1).flatten(1))  # Keras' order, and free in channels-last
        return logits


def _block(
    number: int, channels: int, width: int, normalization: str, spatial_dropout: float
) -> list[tuple[str, nn.Module]]:
    """One convolution block. Pooling comes before ReLU and dropout: it commutes with both and leaves them a quarter."""
    convolution = nn.Conv2d(channels, width, 3, padding="same")
    layers: list[tuple[str, nn.Module]] = [(f"conv{number}", convolution)]
    if normalization == "batch":
        assert convolution.bias is not None
        convolution.bias.requires_grad_(False)  # normalization takes it out again: its gradient is rounding noise
        layers.append((f"norm{number}", BatchNorm(width)))
    if number in POOLED:
        layers.append((f"pool{number}", MaxPool()))
    layers.append((f"relu{number}", nn.ReLU()))
    if spatial_dropout > 0:
        layers.append((f"drop{number}", Dropout(spatial_dropout, spatial=True)))
    return layers


def _dense_layers(inputs: int, dense: Sequence[int], outputs: int, dropout: float) -> nn.Sequential:
    layers = nn.Sequential()
    for number, width in enumerate(dense, start=1):
        layers.add_module(f"dense{number}", nn.Linear(inputs, width))
        layers.add_module(f"relu{number}", nn.ReLU(inplace=True))
        if dropout > 0:
            layers.add_module(f"drop{number}", Dropout(dropout))
        inputs = width
    layers.add_module("output", nn.Linear(inputs, outputs))
    return layers
