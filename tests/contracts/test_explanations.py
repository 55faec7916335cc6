"""What every method gives for every network: finite maps of the images' size, and one that differs between classes."""

from pathlib import Path

import numpy as np
import pytest
import torch
from torch import nn

from diascope.config import ModelConfig
from diascope.explain import METHODS, attribute
from diascope.explain.layer import layer_name, map_size
from diascope.explain.randomization import weighted_layers
from diascope.models import MODELS, build_model
from diascope.models.scaling import scaled

OWN = """
from torch import nn

def small(channels, outputs, image_size):
    return nn.Sequential(
        nn.Conv2d(channels, 4, 3, padding=1), nn.BatchNorm2d(4), nn.ReLU(inplace=True), nn.Dropout2d(0.2),
        nn.Conv2d(4, 6, 3, padding=1), nn.ReLU(inplace=True), nn.AdaptiveAvgPool2d(2), nn.Flatten(),
        nn.Linear(24, outputs),
    )
"""
TIMM = {"name": "pretrained", "weights": "random", "dropout": 0.2, "dense": (8,)}
CASES = {
    "alexnet": {"name": "alexnet", "base_channels": 4, "dropout": 0.4, "spatial_dropout": 0.1},
    "alexnet-normalized": {"name": "alexnet", "base_channels": 4, "normalization": "batch"},
    "vgg": {"name": "vgg", "depth": 11, "base_channels": 4},
    "resnet": {"name": "resnet", "depth": 8, "base_channels": 4},
    "own": {"name": "own"},
    "resnet18-features": {**TIMM, "backbone": "resnet18"},
    "resnet18-finetuned": {**TIMM, "backbone": "resnet18", "mode": "finetune"},
    "resnet18-gray": {**TIMM, "backbone": "resnet18", "gray": "adapt"},
    "vgg11-features": {**TIMM, "backbone": "vgg11", "pooling": "flatten"},
    "convnext-all": {**TIMM, "backbone": "test_convnext", "mode": "finetune", "unfreeze": "all"},
    "vit-features": {**TIMM, "backbone": "test_vit"},
}
SLOW = ("resnet18", "vgg11")  # of these only the methods that need one pass


def build(name: str, channels: int, outputs: int, folder: Path) -> nn.Module:
    keys = CASES[name]
    if name == "own":
        (folder / "nets.py").write_text(OWN)
        keys = {"name": f"{folder / 'nets.py'}:small"}
    config, size = ModelConfig(**keys), 160 if name.startswith("vit") else 32
    model = build_model(config, channels=channels, classes=outputs, image_size=(size, size), seed=0)
    with torch.no_grad():
        for weight in model.parameters():
            if not weight.any() or (name == "convnext-all" and weight.ndim == 1):  # so that branches differ in strength
                weight.normal_(0, 0.5, generator=torch.Generator().manual_seed(1))
    return model


def test_every_registered_network_is_here() -> None:
    assert {*MODELS, "pretrained", "own"} == {keys["name"] for keys in CASES.values()}


@pytest.mark.parametrize("name", CASES)
def test_finite_maps_of_the_images_size(name: str, tmp_path: Path) -> None:
    for channels, classes in ((1, 2),) if name.startswith(SLOW) else ((1, 2), (3, 4)):
        model, size = build(name, channels, classes, tmp_path), 160 if name.startswith("vit") else 32
        images = torch.rand(2, channels, size, size, generator=torch.Generator().manual_seed(0))
        some = [*METHODS][:2] if name.startswith(SLOW) or channels == 3 or size > 32 else METHODS
        for method in some:
            found = [attribute(model, images, torch.full((2,), target), method) for target in (0, 1)]
            for one in found:
                assert one.shape == (2, size, size)
                assert one.dtype == np.float32
                assert np.isfinite(one).all()
                assert METHODS[method].signed or one.min() >= 0
            assert max(one.max() for one in found) > 0, method
            assert not np.array_equal(*found)
        assert min(map_size(model, images[:1], layer_name(model))) >= 1
        assert all(weight.grad is None for weight in model.parameters())
        assert weighted_layers(model)


@pytest.mark.parametrize("method", METHODS)
def test_scaling_in_the_network_changes_no_map_of_the_same_input(method: str, tmp_path: Path) -> None:
    model = build("alexnet", 1, 2, tmp_path)
    images = torch.rand(2, 1, 32, 32, generator=torch.Generator().manual_seed(0))
    targets = torch.tensor([0, 1])
    wrapped = scaled(model, [0.4], [0.2])
    expected = attribute(model, (images - 0.4) / 0.2, targets, method)
    np.testing.assert_allclose(attribute(wrapped, images, targets, method), expected, rtol=1e-3, atol=1e-6)
