"""A backbone of timm in two parts: what stays as it is and can be computed once, and the tail that a run trains."""

from collections.abc import Iterator
from functools import cache
from hashlib import sha256
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from diascope.config import ModelConfig
from diascope.core.errors import ConfigError, RunError
from diascope.core.seeding import stream_seed
from diascope.models.backbone import ExpectedInput, expected_input, load_backbone, weights_digest, weights_file
from diascope.models.cutting import Blocks, blocks_of, cut, last_maps
from diascope.models.initialization import glorot_uniform
from diascope.models.layers import dense_layers
from diascope.models.own import with_streams
from diascope.models.random_backbone import VERSION, Statistics, apply_statistics, fit_statistics

Scale = tuple[Tensor, Tensor]  # mean and SD, (C,) each

FROZEN_BATCH = {"cpu": 8, "cuda": 64}  # images through a frozen backbone; fixed: their number may decide the last bits
NORMALIZATIONS = (nn.modules.batchnorm._BatchNorm, nn.modules.instancenorm._InstanceNorm)


class Pretrained(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> logits (B, outputs): the tail behind the frozen part.

    Activation maps explain what reaches the pooling; or, of a backbone that ends with a pooling of its own, the
    convolution before that.
    """

    def __init__(self, frozen: "Frozen", tail: nn.Module) -> None:
        super().__init__()
        self.frozen, self.tail = frozen, tail
        name, last = ("tail", tail) if isinstance(tail, Tail) else ("frozen", frozen)
        assert last.backbone is not None
        self.cam_layer = ".".join(filter(None, (name, "backbone", last_maps(last.backbone))))

    def forward(self, images: Tensor) -> Tensor:
        logits: Tensor = self.tail(self.frozen(images))
        return logits

    def cam_maps(self, layer: str, values: Tensor) -> Tensor:
        """What a layer gives as maps (B, C, H, W); as it is where that cannot be done."""
        pool = self.tail.pool if isinstance(self.tail, Tail) else self.frozen.pool
        assert pool is not None
        return values if isinstance(self.get_submodule(layer), nn.Conv2d) else pool.maps(values)


class Frozen(nn.Module):
    """Images (B, C, H, W) in [0, 1] -> what the tail takes: features (B, F), or maps where blocks of it learn.

    `backbone` None: nothing of it is frozen, and the images are only scaled. One channel is repeated for a backbone
    that takes three. Never in training mode: dropout is off, and normalization keeps its statistics.
    """

    mean: Tensor
    sd: Tensor

    def __init__(self, backbone: nn.Module | None, scale: Scale, pool: "Pooling | None") -> None:
        super().__init__()
        self.backbone, self.pool = backbone, pool
        for name, values in zip(("mean", "sd"), scale, strict=True):
            self.register_buffer(name, values.float().view(1, -1, 1, 1))
        self.requires_grad_(False).eval()

    def forward(self, images: Tensor) -> Tensor:
        values: Tensor = (images - self.mean) / self.sd  # one channel becomes three where there are three means
        if self.backbone is not None:
            values = self.backbone(values)
        return values if self.pool is None else self.pool(values)

    def train(self, mode: bool = True) -> "Frozen":
        return super().train(False)


class Pooling(nn.Module):
    """What a block gives -> (B, F): the means over its places, all its values, or both one after the other.

    Maps are (B, C, H, W), or (B, H, W, C) where `channels_last`; tokens (B, L, C), of which the first `prefix` belong
    to no place, and the others to the places of `grid` (rows, columns), row by row, where that is known. Values are
    flattened place by place, each with its channels: Keras' order.
    """

    def __init__(
        self, kind: str, *, channels_last: bool = False, prefix: int = 0, grid: tuple[int, int] | None = None
    ) -> None:
        super().__init__()
        self.kind, self.channels_last, self.prefix, self.grid = kind, channels_last, prefix, grid

    def forward(self, maps: Tensor) -> Tensor:
        if maps.ndim == 4 and not self.channels_last:
            maps = maps.permute(0, 2, 3, 1)
        places = maps[:, self.prefix :] if maps.ndim == 3 else maps.flatten(1, 2)
        if self.kind == "average":
            return places.mean(1)
        flat = maps.flatten(1)
        return flat if self.kind == "flatten" else torch.cat([flat, places.mean(1)], dim=1)

    def maps(self, values: Tensor) -> Tensor:
        """What a block gives -> maps (B, C, H, W); tokens that do not fill the grid stay as they are."""
        if values.ndim == 4 and self.channels_last:
            return values.permute(0, 3, 1, 2)
        if values.ndim == 3 and self.grid and values.shape[1] == self.prefix + self.grid[0] * self.grid[1]:
            return values[:, self.prefix :].mT.reshape(len(values), -1, *self.grid)
        return values


class Tail(nn.Module):
    """The last blocks of a backbone and a head, which learn together; takes what `Frozen` gives.

    `blocks` are the names of the parameters that may learn, a list for each block, the last block first.
    """

    def __init__(
        self, backbone: nn.Module, pool: Pooling, head: nn.Module, blocks: Blocks, config: ModelConfig
    ) -> None:
        super().__init__()
        self.backbone, self.pool, self.head = backbone, pool, head
        self._every, self._decay = config.unfreeze_every, config.layer_decay
        self._frozen_statistics = config.frozen_statistics
        weights = dict(backbone.named_parameters())
        self._blocks = [[weights[name] for name in block] for block in blocks]
        learning = {id(weight) for block in self._blocks for weight in block}
        self._resting = [weight for weight in weights.values() if id(weight) not in learning]
        self.begin_epoch(0)

    def forward(self, values: Tensor) -> Tensor:
        logits: Tensor = self.head(self.pool(self.backbone(values)))
        return logits

    def begin_epoch(self, epoch: int) -> None:
        """Let as many blocks learn as it is time for in epoch 0, 1, ...; the loop calls this before each."""
        awake = len(self._blocks) if self._every is None else epoch // self._every
        for number, block in enumerate(self._blocks):
            for weight in block:
                weight.requires_grad_(number < awake)
        for weight in self._resting:
            weight.requires_grad_(False)

    def learning_layers(self) -> Iterator[tuple[float, list[nn.Parameter]]]:
        """The head and then each block, the last one first: the share of the learning rate, and the parameters."""
        yield 1.0, list(self.head.parameters())
        for number, block in enumerate(self._blocks, start=1):
            yield self._decay**number, block

    def train(self, mode: bool = True) -> "Tail":
        super().train(mode)
        for module in self.backbone.modules():
            if isinstance(module, NORMALIZATIONS) and self._keeps_statistics(module):
                module.train(False)
        return self

    def _keeps_statistics(self, module: nn.Module) -> bool:
        """Those of a block that does not learn, or not yet, stay as they are in any case."""
        return self._frozen_statistics or not all(weight.requires_grad for weight in module.parameters())


def build_pretrained(
    config: ModelConfig,
    channels: int,
    outputs: int,
    image_size: tuple[int, int],
    seed: int,
    scale: Scale | None = None,
    *,
    keep_maps: bool = True,
    statistics: Statistics | None = None,
) -> Pretrained:
    """The whole network; `scale` is for model.preprocessing none: mean and SD (channels,), default 0 and 1.

    With `keep_maps` no ReLU writes over what a convolution gave, of which activation maps are made; without it timm's
    layers do, which is a tenth faster.
    Weights come from their file, or, if they are random, from the stream "init" of `seed`, as those of the head do, and
    `statistics` are what `random_statistics` found for them.
    Raises ConfigError for a backbone, a file or a size of the images that does not do.
    """
    assert config.backbone is not None
    backbone, scaling = _scaled_backbone(config, channels, image_size, seed, scale)
    apply_statistics(backbone, statistics or {})
    if keep_maps:
        _write_nothing_over(backbone)
    blocks = blocks_of(backbone)
    learning = blocks[len(blocks) - _learning(config, len(blocks)) :]
    before, after = cut(backbone, [name for block in learning for name in block])
    pool = _pooling(config, backbone)
    if config.mode == "features":
        if before is None:
            what = f"{config.backbone} gives no single tensor between its blocks {config.layer} and the next"
            raise ConfigError(what, where="model.layer", remedy="leave it out, or take another block")
        frozen = Frozen(before, scaling, pool)
        return Pretrained(frozen, build_head(config, _width(frozen, channels, image_size), outputs, seed))
    frozen = Frozen(before, scaling, None)
    inputs = _width(nn.Sequential(frozen, after, pool), channels, image_size)
    head = build_head(config, inputs, outputs, seed)
    return Pretrained(frozen, Tail(with_streams(after, config.backbone), pool, head, learning[::-1], config))


def random_statistics(config: ModelConfig, seed: int, images: Tensor, scale: Scale | None = None) -> Statistics:
    """What a backbone with random weights holds of training images (B, C, H, W) in [0, 1]; for build_pretrained.

    By one thread, whoever asks: their number decides the last bits, and a worker elsewhere computes the same anew.
    """
    backbone, (mean, sd) = _scaled_backbone(config, images.shape[1], (images.shape[2], images.shape[3]), seed, scale)
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    try:
        return fit_statistics(backbone, (images - mean.view(1, -1, 1, 1)) / sd.view(1, -1, 1, 1))
    finally:
        torch.set_num_threads(threads)


def _scaled_backbone(
    config: ModelConfig, channels: int, image_size: tuple[int, int], seed: int, scale: Scale | None
) -> tuple[nn.Module, Scale]:
    """The whole backbone, and the mean and SD by which its images are scaled."""
    assert config.backbone is not None
    file = weights_file(config.backbone, config.weights)
    wide = 1 if channels == 1 and config.gray == "adapt" else 3
    start = stream_seed(seed, "init", 1)
    backbone = load_backbone(config.backbone, file, channels=wide, image_size=image_size, seed=start)
    return backbone, _scale(expected_input(config.backbone, file), config, wide, scale)


@cache
def _cuts(config: str, channels: int, image_size: tuple[int, int]) -> bool:
    network = build_pretrained(ModelConfig.model_validate_json(config), channels, 1, image_size, seed=0)
    return network.frozen.backbone is not None


def has_frozen_part(config: ModelConfig, channels: int, image_size: tuple[int, int]) -> bool:
    """Whether a part of the backbone stays as it is, so that it can be computed once. Raises as build_pretrained."""
    return _cuts(config.model_dump_json(), channels, image_size)


@torch.no_grad()
def compute(frozen: Frozen, images: Tensor, precision: str) -> Tensor:
    """Images (B, C, H, W) float32 in [0, 1] -> what a run takes instead of them, float32."""
    with torch.autocast(images.device.type, dtype=torch.bfloat16, enabled=precision == "bf16"):
        found: Tensor = frozen(images)
    return found.float()


def frozen_values(frozen: Frozen, images: Tensor, precision: str, stored: str) -> NDArray[Any]:
    """What `compute` makes of the images as runs store it (float32 or float16): maps (B, C, H, W) as (B, H, W, C)."""
    found = compute(frozen, images, precision)
    arranged = found.permute(0, 2, 3, 1) if found.ndim == 4 else found
    with np.errstate(over="ignore"):  # told below
        values = np.ascontiguousarray(arranged.cpu().numpy(), dtype=stored)
    if np.isinf(values).any() and arranged.isfinite().all():
        what = f"reach {arranged.abs().max():.3g}, and float16 ends at 65,504"
        raise RunError(what, where="features", remedy="set model.feature_precision to float32")
    return values


def build_head(config: ModelConfig, inputs: int, outputs: int, seed: int) -> nn.Sequential:
    """Dense layers (B, inputs) -> (B, outputs) with their initial weights, from the stream "init" of `seed`."""
    with torch.device("meta"):
        head = dense_layers(inputs, config.filled()["dense"], outputs, config.dropout)
    head = head.to_empty(device="cpu")
    glorot_uniform(head, torch.Generator().manual_seed(stream_seed(seed, "init")))
    return head


def _write_nothing_over(backbone: nn.Module) -> None:
    for module in backbone.modules():
        if getattr(module, "inplace", False):
            module.inplace = False  # type: ignore[assignment]


def _learning(config: ModelConfig, blocks: int) -> int:
    """How many of the blocks come after the cut. Raises ConfigError for a block that there is not."""
    if config.mode == "features":
        layer = config.layer if config.layer >= 0 else blocks + config.layer
        if not 0 <= layer < blocks:
            what = f"{config.backbone} has {blocks} blocks, and no block {config.layer}"
            raise ConfigError(what, where="model.layer", remedy=f"use 0 to {blocks - 1}, or -{blocks} to -1")
        return blocks - 1 - layer
    if config.unfreeze == "all":
        return blocks
    if config.unfreeze > blocks:
        what = f"{config.backbone} has {blocks} blocks, not {config.unfreeze}"
        raise ConfigError(what, where="model.unfreeze", remedy=f"use 1 to {blocks}, or all")
    return config.unfreeze


def _pooling(config: ModelConfig, backbone: nn.Module) -> Pooling:
    channels_last = str(getattr(backbone, "output_fmt", "NCHW")) == "NHWC"
    prefix: int = getattr(backbone, "num_prefix_tokens", 0)
    grid = getattr(getattr(backbone, "patch_embed", None), "grid_size", None)  # which is of these images' size
    return Pooling(config.pooling, channels_last=channels_last, prefix=prefix, grid=grid and (grid[0], grid[1]))


def _scale(expected: ExpectedInput, config: ModelConfig, wide: int, scale: Scale | None) -> Scale:
    """Mean and SD for each of the channels that the backbone takes."""
    if config.preprocessing == "none":
        mean, sd = scale if scale is not None else (torch.zeros(1), torch.ones(1))
        return mean.expand(wide), sd.expand(wide)
    mean, sd = torch.tensor(expected.mean), torch.tensor(expected.sd)
    return (mean, sd) if wide == 3 else (mean.mean().view(1), sd.mean().view(1))


def _width(part: nn.Module, channels: int, image_size: tuple[int, int]) -> int:
    """How many values an image becomes."""
    with torch.no_grad():
        return int(part(torch.zeros(1, channels, *image_size)).shape[1])


def expected_size(config: ModelConfig) -> tuple[int, int]:
    """Height and width of the images that the weights were trained with."""
    assert config.backbone is not None
    return expected_input(config.backbone, weights_file(config.backbone, config.weights)).size


def weights_identity(config: ModelConfig) -> str:
    """A digest of the weights and of the input that they expect; of random ones, how they are drawn.

    Fetches weights of timm's hub that are not there yet. Raises ConfigError where that cannot be done.
    """
    assert config.backbone is not None
    file = weights_file(config.backbone, config.weights)
    if file is None:
        return VERSION
    expected = expected_input(config.backbone, file)
    return sha256(f"{weights_digest(file)} {expected.mean} {expected.sd}".encode()).hexdigest()
