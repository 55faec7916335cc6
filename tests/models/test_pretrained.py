"""Pretrained networks: features against an independent computation, input as the weights expect it, who learns when."""

from copy import deepcopy
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from real_data import REAL, needs_real_data
from safetensors import safe_open
from safetensors.torch import load_file, save_file
from torch import Tensor, nn
from torch.nn import functional

from diascope.config import ModelConfig, TrainingConfig
from diascope.core.errors import ConfigError
from diascope.models import build_model
from diascope.models.backbone import load_backbone
from diascope.models.layers import Dropout
from diascope.models.pretrained import Frozen, Pooling, Pretrained, Tail, build_pretrained
from diascope.training.loop import train_epoch
from diascope.training.state import TrainingState

VGG11 = (64, "pool", 128, "pool", 256, 256, "pool", 512, 512, "pool", 512, 512, "pool")
VGG16 = (64, 64, "pool", 128, 128, "pool", *(256,) * 3, "pool", *(512,) * 3, "pool", *(512,) * 3, "pool")


def config(**keys: object) -> ModelConfig:
    told = {"name": "pretrained", "backbone": "test_resnet", "weights": "random", **keys}
    return ModelConfig(**told)  # type: ignore[arg-type]


def build(size: int = 32, channels: int = 3, seed: int = 0, outputs: int = 1, **keys: object) -> Pretrained:
    return build_pretrained(config(**keys), channels, outputs, (size, size), seed)


def vgg_features(images: Tensor, weights: dict[str, Tensor], plan: tuple[int | str, ...]) -> Tensor:
    """The convolutions of a VGG by torch.nn.functional alone: layer after layer, with torchvision's numbers."""
    number = 0
    for step in plan:
        if step == "pool":
            images, number = functional.max_pool2d(images, 2), number + 1
        else:
            kernel, bias = weights[f"features.{number}.weight"], weights[f"features.{number}.bias"]
            images, number = functional.relu(functional.conv2d(images, kernel, bias, padding=1)), number + 2
    return images


def picture(side: int) -> Tensor:
    """A fixed image (1, 3, side, side) without symmetry."""
    y, x = torch.meshgrid(torch.linspace(0, 1, side), torch.linspace(0, 1, side), indexing="ij")
    return torch.stack([(x * 7).sin() ** 2, (y * 5 + x).cos() ** 2, (x * y * 9).sin().abs()])[None]


@needs_real_data
def test_features_of_vgg16_of_imagenet_are_those_of_an_independent_forward_pass() -> None:
    weights = REAL / "weights/vgg16_imagenet_features.safetensors"
    network = build(224, backbone="vgg16", weights=str(weights), pooling="flatten", dense=(128,), dropout=0.5)
    with safe_open(weights, "pt") as file:
        told = file.metadata()
    mean, sd = (torch.tensor([float(part) for part in told[key].split(",")]) for key in ("mean", "std"))
    given = picture(224)
    with torch.no_grad():
        expected = vgg_features((given - mean.view(1, 3, 1, 1)) / sd.view(1, 3, 1, 1), load_file(weights), VGG16)
        found = network.frozen(given)
    expected = expected.permute(0, 2, 3, 1).flatten(1)  # the lab's order: place by place
    assert found.shape == (1, 7 * 7 * 512)
    assert expected.abs().max() > 1
    assert (found - expected).abs().max() <= 1e-4 * expected.abs().max()
    assert sum(weight.numel() for weight in network.tail.parameters()) == 3_211_521


def test_features_of_a_small_vgg_are_those_of_an_independent_forward_pass(tmp_path: Path) -> None:
    generator = torch.Generator().manual_seed(3)
    weights, channels, number = {}, 3, 0
    for step in VGG11:
        if step != "pool":
            weights[f"features.{number}.weight"] = torch.randn(step, channels, 3, 3, generator=generator) / (
                3 * channels**0.5
            )
            weights[f"features.{number}.bias"] = torch.randn(step, generator=generator) / 10
            channels = step
        number += 1 if step == "pool" else 2
    file = tmp_path / "vgg11.safetensors"
    save_file(weights, file, metadata={"mean": "0.1,0.2,0.3", "std": "0.4,0.5,0.6"})
    given = picture(64)
    network = build(64, backbone="vgg11", weights=str(file))
    mean, sd = torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.4, 0.5, 0.6])
    kept: list[Tensor] = []
    first = network.frozen.get_submodule("backbone.features.0")
    first.register_forward_hook(lambda _, __, maps: kept.append(maps))
    with torch.no_grad():
        expected = vgg_features((given - mean.view(1, 3, 1, 1)) / sd.view(1, 3, 1, 1), weights, VGG11)
        found = network.frozen(given)
    assert kept[0].min() < 0, "a ReLU has written over the maps of a convolution"
    torch.testing.assert_close(found, expected.mean((2, 3)), rtol=1e-4, atol=1e-5)
    plain = build(64, backbone="vgg11", weights=str(file), preprocessing="none", layer=-2, pooling="flatten")
    with torch.no_grad():
        expected = vgg_features(given, weights, VGG11[:-3])
        torch.testing.assert_close(plain.frozen(given), expected.permute(0, 2, 3, 1).flatten(1), rtol=1e-4, atol=1e-5)


@pytest.mark.parametrize("kind", ["average", "flatten", "both"])
def test_pooling_against_numpy(kind: str) -> None:
    maps = np.random.default_rng(0).normal(size=(2, 5, 3, 4)).astype(np.float32)  # (B, C, H, W)
    places = maps.transpose(0, 2, 3, 1)
    parts = {"average": [places.mean((1, 2))], "flatten": [places.reshape(2, -1)]}
    expected = np.concatenate(parts.get(kind) or [*parts["flatten"], *parts["average"]], axis=1)
    np.testing.assert_allclose(Pooling(kind)(torch.from_numpy(maps)), expected, rtol=1e-5)
    last = torch.from_numpy(np.ascontiguousarray(places))
    np.testing.assert_allclose(Pooling(kind, channels_last=True)(last), expected, rtol=1e-5)


def test_pooling_of_tokens_leaves_out_those_of_no_place() -> None:
    tokens = torch.rand(2, 5, 3)
    torch.testing.assert_close(Pooling("average", prefix=1)(tokens), tokens[:, 1:].mean(1))
    torch.testing.assert_close(Pooling("flatten", prefix=1)(tokens), tokens.flatten(1))


def test_one_channel_is_repeated_or_the_first_layer_adapted() -> None:
    gray = torch.rand(2, 1, 32, 32)
    repeated, colour = build(channels=1), build(channels=3)
    torch.testing.assert_close(repeated.frozen(gray), colour.frozen(gray.expand(-1, 3, -1, -1)))
    adapted = build(channels=1, gray="adapt")
    assert adapted.frozen.mean.numel() == 1
    assert adapted.frozen(gray).shape == repeated.frozen(gray).shape


def test_an_adapted_first_layer_expects_the_mean_of_the_colours() -> None:
    one, three = (build(channels=1, gray=gray, backbone="mobilenetv3_small_050").frozen for gray in ("adapt", "repeat"))
    torch.testing.assert_close(one.mean.flatten(), torch.tensor([(0.485 + 0.456 + 0.406) / 3]))  # ImageNet's
    torch.testing.assert_close(one.sd.flatten(), torch.tensor([(0.229 + 0.224 + 0.225) / 3]))
    torch.testing.assert_close(three.mean.flatten(), torch.tensor([0.485, 0.456, 0.406]))


def test_scale_of_the_data_is_used_without_that_of_the_weights() -> None:
    images, scale = torch.rand(2, 3, 32, 32), (torch.tensor([0.1, 0.2, 0.3]), torch.tensor([0.5, 0.6, 0.7]))
    told = config(preprocessing="none")
    plain = build_pretrained(told, 3, 1, (32, 32), 0)
    scaled = build_pretrained(told, 3, 1, (32, 32), 0, scale)
    by_hand = (images - scale[0].view(1, 3, 1, 1)) / scale[1].view(1, 3, 1, 1)
    torch.testing.assert_close(scaled.frozen(images), plain.frozen(by_hand))


@pytest.mark.parametrize(
    ("keys", "said"),
    [
        ({"layer": 5}, "test_resnet has 5 blocks, and no block 5.*use 0 to 4, or -5 to -1"),
        ({"mode": "finetune", "unfreeze": 6}, "test_resnet has 5 blocks, not 6; use 1 to 5, or all"),
    ],
)
def test_blocks_that_there_are_not(keys: dict[str, object], said: str) -> None:
    with pytest.raises(ConfigError, match=said):
        build(**keys)


def test_the_frozen_part_never_trains() -> None:
    network = build(mode="finetune").train()
    assert not any(weight.requires_grad for weight in network.frozen.parameters())
    assert not any(module.training for module in network.frozen.modules())
    assert network.tail.training


def state_of(keys: dict[str, object], **training: object) -> tuple[TrainingState, TrainingConfig, Frozen]:
    network = build(mode="finetune", dense=(8,), **keys)
    told = TrainingConfig(learning_rate=1e-2, **training)  # type: ignore[arg-type]
    state = TrainingState(network.tail, told, seed=0, device=torch.device("cpu"))
    return state, told, network.frozen


def batches(frozen: Frozen, count: int = 3) -> list[tuple[Tensor, Tensor]]:
    generator = torch.Generator().manual_seed(1)
    images = [torch.rand(4, 3, 32, 32, generator=generator) for _ in range(count)]
    with torch.no_grad():
        return [(frozen(each), torch.tensor([0, 1, 0, 1])) for each in images]


def changed(tail: nn.Module, before: dict[str, Tensor]) -> set[str]:
    """layer2, layer3, layer4, head: the parts whose parameters have moved."""
    names = {name for name, weight in tail.named_parameters() if not torch.equal(weight, before[name])}
    return {name.removeprefix("backbone.").partition(".")[0] for name in names}


def snapshot(tail: nn.Module) -> dict[str, Tensor]:
    return {name: tensor.clone() for name, tensor in tail.state_dict().items()}


def test_blocks_begin_to_learn_one_after_the_other() -> None:
    state, told, frozen = state_of({"unfreeze": 2, "unfreeze_every": 2})
    given, found = batches(frozen), []
    for _ in range(6):
        before = snapshot(state.model)
        train_epoch(state, given, told)
        state.epoch += 1
        found.append(changed(state.model, before))
    assert found == [{"head"}, {"head"}, {"head", "layer4"}, {"head", "layer4"}, *[{"head", "layer4", "layer3"}] * 2]


def test_a_continued_training_wakes_the_same_blocks() -> None:
    first, told, frozen = state_of({"unfreeze": 2, "unfreeze_every": 1})
    given = batches(frozen)
    for _ in range(2):
        train_epoch(first, given, told)
        first.epoch += 1
    second, _, _ = state_of({"unfreeze": 2, "unfreeze_every": 1})
    second.load_state_dict(deepcopy(first.state_dict()))
    for state in (first, second):
        train_epoch(state, given, told)
    for name, tensor in first.model.state_dict().items():
        assert torch.equal(tensor, second.model.state_dict()[name]), name


def test_earlier_blocks_learn_at_smaller_rates() -> None:
    """One step of SGD moves a weight by rate times gradient: the shares are seen in the steps themselves."""
    state, told, frozen = state_of({"unfreeze": 2, "layer_decay": 0.1}, optimizer="sgd")
    before, given = snapshot(state.model), batches(frozen, 1)
    train_epoch(state, given, told)
    for name, weight in state.model.named_parameters():
        share = 1.0 if name.startswith("head") else 0.1 if "layer4" in name else 0.01
        assert weight.grad is not None
        torch.testing.assert_close(before[name] - weight, 1e-2 * share * weight.grad, rtol=1e-3, atol=1e-6)
    assert state.learning_rate == 1e-2


def test_weight_decay_and_shares_of_the_rate_go_together() -> None:
    state, _, _ = state_of({"unfreeze": 1, "layer_decay": 0.5}, weight_decay=0.1)
    told = [(group["weight_decay"], group.get("rate_share", 1.0)) for group in state.optimizer.param_groups]
    assert told == [(0.1, 1.0), (0.0, 1.0), (0.1, 0.5), (0.0, 0.5)]
    counted = sum(weight.numel() for group in state.optimizer.param_groups for weight in group["params"])
    assert counted == sum(weight.numel() for weight in state.model.parameters())


def test_statistics_of_a_block_that_does_not_learn_yet_stay() -> None:
    state, told, frozen = state_of({"unfreeze": 2, "unfreeze_every": 1, "frozen_statistics": False})
    for awake in range(3):
        before = snapshot(state.model)
        train_epoch(state, batches(frozen), told)
        state.epoch += 1
        after = state.model.state_dict()
        means = [name for name in before if name.endswith("running_mean")]
        moved = {name.split(".")[1] for name in means if not torch.equal(before[name], after[name])}
        assert moved == set(["layer4", "layer3"][:awake])


@pytest.mark.parametrize("frozen_statistics", [True, False])
def test_statistics_of_normalization_stay_or_move(frozen_statistics: bool) -> None:
    state, told, frozen = state_of({"frozen_statistics": frozen_statistics})
    before = snapshot(state.model)
    train_epoch(state, batches(frozen), told)
    moved = {name for name, tensor in state.model.state_dict().items() if not torch.equal(tensor, before[name])}
    assert any("running_mean" in name for name in moved) != frozen_statistics
    assert any("bn" in name and name.endswith("weight") for name in moved), "scale and shift learn in either case"


def test_dropout_of_timm_draws_from_the_streams_of_the_run(monkeypatch: pytest.MonkeyPatch) -> None:
    def with_dropout(*given: Any, **keys: Any) -> nn.Module:
        backbone = load_backbone(*given, **keys)
        backbone.layer4[0].drop_block = nn.Dropout(0.5)
        return backbone

    monkeypatch.setattr("diascope.models.pretrained.load_backbone", with_dropout)
    losses = []
    for number in range(2):
        torch.manual_seed(number)
        state, told, frozen = state_of({})
        assert any(isinstance(module, Dropout) and module.rate == 0.5 for module in state.model.backbone.modules())
        losses.append(train_epoch(state, batches(frozen), told).loss)
    assert losses[0] == losses[1]


def test_what_does_not_learn_rests_even_behind_the_cut() -> None:
    """As where a backbone can be cut only before the blocks that learn."""
    backbone = nn.Sequential(nn.Conv2d(3, 4, 3), nn.BatchNorm2d(4), nn.Conv2d(4, 4, 3), nn.BatchNorm2d(4))
    learning = [["2.weight", "2.bias", "3.weight", "3.bias"]]
    told = config(mode="finetune", frozen_statistics=False)
    tail = Tail(backbone, Pooling("average"), nn.Linear(4, 1), learning, told).train()
    tail.begin_epoch(0)
    before = snapshot(tail)
    tail(torch.rand(8, 3, 16, 16)).sum().backward()
    after = tail.state_dict()
    moved = {name for name in before if "running" in name and not torch.equal(before[name], after[name])}
    assert moved == {"backbone.3.running_mean", "backbone.3.running_var"}
    assert {name for name, weight in backbone.named_parameters() if weight.grad is not None} == set(learning[0])


def test_heads_and_random_backbones_come_from_the_seed_alone() -> None:
    def weights(seed: int, **keys: object) -> dict[str, Tensor]:
        return build(seed=seed, dense=(4,), **keys).state_dict()

    first, again, other = weights(1), weights(1), weights(2)
    assert all(torch.equal(first[name], again[name]) for name in first)
    assert not torch.equal(first["tail.dense1.weight"], other["tail.dense1.weight"])
    conv = next(name for name in first if name.endswith("conv1.weight"))
    assert not torch.equal(first[conv], other[conv])
    tuned = weights(1, mode="finetune")
    assert torch.equal(first["tail.dense1.weight"], tuned["tail.head.dense1.weight"])


def test_a_network_of_more_classes_and_the_part_that_is_trained() -> None:
    model = build_model(config(mode="finetune"), channels=1, classes=5, image_size=(32, 32), seed=0)
    assert isinstance(model, Pretrained)
    assert isinstance(model.tail, Tail)
    assert model(torch.rand(2, 1, 32, 32)).shape == (2, 5)
    assert not [name for name in model.tail.state_dict() if "layer1" in name], "what is frozen is not saved with it"
