"""A network of the user's own: what is passed to it, what is refused and how that is told."""

import re
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn

from diascope.config import ModelConfig
from diascope.core.errors import ConfigError
from diascope.models import build_model, cam_layer, check_model
from diascope.models.layers import Dropout

DOCS = Path(__file__).parents[2] / "docs" / "models.md"
START = "import torch\nfrom torch import nn\n\ndef make(channels, outputs, image_size):\n    "


@pytest.fixture
def write(tmp_path: Path):
    def to_file(text: str) -> str:
        """model.name for a file with that text."""
        (tmp_path / "mine.py").write_text(text)
        return f"{tmp_path / 'mine.py'}:make"

    return to_file


def check(name: str, *, channels=1, classes=2, image_size=(16, 16), **keys: Any) -> None:
    check_model(ModelConfig(name=name, **keys), channels=channels, classes=classes, image_size=image_size)


def build(name: str, *, channels=1, classes=2, image_size=(16, 16), seed=0, **keys: Any) -> nn.Module:
    config = ModelConfig(name=name, **keys)
    return build_model(config, channels=channels, classes=classes, image_size=image_size, seed=seed)


def test_the_function_is_told_channels_outputs_size_and_options(write):
    name = write(
        "from torch import nn\n\n"
        "def make(channels, outputs, image_size, *, width, deep=False):\n"
        "    model = nn.Sequential(nn.Flatten(), nn.Linear(channels * image_size[0] * image_size[1], outputs))\n"
        "    model.told = channels, outputs, image_size, width, deep\n"
        "    return model\n"
    )
    model = build(name, channels=3, classes=4, image_size=(8, 12), options={"width": 5, "deep": True})
    assert model.told == (3, 4, (8, 12), 5, True)


def test_weights_are_those_of_its_constructor_under_the_run_s_seed(write):
    name = write(START + "return nn.Sequential(nn.Flatten(), nn.Linear(256, outputs))\n")
    weight = build(name)[1].weight
    limit = 256**-0.5  # of PyTorch's own rule for dense layers
    assert weight.abs().max() <= limit
    assert weight.std().item() == pytest.approx(limit / 3**0.5, rel=0.15)


def test_layers_whose_shapes_follow_from_the_images_are_filled_in(write):
    name = write(START + "return nn.Sequential(nn.LazyConv2d(4, 3), nn.Flatten(), nn.LazyLinear(outputs))\n")
    check(name)
    first, second = build(name, seed=3), build(name, seed=3)
    assert first[2].weight.shape == (1, 4 * 14 * 14)
    assert torch.equal(first[2].weight, second[2].weight)


def test_dropout_becomes_one_that_can_be_repeated(write):
    name = write(
        START + "return nn.Sequential(nn.Conv2d(channels, 4, 3), nn.Dropout2d(0.25), nn.Flatten(), "
        "nn.Sequential(nn.Dropout(0.5), nn.Dropout(0.0)), nn.Linear(784, outputs))\n"
    )
    check(name)
    model = build(name)
    found = [(module.rate, module.spatial) for module in model.modules() if isinstance(module, Dropout)]
    assert found == [(0.25, True), (0.5, False)]
    assert isinstance(model[3][1], nn.Identity)


def test_a_changed_file_is_read_anew_and_compiled_copies_are_not_left_behind(write, tmp_path):
    line = "return nn.Sequential(nn.Flatten(), nn.Linear(256, 8), nn.Linear(8, outputs))\n"
    assert build(write(START + line))[1].out_features == 8
    assert build(write(START + line.replace("8", "9")))[1].out_features == 9
    assert [file.name for file in tmp_path.iterdir()] == ["mine.py"]


def test_dataclasses_with_deferred_annotations_work(write):
    check(
        write(
            "from __future__ import annotations\nfrom dataclasses import dataclass\nfrom torch import nn\n\n"
            "@dataclass\nclass Shape:\n    width: int = 2\n\n"
            "def make(channels, outputs, image_size):\n"
            "    return nn.Sequential(nn.Flatten(), nn.Linear(256, Shape().width), nn.Linear(2, outputs))\n"
        )
    )


FLAT = "nn.Sequential(nn.Flatten(), nn.Linear(256, outputs)"
REFUSED = {
    "no module": ("return 3\n", "what it returned is of type int, no torch.nn.Module"),
    "raises": ("raise KeyError('oh')\n", "KeyError in line 5: 'oh'"),
    "one output too many": (f"return {FLAT}, nn.Linear(1, 2))\n", r"\(2, 2\) for 2 .*not \(2, 1\)"),
    "a number an image": (f"return {FLAT}, nn.Flatten(0))\n", r"gives \(2,\) for 2 images, not \(2, 1\)"),
    "wrong input": ("return nn.Linear(7, outputs)\n", "RuntimeError.*given 2 images in evaluation mode"),
    "several results": (f"return {FLAT}, nn.LSTM(1, 1))\n", "of type tuple, no tensor"),
    "one image": (f"return {FLAT}, nn.BatchNorm1d(1))\n", "given 1 image in training mode; the last batch"),
    "draws": (f"return {FLAT}, nn.RReLU())\n", "2 images in training mode, it draws from PyTorch's global generator"),
    "draws as a layer": (f"return {FLAT}, nn.AlphaDropout(0.1))\n", "AlphaDropout draws.*use nn.Dropout"),
    "drops all": (f"return {FLAT}, nn.Dropout(1.0))\n", "rate of 1.0 leaves nothing"),
    "infinite": ("m = nn.Linear(256, outputs); m.bias.data.fill_(torch.inf)\n    "
                 "return nn.Sequential(nn.Flatten(), m)\n", "not finite"),
    "nothing to train": (f"return {FLAT}).requires_grad_(False)\n", "no weights to train"),
    "shared": (f"m = {FLAT}); m.again = m[1]\n    m.forward = lambda x: m[1](m[0](x))\n    return m\n", "share"),
}  # fmt: skip


@pytest.mark.parametrize("fault", REFUSED)
def test_what_cannot_be_trained_is_refused_with_its_file(write, fault):
    body, message = REFUSED[fault]
    name = write(START + body)
    with pytest.raises(ConfigError, match=message) as caught:
        check(name)
    assert str(caught.value).startswith(name)
    assert caught.value.remedy


FILES = {
    "def other(): ...\n": "has no function make; it has other",
    "make = 3\n": "make is not a function",
    "import nowhere_to_be_found\n": "ModuleNotFoundError in line 1: .*install what it imports",
    "def make(:\n": "SyntaxError: invalid syntax .*line 1",
    "raise SystemExit(1)\n": "SystemExit in line 1",
    "def make(channels): ...\n": "TypeError: .*is called as function",
}


@pytest.mark.parametrize("text", FILES)
def test_a_file_without_such_a_function_is_told(write, text):
    with pytest.raises(ConfigError, match=FILES[text]) as caught:
        check(write(text))
    assert "mine.py" in caught.value.where


def test_a_file_that_is_not_there_is_told(tmp_path):
    with pytest.raises(ConfigError, match="there is no such file"):
        check(f"{tmp_path / 'none.py'}:make")


def test_an_unknown_option_is_told(write):
    with pytest.raises(ConfigError, match="unexpected keyword argument 'width'"):
        check(write(START + "return nn.Linear(1, 1)\n"), options={"width": 3})


def test_a_network_without_convolutions_trains_but_has_no_cam_layer(write):
    name = write(START + "return nn.Sequential(nn.Flatten(), nn.Linear(256, outputs))\n")
    check(name)
    with pytest.raises(ConfigError, match="no convolution"):
        cam_layer(build(name))


def test_a_cam_layer_that_the_network_names_is_taken_and_must_exist(write):
    body = "m = nn.Sequential(nn.Conv2d(channels, 1, 3), nn.Conv2d(1, 1, 3)); m.cam_layer = {!r}; return m\n"
    assert cam_layer(build(write(START + body.format("0")))) == "0"
    with pytest.raises(ConfigError, match="'7' is not one of its layers"):
        cam_layer(build(write(START + body.format("7"))))


def test_the_documented_example_works(tmp_path):
    text = DOCS.read_text(encoding="utf-8")
    code = re.search(r"```python\n(.*?)```", text, re.DOTALL)
    study = re.search(r"model: \{name: (\S+\.py):(\w+), options: \{width: (\d+)\}\}", text)
    assert code is not None
    assert study is not None
    (tmp_path / study[1]).write_text(code[1])
    name, options = f"{tmp_path / study[1]}:{study[2]}", {"width": int(study[3])}
    for channels, classes, size in [(1, 2, (28, 28)), (3, 5, (64, 40))]:
        check(name, channels=channels, classes=classes, image_size=size, options=options)
    assert cam_layer(build(name, options=options))
