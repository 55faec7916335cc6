"""Residual networks (He et al. 2016, arXiv 1512.03385): three stages as for CIFAR, or four as for ImageNet.

Post-activation, as published; the bottleneck has its stride in the 3x3 convolution, as torchvision has it ("v1.5").
Where a block changes its shape, the shortcut is a 1x1 convolution (option B), in the three-stage plan too, where the
paper pads with zeros (option A): 0.2724 million parameters instead of 0.2697 for the published ResNet-20.
"""

from typing import Literal

import torch
from torch import Tensor, nn

from diascope.config.depth import residual_plan
from diascope.models.initialization import he_normal
from diascope.models.layers import Dropout, Pointwise
from diascope.models.normalization import BatchNorm

EXPANSION = {"basic": 1, "bottleneck": 4}  # channels that leave a block, in multiples of those inside
STEM_STRIDE = {"small": 1, "strided": 2, "large": 4}


def smallest_image(*, stages: int, stem: str) -> int:
    """Pixels a side that leave one value a channel to the last stage."""
    return int(STEM_STRIDE[stem] * 2 ** (stages - 1))


class ResNet(nn.Module):
    """Stem, stages of residual blocks, global average pooling, [dropout], one dense layer."""

    cam_layer = "stages"  # what the last block gives: its last convolution, on the branch, is but a part of that

    def __init__(
        self,
        channels: int,
        outputs: int,
        *,
        depth: int = 20,
        base_channels: int = 16,
        block: Literal["basic", "bottleneck"] = "basic",
        stages: Literal[3, 4] = 3,
        stem: Literal["small", "strided", "large"] = "small",
        dropout: float = 0.0,
        normalization: Literal["none", "batch"] = "batch",
    ) -> None:
        super().__init__()
        plan = residual_plan(depth, block=block, stages=stages)
        if plan is None:
            raise ValueError(f"depth {depth}: no plan for {block} blocks in {stages} stages")
        self.stem = _stem(stem, channels, base_channels, normalization)
        self.stages = nn.Sequential()
        channels = base_channels
        for stage, blocks in enumerate(plan):
            width = base_channels * 2**stage
            layers = nn.Sequential()
            for number in range(blocks):
                stride = 2 if stage > 0 and number == 0 else 1
                layers.add_module(f"block{number + 1}", Block(channels, width, stride, block, normalization))
                channels = width * EXPANSION[block]
            self.stages.add_module(f"stage{stage + 1}", layers)
        self.dropout = Dropout(dropout) if dropout > 0 else nn.Identity()
        self.output = nn.Linear(channels, outputs)

    def forward(self, images: Tensor) -> Tensor:  # (B, C, H, W) -> logits (B, outputs)
        maps: Tensor = self.stages(self.stem(images))
        logits: Tensor = self.output(self.dropout(maps.mean((2, 3))))
        return logits

    def initialize(self, generator: torch.Generator) -> None:
        """He's weights; each block starts as its shortcut: its last normalization (or convolution) gives zeros."""
        he_normal(self, generator)
        for module in self.modules():
            if isinstance(module, Block):
                module.start_as_shortcut()


class Block(nn.Module):
    """A residual block: two 3x3 convolutions (basic), or 1x1, 3x3, 1x1 with four times the channels (bottleneck)."""

    def __init__(self, channels: int, width: int, stride: int, kind: str, normalization: str) -> None:
        super().__init__()
        leaving = width * EXPANSION[kind]
        self.shortcut: nn.Module = nn.Identity()
        if stride > 1 or channels != leaving:
            self.shortcut = nn.Sequential(*_normalized(channels, leaving, 1, stride, normalization).values())
        shapes: tuple[tuple[int, int, int], ...]
        if kind == "basic":
            shapes = ((width, 3, stride), (leaving, 3, 1))
        else:
            shapes = ((width, 1, 1), (width, 3, stride), (leaving, 1, 1))
        # What a normalization gives may be written over; what a convolution gives is what an activation map explains.
        self.fresh = normalization == "batch"
        self.residue = nn.Sequential()
        for number, (outgoing, size, step) in enumerate(shapes, start=1):
            if number > 1:
                self.residue.add_module(f"relu{number - 1}", nn.ReLU(inplace=normalization == "batch"))
            for name, layer in _normalized(channels, outgoing, size, step, normalization).items():
                self.residue.add_module(f"{name}{number}", layer)
            channels = outgoing

    def forward(self, maps: Tensor) -> Tensor:  # (B, channels, H, W) -> (B, leaving, H / stride, W / stride)
        residue: Tensor = self.residue(maps)
        shortcut = self.shortcut(maps)
        total = residue.add_(shortcut) if self.fresh else residue + shortcut
        return total.relu_()

    @torch.no_grad()
    def start_as_shortcut(self) -> None:
        """Zeros in the last normalization, or else convolution, so that the residue is zero."""
        self.residue[-1].weight.zero_()  # type: ignore[operator]


def _stem(kind: str, channels: int, width: int, normalization: str) -> nn.Sequential:
    layers = nn.Sequential()
    size, stride = (7, 2) if kind == "large" else (3, 2 if kind == "strided" else 1)
    for name, layer in _normalized(channels, width, size, stride, normalization).items():
        layers.add_module(name, layer)
    if kind == "large":
        layers.add_module("pool", nn.MaxPool2d(3, 2, padding=1))  # before ReLU: they commute
    layers.add_module("relu", nn.ReLU(inplace=normalization == "batch"))
    return layers


def _normalized(channels: int, width: int, size: int, stride: int, normalization: str) -> dict[str, nn.Module]:
    """A convolution and, if asked for, its normalization.

    Normalization has PyTorch's usual numbers, as He et al. had: Keras' momentum would lag far behind a short training.
    """
    plain = normalization == "none"
    convolution = (
        Pointwise(channels, width, stride, bias=plain)
        if size == 1
        else nn.Conv2d(channels, width, size, stride, padding=size // 2, bias=plain)
    )
    layers: dict[str, nn.Module] = {"conv": convolution}
    return layers if plain else layers | {"norm": BatchNorm(width, epsilon=1e-5, momentum=0.1)}
