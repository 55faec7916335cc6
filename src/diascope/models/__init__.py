"""The networks: MODELS holds them all, build_model makes one from a study file's `model` section."""

import sys
from collections.abc import Callable

import torch
from torch import nn

from diascope.config import ModelConfig
from diascope.core.errors import ConfigError
from diascope.core.seeding import stream_seed
from diascope.models import alexnet, resnet, vgg
from diascope.models.cam import cam_layer, cam_maps
from diascope.models.own import check_trainable, code_digest, own_network
from diascope.models.pretrained import Pretrained, Tail, build_pretrained, has_frozen_part, weights_identity

__all__ = [
    "MODELS",
    "build_model",
    "cam_layer",
    "cam_maps",
    "check_model",
    "model_digest",
    "output_count",
    "smallest_image",
]


def _alexnet(config: ModelConfig, channels: int, outputs: int, image_size: tuple[int, int]) -> nn.Module:
    return alexnet.AlexNet(channels, outputs, image_size, **config.filled())


def _vgg(config: ModelConfig, channels: int, outputs: int, image_size: tuple[int, int]) -> nn.Module:
    return vgg.VGG(channels, outputs, image_size, **config.filled())


def _resnet(config: ModelConfig, channels: int, outputs: int, image_size: tuple[int, int]) -> nn.Module:
    return resnet.ResNet(channels, outputs, **config.filled())


MODELS: dict[str, Callable[[ModelConfig, int, int, tuple[int, int]], nn.Module]] = {
    "alexnet": _alexnet,
    "vgg": _vgg,
    "resnet": _resnet,
}


def build_model(
    config: ModelConfig, *, channels: int, classes: int, image_size: tuple[int, int], seed: int
) -> nn.Module:
    """A network with its initial weights on the CPU, channels-last: (B, channels, height, width) -> logits.

    Two classes give one logit (B, 1), that of the second class; K > 2 classes give (B, K). Draws from the stream "init"
    of `seed` alone. Raises ConfigError where the images are too small for the network.
    """
    outputs = output_count(classes)
    _check_size(config, image_size)
    start = stream_seed(seed, "init")
    if config.kind == "own":
        model = own_network(config, channels, outputs, image_size, start)
    elif config.kind == "pretrained":
        model = build_pretrained(config, channels, outputs, image_size, seed)
    else:
        with torch.device("meta"):  # PyTorch's own initial weights, drawn from the global stream, are never made
            model = MODELS[config.name](config, channels, outputs, image_size)
        model = model.to_empty(device="cpu")
        model.initialize(torch.Generator().manual_seed(start))  # type: ignore[operator]
    return model.to(memory_format=torch.channels_last)


def check_model(config: ModelConfig, *, channels: int, classes: int, image_size: tuple[int, int]) -> None:
    """Raises ConfigError for a network that could not be trained on such images: before any training, and cheaply.

    For a built-in network that is arithmetic; one of the user's own is built, and sees images in either mode, as does a
    pretrained one whose normalization learns; of the others the weights are read.
    """
    _check_size(config, image_size)
    if config.kind == "pretrained":
        has_frozen_part(config, channels, image_size)
    if config.kind == "own" or not config.frozen_statistics:
        model = build_model(config, channels=channels, classes=classes, image_size=image_size, seed=0)
        if isinstance(model, Pretrained) and isinstance(model.tail, Tail):
            model.tail.begin_epoch(sys.maxsize)  # when all blocks learn that ever will
        name = config.backbone or config.name
        check_trainable(model, name, channels=channels, outputs=output_count(classes), image_size=image_size)


def model_digest(config: ModelConfig) -> str:
    """A digest of the code of a network of the user's own, or of pretrained weights; nothing for a built-in one."""
    if config.kind == "pretrained":
        return weights_identity(config)
    return code_digest(config.name) if config.kind == "own" else ""


def smallest_image(config: ModelConfig) -> int:
    """Pixels a side that a network needs; 1 for one of the user's own, which has to see to it itself."""
    if config.kind == "resnet":
        shape = config.filled()
        return resnet.smallest_image(stages=shape["stages"], stem=shape["stem"])
    sizes: dict[str, int] = {"alexnet": alexnet.SMALLEST, "vgg": vgg.SMALLEST}
    return sizes.get(config.kind, 1)


def output_count(classes: int) -> int:
    """Logits of a network: one for two classes, else one a class."""
    return 1 if classes == 2 else classes


def _check_size(config: ModelConfig, image_size: tuple[int, int]) -> None:
    smallest = smallest_image(config)
    if min(image_size) < smallest:
        other = ", or take a smaller model.stem" if config.kind == "resnet" and smallest > 8 else ""
        raise ConfigError(
            f"{config.name} needs images of {smallest} x {smallest} pixels or more, these have "
            f"{image_size[0]} x {image_size[1]}",
            where="data.image_size",
            remedy=f"set data.image_size to {smallest} or more{other}",
        )
