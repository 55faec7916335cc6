"""The network of a run: built from its configuration, with the weights to begin with, or those that it ended with."""

import json
from pathlib import Path

import torch
from safetensors.torch import load_file
from torch import Tensor, nn

from diascope.config import RunConfig
from diascope.data.statistics import pixel_statistics
from diascope.engine.task import RunTask, open_pixels, run_seed
from diascope.errors import RunError
from diascope.models import build_model
from diascope.models.scaling import imagenet_statistics, scaled
from diascope.runs.folder import RunFolder


def new_network(task: RunTask) -> nn.Module:
    """The network as a training begins with it; what it is to know of the images comes from the training side alone."""
    config, data = task.config, task.data
    if config.data.normalize == "standard":
        mean, sd = pixel_statistics(open_pixels(data.pixels), data.training)
        model = _build(config, len(data.classes), torch.from_numpy(mean).float(), torch.from_numpy(sd).float())
    else:
        model = _build(config, len(data.classes))
    if task.start is not None:
        model.load_state_dict(read_weights(RunFolder(task.start).best))
    return model


def load_model(folder: Path, checkpoint: str = "best") -> nn.Module:
    """The trained network of a finished run, in evaluation mode on the CPU; checkpoint "best" or "last".

    It takes images (B, C, H, W) with values from 0 to 1, whatever data.normalize is.
    """
    run = RunFolder(folder)
    if checkpoint not in ("best", "last"):
        raise RunError(f"there is no checkpoint {checkpoint!r}", where=str(folder), remedy="use best or last")
    if not run.done.exists():
        raise RunError("this run is not finished", where=str(folder), remedy="run the study again to finish it")
    tree = json.loads(run.config.read_text(encoding="utf-8"))
    config = RunConfig.model_validate_json(json.dumps(tree["config"]), strict=True)
    model = _build(config, len(tree["classes"]))
    model.load_state_dict(read_weights(run.best if checkpoint == "best" else run.last))
    return model.eval()


def read_weights(file: Path) -> dict[str, Tensor]:
    """The weights in a safetensors file. Raises RunError where there are none."""
    from safetensors import SafetensorError

    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        remedy = "name the folder of a finished run"
        raise RunError(f"holds no weights that can be read ({error})", where=str(file), remedy=remedy) from error


def _build(config: RunConfig, classes: int, mean: Tensor | None = None, sd: Tensor | None = None) -> nn.Module:
    """`mean` and `sd` are for data.normalize standard; where they are left out, weights to be loaded hold them."""
    channels, size = config.data.channels, (config.data.height, config.data.width)
    model = build_model(config.model, channels=channels, classes=classes, image_size=size, seed=run_seed(config))
    if config.data.normalize == "none":
        return model
    if config.data.normalize == "imagenet":
        return scaled(model, *imagenet_statistics(channels))
    return scaled(model, torch.zeros(channels) if mean is None else mean, torch.ones(channels) if sd is None else sd)
