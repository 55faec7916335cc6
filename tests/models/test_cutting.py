"""Backbones cut in two: both halves together are the whole, whatever the architecture."""

from typing import Any

import pytest
import timm
import torch
from torch import nn

from diascope.core.errors import ConfigError
from diascope.models.cutting import blocks_of, cut, last_maps

NAMES = ("test_resnet", "test_vit", "test_convnext", "test_efficientnet", "vgg11_bn")


@pytest.fixture(scope="module", params=NAMES)
def backbone(request: pytest.FixtureRequest) -> nn.Module:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        model = timm.create_model(request.param, num_classes=0).eval()
        for module in model.modules():  # statistics that are no identity, so that a lost normalization is seen
            if isinstance(module, nn.BatchNorm2d):
                module.running_mean.uniform_(-0.1, 0.1)
                module.running_var.uniform_(0.5, 1.5)
    return model


def images(backbone: nn.Module) -> torch.Tensor:
    side = 160 if backbone.pretrained_cfg["fixed_input_size"] else 64
    return torch.rand(2, 3, side, side, generator=torch.Generator().manual_seed(0))


@torch.no_grad()
def test_hooks_on_blocks_of_the_halves_see_what_those_of_the_whole_see(backbone: nn.Module) -> None:
    def called(network: nn.Module, *parts: nn.Module) -> dict[str, torch.Tensor]:
        seen: dict[str, torch.Tensor] = {}
        handles = [
            module.register_forward_hook(lambda _, __, output, name=name: seen.update({name: output.clone()}))
            for part in (network, *parts)
            for name, module in part.named_modules()
            if name
        ]
        run = network.forward_features if not parts else lambda given: parts[0](network(given))
        run(images(backbone))
        for handle in handles:
            handle.remove()
        return seen

    whole = called(backbone)
    before, after = cut(backbone, blocks_of(backbone)[-1])
    assert before is not None
    halves = called(before, after)
    assert any(list(backbone.get_submodule(name).children()) for name in halves), "blocks, not only single layers"
    assert set(halves) <= set(whole)
    assert all(torch.equal(output, whole[name]) for name, output in halves.items())
    missing = {name for name in whole if name not in halves and list(backbone.get_submodule(name).parameters())}
    assert not missing


@torch.no_grad()
def test_the_halves_are_the_whole_to_the_bit(backbone: nn.Module) -> None:
    given, blocks = images(backbone), blocks_of(backbone)
    expected = backbone.forward_features(given)
    for count in range(len(blocks)):
        learning = [name for block in blocks[len(blocks) - count :] for name in block]
        before, after = cut(backbone, learning)
        assert before is not None
        assert torch.equal(after(before(given)), expected), count


def test_what_learns_is_behind_the_cut_and_nothing_else(backbone: nn.Module) -> None:
    blocks = blocks_of(backbone)
    for count in range(1, len(blocks)):
        learning = {name for block in blocks[len(blocks) - count :] for name in block}
        before, after = cut(backbone, sorted(learning))
        assert before is not None
        resting = {name for block in blocks[: len(blocks) - count] for name in block}
        assert {name for name, _ in before.named_parameters()} == resting
        assert {name for name, _ in after.named_parameters()} == learning


def test_blocks_hold_each_parameter_that_is_used_once(backbone: nn.Module) -> None:
    names = [name for block in blocks_of(backbone) for name in block]
    assert len(names) == len(set(names))
    unused = {name for name, _ in backbone.named_parameters()} - set(names)
    backbone.zero_grad()
    backbone.forward_features(images(backbone)).sum().backward()
    assert {name for name, weight in backbone.named_parameters() if weight.grad is None} == unused


def test_nothing_stays_in_front_when_the_first_layer_learns(backbone: nn.Module) -> None:
    blocks = blocks_of(backbone)
    before, after = cut(backbone, blocks[0])
    assert before is None
    given = images(backbone)
    with torch.no_grad():
        assert torch.equal(after(given), backbone.forward_features(given))


def test_a_vgg_is_cut_behind_the_pooling_where_the_maps_are_smallest() -> None:
    model = timm.create_model("vgg11", num_classes=0).eval()
    blocks = blocks_of(model)
    assert [len(block) // 2 for block in blocks] == [1, 1, 2, 2, 2], "its convolutions, block by block"
    before, _ = cut(model, blocks[-1])
    assert before is not None
    assert before(torch.zeros(1, 3, 64, 64)).shape == (1, 512, 4, 4)


def test_only_what_ends_with_a_pooling_has_finer_maps_before_it() -> None:
    class Ending(nn.Module):
        feature_info = ({"module": "first"},)

        def __init__(self, *layers: nn.Module) -> None:
            super().__init__()
            self.first, self.rest = nn.Conv2d(3, 3, 1), nn.Sequential(*layers)

        def forward_features(self, given: torch.Tensor) -> torch.Tensor:
            return self.rest(self.first(given))

    def found(*layers: nn.Module) -> str:
        model = Ending(*layers)
        _, whole = cut(model, blocks_of(model)[0])
        return last_maps(whole)

    assert found(nn.Conv2d(3, 3, 1), nn.BatchNorm2d(3), nn.ReLU(), nn.MaxPool2d(2)) == "rest.0"
    assert found(nn.ReLU(), nn.AvgPool2d(2)) == "first"
    assert found(nn.BatchNorm2d(3), nn.ReLU()) == ""
    assert found(nn.MaxPool2d(2), nn.Linear(4, 4)) == "", "more than the pooling comes after the convolution"


def test_where_two_tensors_pass_the_cut_is_made_before() -> None:
    """A residual block whose second half learns: its shortcut passes beside it."""

    class Residual(nn.Module):
        feature_info = ({"module": "first"}, {"module": "third"})

        def __init__(self) -> None:
            super().__init__()
            self.first, self.second, self.third = (nn.Conv2d(3, 3, 1) for _ in range(3))

        def forward_features(self, given: torch.Tensor) -> torch.Tensor:
            maps = self.first(given)
            return maps + self.third(self.second(maps))

    model = Residual()
    before, after = cut(model, ["third.weight", "third.bias"])
    assert before is not None
    assert {name for name, _ in before.named_parameters()} == {"first.weight", "first.bias"}
    given = torch.rand(1, 3, 4, 4)
    assert torch.equal(after(before(given)), model.forward_features(given))


def test_a_network_that_keeps_what_it_computed_is_refused() -> None:
    class Keeping(nn.Module):
        """As LeViT does."""

        feature_info = ({"module": "first"},)

        def __init__(self) -> None:
            super().__init__()
            self.first, self.kept = nn.Conv2d(3, 3, 1), dict[str, torch.Tensor]()

        def forward_features(self, given: torch.Tensor) -> torch.Tensor:
            return self.kept.setdefault("maps", self.first(given)) + given

    model = Keeping()
    blocks_of(model)
    with pytest.raises(ConfigError, match=r"a Keeping cannot be divided .*torch.fx cannot follow it [^\n]*$"):
        cut(model, ["first.weight", "first.bias"])


@pytest.mark.parametrize(
    ("module", "forward", "said"),
    [
        ("gone", lambda self, given: self.first(given), "lets one end with 'gone', which is not one of its layers"),
        ("first", lambda self, given: given if given.sum() > 0 else self.first(given), "torch.fx cannot follow it"),
    ],
)
def test_what_cannot_be_divided_is_refused(module: str, forward: Any, said: str) -> None:
    class Odd(nn.Module):
        feature_info = ({"module": module},)
        forward_features = forward

        def __init__(self) -> None:
            super().__init__()
            self.first = nn.Conv2d(3, 3, 1)

    with pytest.raises(ConfigError, match=f"a Odd cannot be divided into blocks: .*{said}.*take another network"):
        blocks_of(Odd())
