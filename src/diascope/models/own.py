"""A network of the user's own: a function in a Python file that returns a torch.nn.Module."""

import traceback
from collections.abc import Callable
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn

from diascope.config import ModelConfig, own_model
from diascope.errors import ConfigError
from diascope.models.layers import Dropout

WITHOUT_REPEAT = (nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Dropout1d, nn.Dropout3d)
EXAMPLE = "def function(channels, outputs, image_size, **options): return torch.nn.Sequential(...)"


def own_network(config: ModelConfig, channels: int, outputs: int, image_size: tuple[int, int], seed: int) -> nn.Module:
    """What the user's function returns; called as function(channels, outputs, (height, width), **options).

    Weights are those that the function gives them, with PyTorch's global generator set by `seed` and put back
    afterwards. nn.Dropout and nn.Dropout2d are replaced by Diascope's layer of the same rate, which draws from the
    run's own stream: a training that is cut and continued draws the same numbers. Raises ConfigError.
    """
    function = _load(config.name)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        try:
            model = function(channels, outputs, image_size, **config.options)
        except Exception as error:  # the user's code may raise anything
            raise ConfigError(_in_their_code(error), where=config.name, remedy=_call(config, image_size)) from error
    if not isinstance(model, nn.Module):
        what = f"returned a {type(model).__name__}, not a torch.nn.Module"
        raise ConfigError(what, where=config.name, remedy=EXAMPLE)
    return _with_streams(model.to("cpu"), config.name)


def check_own(model: nn.Module, name: str, *, channels: int, outputs: int, image_size: tuple[int, int]) -> None:
    """Two images forward in evaluation mode and one, backward too, in training mode. Raises ConfigError."""
    _give_generators(model)
    for training, images in ((False, 2), (True, 2)):
        batch = torch.rand(images, channels, *image_size, generator=torch.Generator().manual_seed(0))
        logits = _try_forward(model.train(training), batch, name)
        _check_logits(logits, (images, outputs), name)


def _load(name: str) -> Callable[..., Any]:
    """The function that `file.py:function` names. The file runs as a module of a private name, anew each time."""
    named = own_model(name)
    assert named is not None
    file, function = Path(named[0]), named[1]
    if not file.is_file():
        raise ConfigError(
            "there is no such file", where=f"model.name: {file}", remedy="give its path in the study file"
        )
    private = f"_diascope_own_{sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(private, file)
    assert spec is not None
    assert spec.loader is not None
    module = module_from_spec(spec)
    try:
        spec.loader.exec_module(module)
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        raise ConfigError(_in_their_code(error), where=str(file), remedy="mend the file") from error
    if not hasattr(module, function):
        known = [key for key, value in vars(module).items() if callable(value) and not key.startswith("_")]
        raise ConfigError(f"has no {function}", where=str(file), remedy=f"it has {', '.join(known) or 'no functions'}")
    found = getattr(module, function)
    if not callable(found):
        raise ConfigError(f"{function} is a {type(found).__name__}, no function", where=str(file), remedy=EXAMPLE)
    return found  # type: ignore[no-any-return]


def _in_their_code(error: BaseException) -> str:
    """The error with its last line, which is where the user has to look."""
    frames = traceback.extract_tb(error.__traceback__)
    line = f" in line {frames[-1].lineno} of {Path(frames[-1].filename).name}" if frames else ""
    return f"raised {type(error).__name__}{line}: {error}"


def _call(config: ModelConfig, image_size: tuple[int, int]) -> str:
    options = "".join(f", {key}={value!r}" for key, value in config.options.items())
    return f"it was called as function(channels, outputs, {image_size}{options})"


def _with_streams(model: nn.Module, name: str) -> nn.Module:
    """`model` with its dropout layers replaced by ones that draw from a generator that they are given."""
    if isinstance(model, nn.Dropout | nn.Dropout2d):
        return _stream_dropout(model, name)
    for parent in list(model.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout | nn.Dropout2d):
                setattr(parent, key, _stream_dropout(child, name))
            elif isinstance(child, WITHOUT_REPEAT):
                what = f"{type(child).__name__} draws numbers that a continued training could not draw again"
                raise ConfigError(what, where=name, remedy="use nn.Dropout or nn.Dropout2d")
    return model


def _stream_dropout(layer: nn.Dropout | nn.Dropout2d, name: str) -> nn.Module:
    if layer.p >= 1:
        raise ConfigError(f"a dropout rate of {layer.p} leaves nothing", where=name, remedy="use less than 1")
    return Dropout(layer.p, spatial=isinstance(layer, nn.Dropout2d)) if layer.p > 0 else nn.Identity()


def _give_generators(model: nn.Module) -> None:
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = torch.Generator().manual_seed(0)


def _try_forward(model: nn.Module, batch: Tensor, name: str) -> Any:
    mode = "training" if model.training else "evaluation"
    before = torch.get_rng_state()
    try:
        with torch.random.fork_rng(devices=[]):
            logits = model(batch)
            drawn = not torch.equal(before, torch.get_rng_state())
    except Exception as error:  # the user's code may raise anything
        what = f"{_in_their_code(error)}, given images {tuple(batch.shape)} in {mode} mode"
        raise ConfigError(what, where=name, remedy="images are (B, channels, height, width)") from error
    if drawn:
        what = f"draws from PyTorch's global generator in {mode} mode, which a continued training could not repeat"
        raise ConfigError(what, where=name, remedy="use the layers nn.Dropout or nn.Dropout2d")
    return logits


def _check_logits(logits: Any, shape: tuple[int, int], name: str) -> None:
    if not isinstance(logits, Tensor):
        raise ConfigError(f"gave a {type(logits).__name__}, not a tensor", where=name, remedy="return the logits alone")
    if tuple(logits.shape) != shape:
        what = f"gave {tuple(logits.shape)} for {shape[0]} images; it must be {shape}"
        remedy = "end with a layer of `outputs` units: one logit for two classes, else one a class"
        raise ConfigError(what, where=name, remedy=remedy)
    if not torch.isfinite(logits).all():
        raise ConfigError("gave values that are not finite", where=name, remedy="look at its initial weights")
