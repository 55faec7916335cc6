"""Files of weights: what is read, what is refused before any of it is run, and what their metadata may say."""

import argparse
import hashlib
import os
import struct
from pathlib import Path

import pytest
import torch
from safetensors.torch import save_file
from torch import nn

from diascope.core.errors import ConfigError
from diascope.models.weight_files import read_weights, stated_input, weights_digest

STATE = {"a.weight": torch.arange(6.0).view(2, 3), "b": torch.tensor(3)}


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "mine.bin"  # the name says nothing of the format


def same(tensors: dict[str, torch.Tensor]) -> bool:
    return tensors.keys() == STATE.keys() and all(torch.equal(tensors[key], STATE[key]) for key in STATE)


def test_either_format_is_read_by_what_is_in_it(file):
    save_file(STATE, file)
    assert same(read_weights(file))
    for zipped in (True, False):
        torch.save(STATE, file, _use_new_zipfile_serialization=zipped)
        assert same(read_weights(file))


def test_prefixes_and_wrappers_are_taken_off(file):
    wrapped = {f"module._orig_mod.{key}": tensor for key, tensor in STATE.items()}
    save_file(wrapped, file)
    assert same(read_weights(file))
    averaged = {"state_dict": {"a.weight": torch.zeros(1)}, "state_dict_ema": STATE, "args": argparse.Namespace(lr=1)}
    torch.save(averaged, file)
    assert same(read_weights(file))


class Trap:
    """Runs a command where it is unpickled without restraint."""

    def __init__(self, sprung: Path) -> None:
        self.sprung = sprung

    def __reduce__(self):
        return os.mkdir, (str(self.sprung),)


@pytest.mark.parametrize("zipped", [True, False])
def test_code_in_a_file_is_never_run(file, zipped):
    sprung = file.parent / "sprung"
    torch.save({"a": torch.zeros(1), "b": Trap(sprung)}, file, _use_new_zipfile_serialization=zipped)
    with pytest.raises(ConfigError, match="cannot be read"):
        read_weights(file)
    assert not sprung.exists()
    torch.load(file, weights_only=False)
    assert sprung.exists()  # it is one


def test_a_pickled_network_is_refused(file):
    torch.save(nn.Linear(1, 1), file)
    with pytest.raises(ConfigError, match="holds Python objects beside tensors, such as a whole network, whose"):
        read_weights(file)


BROKEN = {
    "empty": lambda whole: b"",
    "one byte": lambda whole: whole[:1],
    "half": lambda whole: whole[: len(whole) // 2],
    "all but the last byte": lambda whole: whole[:-1],
    "zeros": lambda whole: bytes(len(whole)),
    "text": lambda whole: b"<html>404 not found</html>",
    "a pointer": lambda whole: b"version https://git-lfs.github.com/spec/v1\noid sha256:0\nsize 12\n",
    "a header of great length": lambda whole: struct.pack("<Q", 1 << 60) + b"{" + whole[9:],
    "a header of no JSON": lambda whole: struct.pack("<Q", 20) + b"{" + b"x" * 100,
}

CAUSES = {"empty": "it is empty", "text": "it is a web page", "a pointer": "it is Git LFS's pointer"}


@pytest.mark.parametrize("fault", BROKEN)
@pytest.mark.parametrize("save", [save_file, torch.save])
def test_a_broken_file_is_told_by_name(file, fault, save):
    save({"a": torch.rand(100)}, file)
    file.write_bytes(BROKEN[fault](file.read_bytes()))
    cause = CAUSES.get(fault, "truncated, or no file of weights")
    with pytest.raises(ConfigError, match=f"cannot be read: {cause}") as caught:
        read_weights(file)
    assert caught.value.where == f"model.weights: {file}"
    assert "bring the whole file again" in caught.value.remedy


@pytest.mark.parametrize("content", [[torch.zeros(1)], torch.zeros(1), {}, {"a": 1}, {1: torch.zeros(1)}])
def test_a_file_without_named_tensors_is_told(file, content):
    torch.save(content, file)
    with pytest.raises(ConfigError, match="holds no tensors by name"):
        read_weights(file)


def test_a_file_that_may_not_be_read_is_told(file):
    file.mkdir()
    with pytest.raises(ConfigError, match=r"cannot be read.*IsADirectoryError"):
        read_weights(file)


def test_the_digest_is_that_of_the_bytes_and_follows_a_change(file, monkeypatch):
    file.write_bytes(b"one")
    assert weights_digest(file) == hashlib.sha256(b"one").hexdigest()
    with monkeypatch.context() as patch:
        patch.setattr(Path, "open", lambda *_: pytest.fail("read again"))
        assert weights_digest(file) == hashlib.sha256(b"one").hexdigest()
    file.write_bytes(b"two")
    os.utime(file, ns=(1, 1))
    assert weights_digest(file) == hashlib.sha256(b"two").hexdigest()
    file.unlink()
    with pytest.raises(ConfigError, match="no such file"):
        weights_digest(file)


MEAN_SD = {"mean": "0.5,0.4, 0.3", "std": "1,2,3e-1"}


def test_the_input_in_the_metadata(file):
    save_file(STATE, file, MEAN_SD)
    assert stated_input(file) == ((0.5, 0.4, 0.3), (1, 2, 0.3), None)
    for said, size in {"96": (96, 96), "96,128": (96, 128), "3,64,32": (64, 32)}.items():
        save_file(STATE, file, {"input_size": said})
        assert stated_input(file) == (None, None, size)
    save_file(STATE, file, {"input_size": "96", "size": "80"})
    assert stated_input(file)[2] == (80, 80)


def test_a_file_that_says_nothing(file):
    save_file(STATE, file, {"format": "pt"})
    assert stated_input(file) == (None, None, None)
    torch.save(STATE, file)
    assert stated_input(file) == (None, None, None)
    file.write_bytes(struct.pack("<Q", 1 << 40) + b"{")
    with pytest.raises(ConfigError, match="cannot be read"):
        stated_input(file)


@pytest.mark.parametrize(
    ("said", "message"),
    [
        ({"mean": "0.5,0.4,0.3"}, "mean or std, but not both"),
        ({"std": "1,1,1"}, "mean or std, but not both"),
        (MEAN_SD | {"mean": "0.5,0.4"}, "has mean '0.5,0.4', which is not three numbers separated by commas"),
        (MEAN_SD | {"mean": "a,b,c"}, "has mean 'a,b,c'"),
        (MEAN_SD | {"mean": ""}, "has mean ''"),
        (MEAN_SD | {"std": "1,1,nan"}, "has std '1,1,nan', which is not"),
        (MEAN_SD | {"std": "1,0,1"}, "an SD is above 0"),
        (MEAN_SD | {"std": "1,-1,1"}, "an SD is above 0"),
        ({"size": "large"}, "has size 'large', which is not height and width"),
        ({"input_size": "1,2,3,4"}, "has input_size '1,2,3,4'"),
        ({"size": "0,5"}, "has a size of 0, 5, which is not a size in pixels"),
        ({"size": "5.5"}, "has a size of 5.5, which is not a size in pixels"),
    ],
)
def test_malformed_metadata_is_told(file, said, message):
    save_file(STATE, file, said)
    with pytest.raises(ConfigError, match=message) as caught:
        stated_input(file)
    assert str(file) in caught.value.where
    assert "correct the metadata" in caught.value.remedy
