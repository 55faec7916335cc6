"""What every network keeps to, whoever wrote it: one suite over all built-in ones and one of a user's own."""

from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import pytest
import torch
from safetensors.torch import load, save
from torch import Tensor, nn
from torch.nn import functional

from diascope.config import ModelConfig
from diascope.core.errors import ConfigError
from diascope.models import MODELS, build_model, cam_layer, check_model, smallest_image
from diascope.models.scaling import scaled
from diascope.training.loop import Stochastic

OWN = """
from torch import nn

def small(channels, outputs, image_size, width=4):
    height, width_left = (side // 4 for side in image_size)
    return nn.Sequential(
        nn.Conv2d(channels, width, 3, padding=1), nn.ReLU(), nn.Dropout2d(0.1), nn.MaxPool2d(2),
        nn.Conv2d(width, 2 * width, 3, padding=1), nn.BatchNorm2d(2 * width), nn.ReLU(), nn.MaxPool2d(2),
        nn.Flatten(), nn.Dropout(0.1), nn.Linear(2 * width * height * width_left, outputs),
    )
"""


@dataclass(frozen=True)
class Case:
    """A network, the smallest image that it takes, and how fast it learns by heart."""

    smallest: int
    keys: dict[str, Any] = field(default_factory=dict)
    learning_rate: float = 1e-2


def vgg(depth: int, base: int = 8, **keys: Any) -> Case:
    return Case(32, {"name": "vgg", "depth": depth, "base_channels": base, **keys}, 1e-3)


def pretrained(smallest: int, backbone: str, learning_rate: float, **keys: Any) -> Case:
    told = {"name": "pretrained", "backbone": backbone, "weights": "random", "dropout": 0.1, **keys}
    return Case(smallest, told, learning_rate)


def resnet(smallest: int, depth: int, **keys: Any) -> Case:
    return Case(smallest, {"name": "resnet", "depth": depth, "base_channels": 4, **keys})


CASES = {
    "alexnet": Case(8, {"name": "alexnet", "base_channels": 4}),
    "alexnet-normalized": Case(8, {"name": "alexnet", "base_channels": 4, "normalization": "batch"}),
    **{f"vgg{depth}": vgg(depth) for depth in (11, 13, 16, 19)},
    "vgg16-normalized": vgg(16, 4, normalization="batch"),
    "resnet-small": resnet(4, 8),
    "resnet-strided": resnet(8, 8, stem="strided"),
    "resnet-large": resnet(16, 8, stem="large"),
    "resnet-four-stages": resnet(32, 18),
    "resnet-four-stages-small": resnet(8, 10, stages=4, stem="small"),
    "bottleneck-small": resnet(4, 11, block="bottleneck"),
    "bottleneck-four-stages": resnet(32, 14, block="bottleneck", stages=4),
    "resnet-plain": resnet(4, 8, normalization="none"),
    "pretrained-features": pretrained(8, "test_resnet", 3e-3, layer=1, pooling="flatten", dense=(64,)),
    "pretrained-adapted-to-gray": pretrained(8, "test_efficientnet", 3e-2, gray="adapt", pooling="both", dense=(64,)),
    "pretrained-last-block": pretrained(8, "test_resnet", 3e-3, mode="finetune", dense=(16,)),
    "pretrained-all": pretrained(32, "test_convnext", 3e-3, mode="finetune", unfreeze="all", dense=(16,)),
    "own": Case(4),
}


@pytest.fixture(scope="session")
def own_file(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("own") / "my_networks.py"
    file.write_text(OWN)
    return file


@pytest.fixture(params=CASES)
def case(request: pytest.FixtureRequest, own_file: Path) -> Case:
    found = CASES[request.param]
    return found if found.keys else Case(found.smallest, {"name": f"{own_file}:small"})


def build(
    case: Case, size: tuple[int, int], *, channels: int = 1, classes: int = 2, seed: int = 0, **keys
) -> nn.Module:
    config = ModelConfig(**{**case.keys, **keys})
    model = build_model(config, channels=channels, classes=classes, image_size=size, seed=seed)
    for module in model.modules():
        if isinstance(module, Stochastic):
            module.generator = torch.Generator().manual_seed(seed)
    return model


def images(count: int, size: tuple[int, int], channels: int = 1, seed: int = 0) -> Tensor:
    values = torch.rand(count, channels, *size, generator=torch.Generator().manual_seed(seed))
    return values.contiguous(memory_format=torch.channels_last)


def test_every_registered_network_is_here() -> None:
    assert {*MODELS, "pretrained"} == {case.keys["name"] for case in CASES.values() if case.keys}


@pytest.mark.parametrize(("channels", "classes", "outputs"), [(1, 2, 1), (3, 2, 1), (1, 5, 5), (3, 5, 5)])
def test_gray_and_colour_two_classes_and_more(case: Case, channels: int, classes: int, outputs: int) -> None:
    size = (case.smallest, case.smallest)
    check_model(ModelConfig(**case.keys), channels=channels, classes=classes, image_size=size)
    model = build(case, size, channels=channels, classes=classes).eval()
    assert model(images(2, size, channels)).shape == (2, outputs)


def test_the_smallest_image_and_one_above_and_sides_that_differ(case: Case) -> None:
    least = case.smallest
    for size in [(least, least + 1), (least + 1, least), (least + 7, 2 * least + 3)]:
        check_model(ModelConfig(**case.keys), channels=1, classes=2, image_size=size)
        assert build(case, size).eval()(images(2, size)).shape == (2, 1)


def test_below_the_smallest_image_is_an_error_that_names_it(case: Case) -> None:
    config = ModelConfig(**case.keys)
    if config.kind in ("own", "pretrained"):
        assert smallest_image(config) == 1, "its code alone knows more"
        return
    assert smallest_image(config) == case.smallest
    for size in [(case.smallest - 1, 512), (512, case.smallest - 1)]:
        for refuse in (check_model, lambda *given, **keys: build_model(*given, **keys, seed=0)):
            with pytest.raises(ConfigError, match=rf"\b{case.smallest} x {case.smallest}\b.*image_size"):
                refuse(config, channels=1, classes=2, image_size=size)


def test_a_batch_of_one_image_trains(case: Case) -> None:
    size = (case.smallest, case.smallest)
    model = build(case, size).train()
    logits = model(images(1, size))
    logits.sum().backward()
    assert torch.isfinite(logits).all()
    for name, parameter in model.named_parameters():
        assert parameter.grad is None or torch.isfinite(parameter.grad).all(), name
    assert all(torch.isfinite(value).all() for value in model.state_dict().values())


def test_learns_eight_images_by_heart(case: Case) -> None:
    size = (max(16, case.smallest),) * 2
    model, given, targets = build(case, size).train(), images(8, size), torch.tensor([0.0, 1.0] * 4)
    optimizer = torch.optim.Adam([weight for weight in model.parameters() if weight.requires_grad], case.learning_rate)
    for _ in range(150):
        loss = functional.binary_cross_entropy_with_logits(model(given).squeeze(1), targets)
        if loss < 0.05:
            break
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
    assert loss < 0.05


def test_the_cam_layer_keeps_as_many_places_as_the_last_convolution(case: Case) -> None:
    """It is that convolution; or, where that may lie on a branch, what the last block gives."""
    model, maps = build(case, (64, 64)).eval(), {}
    last = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)][-1]
    pretrained = "tail.backbone" if case.keys.get("mode") == "finetune" else "frozen.backbone"
    expected = {"resnet": "stages", "pretrained": pretrained}.get(case.keys["name"], last)
    assert cam_layer(model) == expected
    assert cam_layer(scaled(model, [0.5], [0.2])) == f"network.{expected}"
    for name in (expected, last):
        model.get_submodule(name).register_forward_hook(lambda _, __, output, name=name: maps.update({name: output}))
    model(images(1, (64, 64)))
    assert maps[expected].shape[2:] == maps[last].shape[2:]
    assert min(maps[expected].shape[2:]) >= 2


def test_what_the_cam_layer_gave_is_not_written_over(case: Case) -> None:
    """An activation map is made of what the convolution gave: a later layer must not change it in place."""
    model, kept, copies = build(case, (64, 64)).train(), [], []

    def keep(_: nn.Module, __: Any, output: Tensor) -> None:
        kept.append(output)
        copies.append(output.detach().clone())

    model.get_submodule(cam_layer(model)).register_forward_hook(keep)
    logits = model(images(2, (64, 64)).requires_grad_())  # else nothing leads through a frozen backbone
    assert torch.equal(kept[0].detach(), copies[0])
    assert torch.autograd.grad(logits.sum(), kept[0])[0].shape == kept[0].shape


def test_saved_and_loaded_weights_give_equal_outputs(case: Case) -> None:
    size = (max(16, case.smallest),) * 2
    model = build(case, size).train()
    model(images(4, size, seed=1))  # moves the statistics of a normalization
    weights = save({name: tensor.contiguous() for name, tensor in model.state_dict().items()})
    other = build(case, size, seed=1).eval()
    before = other(images(2, size))
    other.load_state_dict(load(weights))
    assert torch.equal(other(images(2, size)), model.eval()(images(2, size)))
    assert not torch.equal(other(images(2, size)), before)


def test_weights_depend_on_the_seed_alone(case: Case) -> None:
    size = (case.smallest, case.smallest)
    torch.manual_seed(1)
    first = build(case, size, seed=5).state_dict()
    torch.manual_seed(2)
    state = torch.get_rng_state()
    second, other = build(case, size, seed=5).state_dict(), build(case, size, seed=6).state_dict()
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert any(not torch.equal(first[name], other[name]) for name in first)
    assert all(torch.isfinite(weight).all() for weight in first.values())


def test_weights_lie_channels_last(case: Case) -> None:
    for module in build(case, (64, 64)).modules():
        if isinstance(module, nn.Conv2d):
            assert module.weight.is_contiguous(memory_format=torch.channels_last)


def test_dropout_draws_from_the_generator_that_it_is_given(case: Case) -> None:
    size = (max(16, case.smallest),) * 2
    model = build(case, size, **({"dropout": 0.5} if "dropout" in ModelConfig(**case.keys).filled() else {})).train()
    layers = [module for module in model.modules() if isinstance(module, Stochastic)]
    assert layers
    nn.init.normal_(list(model.parameters())[-2], generator=torch.Generator().manual_seed(0))
    state, outputs = torch.get_rng_state(), []
    for seed in (0, 0, 1):
        for layer in layers:
            layer.generator = torch.Generator().manual_seed(seed)
        outputs.append(model(images(4, size)))
    assert torch.equal(torch.get_rng_state(), state)
    assert torch.equal(outputs[0], outputs[1])
    assert not torch.equal(outputs[0], outputs[2])


def test_scaling_is_the_network_on_scaled_images_and_is_saved_with_it(case: Case) -> None:
    size = (max(16, case.smallest),) * 2
    model, given = build(case, size, channels=3).eval(), images(2, size, 3)
    mean, sd = [0.4, 0.5, 0.6], [0.1, 0.2, 0.3]
    wrapped = scaled(model, torch.tensor(mean), sd)
    expected = model(torch.stack([(given[:, c] - mean[c]) / sd[c] for c in range(3)], dim=1))
    torch.testing.assert_close(wrapped(given), expected)
    fresh = scaled(build(case, size, channels=3, seed=1), torch.zeros(3), torch.ones(3)).eval()
    fresh.load_state_dict({name: tensor.clone() for name, tensor in wrapped.state_dict().items()})
    assert torch.equal(fresh(given), wrapped(given))
