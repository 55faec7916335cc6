"""Files of weights: safetensors, or PyTorch's of plain tensors; their digests, tensors, and the input they expect."""

import argparse
from collections.abc import Mapping
from math import isfinite
from pathlib import Path
from pickle import UnpicklingError
from typing import Any
from warnings import catch_warnings

import torch
from torch import Tensor

from diascope.core.errors import ConfigError
from diascope.core.files import file_digest

# Under which of its keys a checkpoint may hold the weights: averaged ones first, as timm does it.
WRAPPERS = ("state_dict_ema", "model_ema", "state_dict", "model")
WHOLE_FILE = "bring the whole file again; it is a .safetensors file or what torch.save wrote of a state_dict"


def given_file(weights: str | Path) -> Path:
    """`weights` as the path of a file that is there. Raises ConfigError."""
    file = Path(weights)
    if not file.is_file():
        what = "is a folder" if file.is_dir() else "there is no such file"
        raise ConfigError(what, where=place(file), remedy="set model.weights to hub, random or a file")
    return file


def place(file: Path) -> str:
    """How an error names the file."""
    return f"model.weights: {file}"


def weights_digest(file: Path) -> str:
    """SHA-256 of the bytes, hexadecimal. A file that has not changed since is not read again. Raises ConfigError."""
    try:
        return file_digest(given_file(file))
    except OSError as error:
        raise _unreadable(file, error) from error


def read_weights(file: Path) -> dict[str, Tensor]:
    """The tensors of a file by name, on the CPU. Code that a PyTorch file holds is never run. Raises ConfigError."""
    try:
        if _is_safetensors(file):
            from safetensors.torch import load_file

            saved = load_file(file)
        else:
            # timm's own checkpoints hold the arguments of their training, which are plain values.
            with torch.serialization.safe_globals([argparse.Namespace]), catch_warnings(action="ignore"):
                saved = torch.load(file, map_location="cpu", weights_only=True)
    except Exception as error:  # what bytes that are no weights may raise has no end
        raise _unreadable(file, error) from error
    return _clean(saved, file)


def stated_input(file: Path) -> tuple[tuple[float, ...] | None, tuple[float, ...] | None, tuple[int, int] | None]:
    """Mean, SD (three numbers each) and size (height, width) in a safetensors file's metadata; None where not said.

    The keys are `mean`, `std`, and `size` or `input_size`; numbers are separated by commas, and a size may begin with
    the number of channels. Raises ConfigError.
    """
    said = _metadata(file)
    mean, sd = (_numbers(file, said, key, (3,)) for key in ("mean", "std"))
    if (mean is None) != (sd is None):
        _refuse(file, "has mean or std, but not both")
    if sd is not None and min(sd) <= 0:
        _refuse(file, f"has std {said['std']!r}, and an SD is above 0")
    size = _numbers(file, said, "size" if "size" in said else "input_size", (1, 2, 3))
    if size is None:
        return mean, sd, None
    if min(size) < 1 or any(side != int(side) for side in size):
        _refuse(file, f"has a size of {', '.join(f'{side:g}' for side in size)}, which is not a size in pixels")
    return mean, sd, (int(size[-2:][0]), int(size[-1]))


def _is_safetensors(file: Path) -> bool:
    """By what is in it: eight bytes with the length of the header, which is JSON."""
    with file.open("rb") as stream:
        return stream.read(9)[8:] == b"{"


def _clean(saved: Any, file: Path) -> dict[str, Tensor]:
    """The tensors of a state_dict, which may lie in a checkpoint, without the prefixes that wrappers of a model add."""
    from timm.models import clean_state_dict

    if isinstance(saved, Mapping):
        saved = next((saved[key] for key in WRAPPERS if isinstance(saved.get(key), Mapping)), saved)
        tensors = {name: value for name, value in saved.items() if isinstance(name, str) and isinstance(value, Tensor)}
        if tensors:
            return clean_state_dict(tensors)
    raise ConfigError("holds no tensors by name", where=place(file), remedy=WHOLE_FILE)


def _metadata(file: Path) -> dict[str, str]:
    try:
        if not _is_safetensors(file):
            return {}
        from safetensors import safe_open

        with safe_open(file, framework="pt") as opened:
            return opened.metadata() or {}
    except Exception as error:  # SafetensorError, OSError, or an error of its decoding
        raise _unreadable(file, error) from error


def _numbers(file: Path, said: Mapping[str, str], key: str, lengths: tuple[int, ...]) -> tuple[float, ...] | None:
    if key not in said:
        return None
    try:
        numbers = tuple(float(number) for number in said[key].split(","))
    except ValueError:
        numbers = ()
    if len(numbers) not in lengths or not all(map(isfinite, numbers)):
        wanted = "three numbers" if lengths == (3,) else "height and width"
        _refuse(file, f"has {key} {said[key]!r}, which is not {wanted} separated by commas")
    return numbers


def _refuse(file: Path, what: str) -> None:
    remedy = "correct the metadata, or leave mean, std and size out of it: timm's values for the backbone are used then"
    raise ConfigError(f"its metadata {what}", where=place(file), remedy=remedy)


def _unreadable(file: Path, error: Exception) -> ConfigError:
    return ConfigError(f"cannot be read: {_cause(file, error)}", where=place(file), remedy=WHOLE_FILE)


def _cause(file: Path, error: Exception) -> str:
    start = b""
    if not isinstance(error, OSError):
        with file.open("rb") as stream:
            start = stream.read(64).lstrip().lower()
        if not start:
            return "it is empty"
    if start.startswith((b"<!doctype", b"<html", b"<?xml")):
        return "it is a web page, saved in place of the file"
    if start.startswith(b"version https://git-lfs"):
        return "it is Git LFS's pointer to the file, which git lfs pull fetches"
    if isinstance(error, UnpicklingError) and "GLOBAL" in str(error):
        return "it holds Python objects beside tensors, such as a whole network, whose code is never run"
    told = " ".join(str(error).split()).split(". ")[0]
    return f"truncated, or no file of weights ({type(error).__name__}: {told[:200]})"
