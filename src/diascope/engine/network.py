"""The network of a run: built from its configuration, with the weights to begin with, or those that it ended with."""

import json
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diascope.config import RunConfig
from diascope.core.errors import RunError
from diascope.data.batches import as_inputs
from diascope.data.statistics import pixel_statistics
from diascope.engine.task import RunTask, open_pixels, run_seed
from diascope.features import FeatureSource, open_features
from diascope.models import build_model, output_count
from diascope.models.own import code_digest
from diascope.models.pretrained import (
    Frozen,
    Pretrained,
    Scale,
    Tail,
    build_head,
    build_pretrained,
    random_statistics,
    weights_identity,
)
from diascope.models.random_backbone import Statistics, sample_rows
from diascope.models.scaling import imagenet_statistics, scaled
from diascope.runs.folder import RunFolder
from diascope.runs.seal import refuse_changed


def new_network(task: RunTask) -> nn.Module:
    """The network as a training begins with it; what it is to know of the images comes from the training side alone.

    Behind a frozen backbone it is only what learns: it takes what `frozen_part` makes of the images.
    """
    config, data = task.config, task.data
    outputs = output_count(len(data.classes))
    if config.model.mode == "features" and data.features is not None:
        model: nn.Module = build_head(config.model, open_features(data.features).shape[1], outputs, run_seed(config))
    else:
        model = trained_part(_build(config, len(data.classes), scale_of(task), statistics_of(task)))
    if task.start is not None:
        start = RunFolder(task.start)
        refuse_changed(start, start.best)
        _begin_with(model, read_weights(start.best))
    return model


def frozen_part(task: RunTask) -> Frozen:
    """What stands between the images and the network that is trained, of a pretrained one."""
    network = _build(task.config, len(task.data.classes), scale_of(task), statistics_of(task))
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
    return random_statistics(model, run_seed(task.config), images, scale_of(task))


def load_model(folder: Path, checkpoint: str = "best") -> nn.Module:
    """The trained network of a finished run, in evaluation mode on the CPU; checkpoint "best" or "last".

    It takes images (B, C, H, W) with values from 0 to 1, whatever data.normalize is. Raises RunError where there is no
    such run, or its files are not as they were written.
    """
    run = RunFolder(folder)
    if checkpoint not in ("best", "last"):
        raise RunError(f"there is no checkpoint {checkpoint!r}", where=str(folder), remedy="use best or last")
    if not run.done.exists():
        raise RunError("this run is not finished", where=str(folder), remedy="run the study again to finish it")
    tree = json.loads(run.config.read_text(encoding="utf-8"))
    config = RunConfig.model_validate_json(json.dumps(tree["config"]), strict=True)
    _refuse_other_weights(config, tree, run.config)
    _refuse_other_code(config, tree, run.config)
    fitted = config.model.kind == "pretrained" and config.model.weights == "random"
    weights = run.best if checkpoint == "best" else run.last
    refuse_changed(run, run.config, weights, *([run.statistics] if fitted else []))
    statistics = read_weights(run.statistics) if fitted else None
    model = _build(config, len(tree["classes"]), _saved_scale(config, tree), statistics)
    trained_part(model).load_state_dict(read_weights(weights))
    return model.eval()


def read_weights(file: Path) -> dict[str, Tensor]:
    """The weights in a safetensors file. Raises RunError where there are none."""
    from safetensors import SafetensorError

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        remedy = "name the folder of a finished run"
        raise RunError(f"holds no weights that can be read ({error})", where=str(file), remedy=remedy) from error


def recorded(task: RunTask) -> dict[str, Any]:
    """What config.json keeps of a run so that its network can be put together again: what its weights do not hold."""
    if task.config.model.kind == "own":
        return {"code": code_digest(task.config.model.name)}
    if task.config.model.kind != "pretrained":
        return {}
    scale = scale_of(task)
    return {
        "weights": weights_identity(task.config.model),
        "scale": None if scale is None else [values.tolist() for values in scale],
    }


def _saved_scale(config: RunConfig, tree: dict[str, Any]) -> Scale | None:
    """With data.normalize, what a pretrained network was given; any other holds it among its weights, to be loaded."""
    if config.data.normalize == "none":
        return None
    mean, sd = tree.get("scale") or ([0.0] * config.data.channels, [1.0] * config.data.channels)
    return torch.tensor(mean), torch.tensor(sd)


def _refuse_other_weights(config: RunConfig, tree: dict[str, Any], file: Path) -> None:
    """The part that was not trained comes from the file of the weights, which must be what it was."""
    if config.model.kind == "pretrained" and weights_identity(config.model) != tree.get("weights"):
        what = f"{config.model.weights} holds other weights than this run was trained behind"
        remedy = "put the file of the weights back as it was"
        if config.model.weights == "random":
            what = "an earlier version of Diascope drew the random weights that this run was trained behind"
            remedy = "run the study again with --retrain"
        raise RunError(what, where=str(file), remedy=remedy)


def _refuse_other_code(config: RunConfig, tree: dict[str, Any], file: Path) -> None:
    """Weights mean nothing in another network. Older runs did not write down which code theirs was made by."""
    if config.model.kind == "own" and tree.get("code", code := code_digest(config.model.name)) != code:
        what = f"{config.model.name} holds other code than this run was trained with"
        raise RunError(what, where=str(file), remedy="put the file back as it was, or run the study again")


def trained_part(model: nn.Module) -> nn.Module:
    """What a run trains and saves of a network: all of it, or what stands behind the frozen part."""
    return model.tail if isinstance(model, Pretrained) else model


def _begin_with(model: nn.Module, weights: dict[str, Tensor]) -> None:
    """All weights of an earlier run; where it trained a head or fewer blocks alone, the others stay as they are."""
    if isinstance(model, Tail) and not any(name.startswith("head.") for name in weights):
        model = model.head
    elif isinstance(model, Tail):
        weights = {**model.state_dict(), **weights}
    model.load_state_dict(weights)


def _build(config: RunConfig, classes: int, scale: Scale | None, statistics: Statistics | None = None) -> nn.Module:
    """The whole network, which takes images; with data.normalize standard, weights to be loaded may hold its scale."""
    channels, size = config.data.channels, (config.data.height, config.data.width)
    if config.model.kind == "pretrained":
        outputs, seed = output_count(classes), run_seed(config)
        return build_pretrained(config.model, channels, outputs, size, seed, scale, statistics=statistics)
    model = build_model(config.model, channels=channels, classes=classes, image_size=size, seed=run_seed(config))
    return model if scale is None else scaled(model, *scale)
