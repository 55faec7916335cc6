"""The network of a run as its training begins: from its configuration, with what it knows of the training side."""

from typing import Any

import torch
from torch import Tensor, nn

from diascope.data.batches import as_inputs
from diascope.data.pixel_statistics import pixel_statistics
from diascope.engine.task import RunTask, open_pixels
from diascope.features import FeatureSource, open_features
from diascope.models import output_count
from diascope.models.own import code_digest
from diascope.models.pretrained import (
    Frozen,
    Pretrained,
    Scale,
    Tail,
    build_head,
    random_statistics,
    weights_identity,
)
from diascope.models.random_backbone import Statistics, sample_rows
from diascope.models.scaling import imagenet_statistics
from diascope.predict.network import build_network, read_weights, trained_part
from diascope.runs.folder import RunFolder
from diascope.runs.seal import refuse_changed


def new_network(task: RunTask) -> nn.Module:
    """The network as a training begins with it; what it is to know of the images comes from the training side alone.

    Behind a frozen backbone it is only what learns: it takes what `frozen_part` makes of the images.
    """
    config, data = task.config, task.data
    outputs = output_count(len(data.classes))
    if config.model.mode == "features" and data.features is not None:
        model: nn.Module = build_head(config.model, open_features(data.features).shape[1], outputs, config.run_seed)
    else:
        model = trained_part(build_network(config, len(data.classes), scale_of(task), statistics_of(task)))
    if task.start is not None:
        start = RunFolder(task.start)
        refuse_changed(start, start.best)
        _begin_with(model, read_weights(start.best))
    return model


def frozen_part(task: RunTask) -> Frozen:
    """What stands between the images and the network that is trained, of a pretrained one."""
    network = build_network(task.config, len(task.data.classes), scale_of(task), statistics_of(task))
    assert isinstance(network, Pretrained)
    return network.frozen


def scale_of(task: RunTask) -> Scale | None:
    """Mean and SD, (C,) each, that data.normalize takes off and divides by; None where it is none."""
    data = task.config.data
    if data.normalize == "none":
        return None
    if data.normalize == "imagenet":
        return imagenet_statistics(data.channels)
    mean, sd = pixel_statistics(open_pixels(task.data.pixels), task.data.training)
    return torch.from_numpy(mean).float(), torch.from_numpy(sd).float()


def statistics_of(task: RunTask) -> Statistics | None:
    """What a backbone with random weights is fitted with, from the training side; None for any other network.

    As the run's folder or the features have it, else computed, which takes some seconds.
    """
    model, data, folder = task.config.model, task.data, RunFolder(task.folder)
    if model.kind != "pretrained" or model.weights != "random":
        return None
    if folder.statistics.exists() and folder.run_id() in (task.run_id, task.continues):
        return read_weights(folder.statistics)
    if isinstance(data.features, FeatureSource):
        return data.features.statistics()
    pixels = open_pixels(data.pixels)
    rows = sample_rows(data.training, (pixels.shape[1], pixels.shape[2]))
    images = as_inputs(torch.from_numpy(pixels[rows]))
    return random_statistics(model, task.config.run_seed, images, scale_of(task))


def recorded(task: RunTask) -> dict[str, Any]:
    """What config.json keeps so that images can be read as the run's were, and its network be put together again."""
    if task.config.model.kind == "own":
        return {"bits": task.data.bits, "code": code_digest(task.config.model.name)}
    if task.config.model.kind != "pretrained":
        return {"bits": task.data.bits}
    scale = scale_of(task)
    return {
        "bits": task.data.bits,
        "weights": weights_identity(task.config.model),
        "scale": None if scale is None else [values.tolist() for values in scale],
    }


def _begin_with(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """All weights of an earlier run; where it trained a head or fewer blocks alone, the others stay as they are."""
    if isinstance(model, Tail) and not any(name.startswith("head.") for name in weights):
        model = model.head
    elif isinstance(model, Tail):
        weights = {**model.state_dict(), **weights}
    model.load_state_dict(weights)
