"""A network of the user's own: a function in a Python file that returns a torch.nn.Module."""

import sys
import traceback
from collections.abc import Callable
from hashlib import sha256
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.parameter import UninitializedParameter

from diascope.config import ModelConfig, own_model
from diascope.core.errors import ConfigError
from diascope.core.files import file_digest
from diascope.models.layers import Dropout

NOT_REPEATED = (nn.AlphaDropout, nn.FeatureAlphaDropout, nn.Dropout1d, nn.Dropout3d)
EXAMPLE = "it is called as function(channels, outputs, image_size, **options) and returns a torch.nn.Module"


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
            _fill_lazy_layers(model, torch.zeros(2, channels, *image_size))
        except Exception as error:  # the user's code may raise anything
            raise ConfigError(_told(error, config.name), where=config.name, remedy=EXAMPLE) from error
    if not isinstance(model, nn.Module):
        what = f"what it returned is of type {type(model).__name__}, no torch.nn.Module"
        raise ConfigError(what, where=config.name, remedy=EXAMPLE)
    return with_streams(model.to("cpu"), config.name)


def check_trainable(model: nn.Module, name: str, *, channels: int, outputs: int, image_size: tuple[int, int]) -> None:
    """Sends two images through `model` in evaluation mode, two and one in training mode. Raises ConfigError."""
    _check_weights(model, name)
    for module in model.modules():
        if isinstance(module, Dropout):
            module.generator = torch.Generator().manual_seed(0)
    for training, images in ((False, 2), (True, 2), (True, 1)):
        batch = torch.rand(images, channels, *image_size, generator=torch.Generator().manual_seed(0))
        logits = _forward(model.train(training), batch.contiguous(memory_format=torch.channels_last), name)
        _check_logits(logits, (images, outputs), name)


def code_digest(name: str) -> str:
    """SHA-256 of the file that `file.py:function` names; not of what it imports. Raises ConfigError."""
    named = own_model(name)
    assert named is not None
    try:
        return file_digest(Path(named[0]))
    except OSError as error:
        raise ConfigError(f"cannot be read ({error.strerror})", where=named[0], remedy="check model.name") from error


def _load(name: str) -> Callable[..., Any]:
    """The function that `file.py:function` names. The file runs as a module of a private name, anew each time."""
    named = own_model(name)
    assert named is not None
    file, function = Path(named[0]), named[1]
    if not file.is_file():
        raise ConfigError("there is no such file", where=f"model.name: {file}", remedy="paths begin at the study file")
    private = f"_diascope_own_{sha256(str(file.resolve()).encode()).hexdigest()[:12]}"
    spec = spec_from_file_location(private, file)
    assert spec is not None
    module = sys.modules[private] = module_from_spec(spec)  # where dataclasses look for it
    try:
        # Not through the loader: it would take a compiled file for the newest one that was changed within a second.
        exec(compile(file.read_bytes(), str(file), "exec"), vars(module))
    except (Exception, SystemExit) as error:  # the user's code may raise anything
        remedy = "repair the file, and install what it imports"
        raise ConfigError(_told(error, name), where=str(file), remedy=remedy) from error
    found = getattr(module, function, None)
    if not callable(found):
        own = (key for key, value in vars(module).items() if getattr(value, "__module__", None) == private)
        what = f"has no function {function}" if found is None else f"{function} is not a function"
        raise ConfigError(what, where=str(file), remedy=f"it has {', '.join(own) or 'none'}")
    return found  # type: ignore[no-any-return]


def _told(error: BaseException, name: str) -> str:
    """The error, with the last line of the user's file that it came through."""
    named = own_model(name)
    lines = [
        frame.lineno for frame in traceback.extract_tb(error.__traceback__) if named and frame.filename == named[0]
    ]
    place = f" in line {lines[-1]}" if lines else ""
    return f"{type(error).__name__}{place}: {error}"


def _fill_lazy_layers(model: object, images: Tensor) -> None:
    """Layers like nn.LazyLinear get their shapes from the first images that they see."""
    if isinstance(model, nn.Module) and any(
        isinstance(weight, UninitializedParameter) for weight in model.parameters()
    ):
        with torch.no_grad():
            model.eval()(images)


def with_streams(model: nn.Module, name: str) -> nn.Module:
    """`model` with its dropout layers replaced by ones that draw from a generator that they are given."""
    for parent in list(model.modules()):
        for key, child in list(parent.named_children()):
            if isinstance(child, nn.Dropout | nn.Dropout2d):
                setattr(parent, key, _stream_dropout(child, name))
            elif isinstance(child, NOT_REPEATED):
                what = f"{type(child).__name__} draws numbers that a continued training could not draw again"
                raise ConfigError(what, where=name, remedy="use nn.Dropout or nn.Dropout2d")
    return model


def _stream_dropout(layer: nn.Dropout | nn.Dropout2d, name: str) -> nn.Module:
    if layer.p >= 1:
        raise ConfigError(f"a dropout rate of {layer.p} leaves nothing", where=name, remedy="use less than 1")
    return Dropout(layer.p, spatial=isinstance(layer, nn.Dropout2d)) if layer.p > 0 else nn.Identity()


def _check_weights(model: nn.Module, name: str) -> None:
    if not any(weight.requires_grad for weight in model.parameters()):
        raise ConfigError("has no weights to train", where=name, remedy="leave requires_grad of some at True")
    places = [weight.untyped_storage().data_ptr() for weight in model.state_dict().values() if weight.numel()]
    if len(set(places)) < len(places):
        what = "two of its weights share their memory, and would not be saved as such"
        raise ConfigError(what, where=name, remedy="register a shared layer once")


def _forward(model: nn.Module, batch: Tensor, name: str) -> Any:
    given = f"{len(batch)} image{'s'[: len(batch) - 1]} in {'training' if model.training else 'evaluation'} mode"
    try:
        with torch.random.fork_rng(devices=[]):
            before = torch.get_rng_state()
            logits = model(batch)
            drawn = not torch.equal(before, torch.get_rng_state())
    except Exception as error:  # the user's code may raise anything
        remedy = "images are (images, channels, height, width)"
        if len(batch) == 1:
            remedy = (
                "the last batch of an epoch may be one image: batch normalization over single values cannot take it"
            )
        raise ConfigError(f"{_told(error, name)}, given {given}", where=name, remedy=remedy) from error
    if drawn:
        what = f"given {given}, it draws from PyTorch's global generator: a continued training could not draw the same"
        raise ConfigError(what, where=name, remedy="use the layers nn.Dropout or nn.Dropout2d")
    return logits


def _check_logits(logits: Any, shape: tuple[int, int], name: str) -> None:
    if not isinstance(logits, Tensor):
        raise ConfigError(
            f"gives something of type {type(logits).__name__}, no tensor", where=name, remedy="return the logits alone"
        )
    if tuple(logits.shape) != shape:
        what = f"gives {tuple(logits.shape)} for {shape[0]} images, not {shape}"
        remedy = "end with a dense layer of `outputs` units: one logit for two classes, else one a class"
        raise ConfigError(what, where=name, remedy=remedy)
    if not torch.isfinite(logits).all():
        raise ConfigError("gives values that are not finite", where=name, remedy="look at its initial weights")
