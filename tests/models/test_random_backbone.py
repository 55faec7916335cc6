"""A random backbone: every kernel can move the features, whatever timm shuts off, and it holds its training images."""

from copy import deepcopy
from functools import cache
from pathlib import Path

import numpy as np
import pytest
import timm
import torch
from pretraining import CPU, cells_of, tasks_of, train
from torch import nn

from diascope.config import ModelConfig
from diascope.core.errors import RunError
from diascope.data.batches import as_inputs
from diascope.engine.initial_network import frozen_part, statistics_of
from diascope.features import open_features
from diascope.models.backbone import load_backbone
from diascope.models.pretrained import build_pretrained, random_statistics
from diascope.models.random_backbone import apply_statistics, fit_statistics, open_branches, sample_rows
from diascope.predict.network import load_model
from diascope.runs.folder import RunFolder

SIDE = 48
SIZES = {"test_resnet": SIDE, "resnet18": SIDE, "test_efficientnet": 64, "test_convnext": 64}


@cache
def phantoms(side: int) -> torch.Tensor:
    from diascope.config import DataConfig
    from diascope.data.cache import load_images
    from diascope.data.index import open_index

    config = DataConfig.model_validate(
        {"source": "phantom:skin", "image_size": side, "channels": 3, "phantom": {"images": 16, "size": 64}}
    )
    return as_inputs(torch.from_numpy(np.array(load_images(open_index(config), config)[1].pixels)))


def live(network: nn.Module, images: torch.Tensor) -> float:
    """The share of kernels whose change moves the features, beyond rounding."""
    weights = [module.weight.requires_grad_() for module in network.modules() if isinstance(module, nn.Conv2d)]
    features = network(images)
    sums = (features * torch.randn(features.shape, generator=torch.Generator().manual_seed(0))).sum()
    gradients = torch.autograd.grad(sums, weights)
    norms = [
        (gradient * weight.detach()).flatten(1).abs().sum(1)
        for gradient, weight in zip(gradients, weights, strict=True)
    ]
    return float((torch.cat(norms) > 1e-6 * torch.cat(norms).max()).float().mean())


@pytest.mark.parametrize("name", SIZES)
def test_every_kernel_moves_features_of_a_usual_size(name: str) -> None:
    images = phantoms(SIZES[name])
    config = ModelConfig(name="pretrained", backbone=name, weights="random")
    statistics = random_statistics(config, 0, images)
    frozen = build_pretrained(config, 3, 1, tuple(images.shape[2:]), 0, statistics=statistics).frozen
    assert live(frozen, images) > 0.95
    assert 0.05 < float(frozen(images).detach().std(0).median()) < 2


def test_the_number_of_threads_decides_no_bit_of_what_is_fitted() -> None:
    """Features are extracted by all processors, and a worker elsewhere fits the same backbone anew by one."""
    config = ModelConfig(name="pretrained", backbone="test_resnet", weights="random")
    images = torch.rand(64, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    before, found = torch.get_num_threads(), []
    try:
        for threads in (1, 2):
            torch.set_num_threads(threads)
            found.append(random_statistics(config, 0, images))
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(found[0][name], value) for name, value in found[1].items())


def test_timm_s_own_initial_weights_shut_most_of_a_resnet_off() -> None:
    """What the test above would miss if it could not fail."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model("resnet18", num_classes=0).eval()
    assert live(network, phantoms(SIDE)) < 0.25


def test_scales_that_shut_a_branch_off_become_one_and_nothing_else_changes() -> None:
    network = nn.Module()
    closed = {"norm.weight": torch.zeros(3), "gamma": torch.full((4,), 1e-6), "gain": torch.tensor(0.0)}
    others = {
        "bias": torch.zeros(3), "beta": torch.zeros(3), "learned": torch.tensor([0.0, 0.1]), "whole": torch.ones(3),
        "position": torch.zeros(1, 5, 2), "kernel": torch.zeros(2, 2),
    }  # fmt: skip
    for name, values in {**closed, **others}.items():
        network.register_parameter(name.replace(".", "_"), nn.Parameter(values.clone()))
    open_branches(network)
    found = dict(network.named_parameters())
    assert all((found[name.replace(".", "_")] == 1).all() for name in closed)
    assert all(torch.equal(found[name], values) for name, values in others.items())


def test_normalization_holds_mean_and_variance_of_what_comes_in() -> None:
    """Against the values that reach each layer in evaluation mode, computed apart."""
    images = phantoms(SIDE)
    network = load_backbone("resnet18", None, channels=3, image_size=(SIDE, SIDE), seed=1)
    fit_statistics(network, images)
    seen: dict[str, torch.Tensor] = {}
    norms = {name: module for name, module in network.named_modules() if isinstance(module, nn.BatchNorm2d)}
    for name, module in norms.items():
        module.register_forward_pre_hook(lambda _, inputs, name=name: seen.update({name: inputs[0]}))
    with torch.no_grad():
        network.forward_features(images)
    assert len(seen) == 20
    for name, module in norms.items():
        mean, variance = seen[name].mean((0, 2, 3)), seen[name].var((0, 2, 3))
        torch.testing.assert_close(module.running_mean, mean, rtol=0.03, atol=0.03)
        torch.testing.assert_close(module.running_var, variance, rtol=0.05, atol=0.03)
    assert not network.training
    assert {module.momentum for module in norms.values()} == {0.1}


class Plain(nn.Sequential):
    """Convolutions that nothing normalizes, as in VGG."""

    def __init__(self) -> None:
        layers = [nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 16, 3, bias=False), nn.ReLU(), nn.Conv2d(16, 5, 3)]
        super().__init__(*layers, nn.ReLU())

    forward_features = nn.Sequential.forward


def test_without_normalization_the_convolutions_themselves_are_normalized() -> None:
    images = phantoms(SIDE)
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = Plain().eval()
    again = deepcopy(network)
    apply_statistics(again, fit_statistics(network, images))
    with torch.no_grad():
        first = again[0](images)
        torch.testing.assert_close(first.mean((0, 2, 3)), torch.zeros(8), rtol=0, atol=1e-3)
        torch.testing.assert_close(first.std((0, 2, 3)), torch.ones(8), rtol=1e-3, atol=0)
        second = again[2](again[1](first))
        torch.testing.assert_close(second.std((0, 2, 3)), torch.ones(16), rtol=1e-3, atol=0)
        assert float(again(images).mean((2, 3)).std(0).median()) == pytest.approx(1, abs=1e-3)
        torch.testing.assert_close(again(images), network(images), rtol=1e-3, atol=1e-3)


def test_too_few_images_are_refused() -> None:
    network = load_backbone("test_resnet", None, channels=3, image_size=(SIDE, SIDE), seed=1)
    with pytest.raises(ValueError, match="1 images have no statistics"):
        fit_statistics(network, phantoms(SIDE)[:1])


def test_the_statistics_come_from_the_training_side_alone(tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, "{head: {}}")
    rows = sample_rows(task.data.training, (32, 32))
    assert len(rows) == len(task.data.training)
    assert set(rows) == set(task.data.training)
    few = sample_rows(np.arange(1000), (512, 512))
    assert (len(few), few[0], few[-1]) == (16, 0, 999)
    assert tuple(task.data.features.sample) == tuple(rows)  # type: ignore[union-attr]


@pytest.mark.parametrize(
    "arm", ["{head: {}}", "{tuned: {model.mode: finetune}}", "{all: {model: {mode: finetune, unfreeze: all}}}"]
)
def test_a_run_keeps_what_its_backbone_was_fitted_with(tmp_path: Path, arm: str) -> None:
    (task,) = tasks_of(tmp_path, arm, "training.epochs=1")
    train(task)
    file = RunFolder(task.folder).statistics
    assert file.exists()
    pixels = as_inputs(torch.from_numpy(np.load(task.data.pixels)[:4]))  # type: ignore[arg-type]
    model = load_model(task.folder)
    if task.data.features is not None:
        frozen = model.frozen(pixels)
        found = torch.from_numpy(np.array(open_features(task.data.features)[:4]))
        torch.testing.assert_close(
            frozen if frozen.ndim == 2 else frozen.permute(0, 2, 3, 1), found, rtol=1e-4, atol=1e-4
        )
        torch.testing.assert_close(frozen_part(task).to(CPU)(pixels), frozen)
    assert statistics_of(task)
    file.unlink()
    with pytest.raises(RunError, match=r"statistics\.safetensors: holds no weights"):
        load_model(task.folder)


def test_runs_behind_weights_of_an_earlier_version_are_told_apart(tmp_path: Path) -> None:
    (task,) = tasks_of(tmp_path, "{head: {}}", "training.epochs=1")
    train(task)
    config = RunFolder(task.folder).config
    config.write_text(config.read_text().replace("random, version 2", "").replace(task.run_id, "0" * 16))
    with pytest.raises(RunError, match="an earlier version of Diascope drew the random weights"):
        load_model(task.folder)
    (cell,) = cells_of(tmp_path, "{head: {}}", "training.epochs=1")
    assert (cell.state, cell.why) == ("stale", "random weights are drawn in another way")
