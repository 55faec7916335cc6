"""The network of a finished run, from its folder: built from its configuration, with the weights that it ended with."""

import json
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from safetensors import SafetensorError
from safetensors.torch import load_file
from torch import Tensor, nn

from diascope.config import RunConfig
from diascope.core.errors import RunError
from diascope.models import build_model, output_count
from diascope.models.own import code_digest
from diascope.models.pretrained import Pretrained, Scale, build_pretrained, weights_identity
from diascope.models.random_backbone import Statistics
from diascope.models.scaling import scaled
from diascope.runs.folder import RunFolder
from diascope.runs.seal import refuse_changed


def load_model(folder: Path, checkpoint: str = "best") -> nn.Module:
    """The trained network of a finished run, in evaluation mode on the CPU; checkpoint "best" or "last".

    It takes images (B, C, H, W) with values from 0 to 1, whatever data.normalize is. Raises RunError where there is no
    such run, or its files are not as they were written.
    """
    return read_run(folder, checkpoint).model


def require_finished(folder: Path) -> None:
    """Raises RunError where no finished run lies in the folder."""
    if not RunFolder(folder).done.exists():
        raise RunError("this run is not finished", where=str(folder), remedy="run the study again to finish it")


@dataclass(frozen=True, eq=False)
class TrainedRun:
    """What a finished run's folder says of its network, and the network: images (B, C, H, W) from 0 to 1 -> logits.

    `bits` is how many of 16 the gray values of its images used; None where an older version did not write it down.
    """

    config: RunConfig
    classes: tuple[str, ...]
    model: nn.Module
    bits: int | None


def read_run(folder: Path, checkpoint: str = "best") -> TrainedRun:
    """The trained network in evaluation mode on the CPU. Raises RunError as load_model does."""
    run = RunFolder(folder)
    if checkpoint not in ("best", "last"):
        raise RunError(f"there is no checkpoint {checkpoint!r}", where=str(folder), remedy="use best or last")
    require_finished(folder)
    tree = json.loads(run.config.read_text(encoding="utf-8"))
    config = RunConfig.model_validate_json(json.dumps(tree["config"]), strict=True)
    _refuse_other_weights(config, tree, run.config)
    _refuse_other_code(config, tree, run.config)
    fitted = config.model.kind == "pretrained" and config.model.weights == "random"
    weights = run.best if checkpoint == "best" else run.last
    refuse_changed(run, run.config, weights, *([run.statistics] if fitted else []))
    statistics = read_weights(run.statistics) if fitted else None
    model = build_network(config, len(tree["classes"]), _saved_scale(config, tree), statistics)
    trained_part(model).load_state_dict(read_weights(weights))
    return TrainedRun(config, tuple(tree["classes"]), model.eval(), tree.get("bits"))


def build_network(
    config: RunConfig, classes: int, scale: Scale | None, statistics: Statistics | None = None
) -> nn.Module:
    """The whole network of a run, which takes images; with data.normalize, weights to be loaded may hold its scale."""
    channels, size = config.data.channels, (config.data.height, config.data.width)
    if config.model.kind == "pretrained":
        outputs, seed = output_count(classes), config.run_seed
        return build_pretrained(config.model, channels, outputs, size, seed, scale, statistics=statistics)
    model = build_model(config.model, channels=channels, classes=classes, image_size=size, seed=config.run_seed)
    return model if scale is None else scaled(model, *scale)


def trained_part(model: nn.Module) -> nn.Module:
    """What a run trains and saves of a network: all of it, or what stands behind the frozen part."""
    return model.tail if isinstance(model, Pretrained) else model


def read_weights(file: Path) -> dict[str, Tensor]:
    """The weights in a safetensors file. Raises RunError where there are none."""
    try:
        return load_file(file)
    except (OSError, SafetensorError) as error:
        remedy = "name the folder of a finished run"
        raise RunError(f"holds no weights that can be read ({error})", where=str(file), remedy=remedy) from error


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
