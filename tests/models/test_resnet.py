"""Residual networks: torchvision's counts and outputs, the paper's counts for CIFAR, and how blocks start."""

from math import sqrt

import pytest
import torch
import torchvision
from torch import nn

from diascope.config import ModelConfig
from diascope.models import build_model, cam_layer
from diascope.models.normalization import BatchNorm
from diascope.models.resnet import Block, ResNet


def build(*, channels=3, classes=10, image_size=(64, 64), seed=0, **keys) -> ResNet:
    config = ModelConfig(name="resnet", **keys)
    return build_model(config, channels=channels, classes=classes, image_size=image_size, seed=seed)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


def on_paper(*, classes=1000, **keys) -> ResNet:
    """A network without memory behind its weights."""
    with torch.device("meta"):
        return ResNet(3, classes, **ModelConfig(name="resnet", **keys).filled())


def torchvision_s(kind: str, blocks: list[int]) -> nn.Module:
    """torchvision's network for ten classes, with weights and statistics that are not those of a start."""
    with torch.device("meta"):
        model = torchvision.models.ResNet(getattr(torchvision.models.resnet, kind), blocks, num_classes=10)
    generator = torch.Generator().manual_seed(0)
    model = model.to_empty(device="cpu")
    with torch.no_grad():
        for name, tensor in model.state_dict().items():
            if tensor.ndim > 1:
                limit = sqrt(6 / tensor[0].numel())
                tensor.uniform_(-limit, limit, generator=generator)
            elif "running_mean" in name or "bias" in name:
                tensor.uniform_(-0.3, 0.3, generator=generator)
            else:
                tensor.fill_(0) if tensor.ndim == 0 else tensor.uniform_(0.5, 1.5, generator=generator)
    return model


@pytest.mark.parametrize("depth", [18, 34, 50, 101, 152])
def test_parameters_are_torchvision_s(depth):
    with torch.device("meta"):
        theirs = getattr(torchvision.models, f"resnet{depth}")()
    assert count(on_paper(depth=depth, base_channels=64)) == count(theirs)


@pytest.mark.parametrize(("depth", "parameters"), [(18, 11_689_512), (34, 21_797_672), (50, 25_557_032)])
def test_parameters_are_the_published_ones(depth, parameters):
    assert count(on_paper(depth=depth, base_channels=64)) == parameters


@pytest.mark.parametrize(("depth", "published"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_parameters_for_cifar_are_the_paper_s_and_two_projections(depth, published):
    """Table 6 of the paper, in millions. Its shortcuts pad with zeros; ours are 1x1 convolutions with normalization."""
    projections = sum(width * 2 * width + 2 * (2 * width) for width in (16, 32))
    paddings = count(on_paper(depth=depth, base_channels=16, classes=10)) - projections
    assert paddings == {20: 269_722, 32: 464_154, 44: 658_586, 56: 853_018, 110: 1_727_962}[depth]
    assert paddings / 1e6 == pytest.approx(published, abs=0.03 if depth == 110 else 0.006)


def with_weights_of(theirs: nn.Module, depth: int) -> nn.Module:
    """Our network with torchvision's weights, found by their names."""
    names = {"conv1.": "stem.conv.", "bn1.": "stem.norm.", "fc.": "output."}
    renamed = {}
    for name, tensor in theirs.state_dict().items():
        if name.startswith("layer"):
            stage, number, rest = name.split(".", 2)
            inside = rest.replace("downsample", "shortcut") if "downsample" in rest else f"residue.{rest}"
            name = f"stages.stage{stage[5:]}.block{int(number) + 1}.{inside.replace('.bn', '.norm')}"
        else:
            old = next(old for old in names if name.startswith(old))
            name = names[old] + name[len(old) :]
        renamed[name] = tensor
    ours = on_paper(depth=depth, base_channels=64, classes=10).to_empty(device="cpu")
    ours.load_state_dict(renamed)
    return ours


@pytest.mark.parametrize(
    ("depth", "kind", "blocks"), [(18, "BasicBlock", [2, 2, 2, 2]), (50, "Bottleneck", [3, 4, 6, 3])]
)
def test_outputs_are_torchvision_s_with_its_weights(depth, kind, blocks):
    theirs = torchvision_s(kind, blocks)
    ours = with_weights_of(theirs, depth)
    images = torch.rand(2, 3, 71, 64, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        expected = theirs.eval()(images)
        torch.testing.assert_close(ours.eval()(images), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_gradients_are_torchvision_s_in_training():
    """What is done in place must not disturb the way back."""
    theirs = torchvision_s("BasicBlock", [2, 2, 2, 2])
    ours = with_weights_of(theirs, 18).double()
    images = torch.rand(4, 3, 64, 64, generator=torch.Generator().manual_seed(0)).double()
    for model in (theirs.double(), ours):
        model.train()(images).square().sum().backward()
    for old, new in [
        ("conv1.weight", "stem.conv.weight"),
        ("layer3.0.bn2.weight", "stages.stage3.block1.residue.norm2.weight"),
    ]:
        wanted, found = theirs.get_parameter(old).grad, ours.get_parameter(new).grad
        torch.testing.assert_close(found, wanted, rtol=1e-6, atol=1e-8 * wanted.abs().max().item())


@pytest.mark.parametrize("normalization", ["batch", "none"])
@pytest.mark.parametrize("block", ["basic", "bottleneck"])
def test_a_block_starts_as_its_shortcut(block, normalization):
    model = build(depth=20, block=block, normalization=normalization, base_channels=4).eval()
    maps = torch.rand(2, 4, 8, 8)
    for module in model.modules():
        if isinstance(module, Block):
            torch.testing.assert_close(module(maps), torch.relu(module.shortcut(maps)))
            maps = module(maps)
    assert maps.shape == (2, 64 if block == "bottleneck" else 16, 2, 2)


def test_initial_weights_are_he_s():
    for name, module in build(depth=20, base_channels=32).named_modules():
        if isinstance(module, nn.Conv2d):
            size = module.kernel_size[0]
            sd = sqrt(2 / (module.out_channels * size * size))
            assert module.weight.std().item() == pytest.approx(sd, rel=0.1), name
            assert module.bias is None


@pytest.mark.parametrize(("stem", "side"), [("small", 64), ("strided", 32), ("large", 16)])
def test_the_stem_leaves_a_map_of_its_size(stem, side):
    model = build(depth=8, stem=stem, base_channels=4)
    assert model.stem(torch.rand(1, 3, 64, 64)).shape == (1, 4, side, side)
    assert model.stages(torch.rand(1, 4, side, side)).shape == (1, 16, side // 4, side // 4)


def test_normalization_has_the_usual_numbers():
    norms = [module for module in build(depth=8).modules() if isinstance(module, BatchNorm)]
    assert norms
    assert {(norm.eps, norm.momentum) for norm in norms} == {(1e-5, 0.1)}


def test_dropout_stands_before_the_output():
    names = [name for name, module in build(depth=8, dropout=0.3).named_modules() if type(module).__name__ == "Dropout"]
    assert names == ["dropout"]


def test_activation_maps_explain_what_the_last_block_gives():
    model = build(channels=1, classes=2, image_size=(32, 32))
    assert cam_layer(model) == "stages"
    given = []
    model.get_submodule("stages").register_forward_hook(lambda module, taken, maps: given.append(maps))
    logit = model.eval()(torch.rand(2, 1, 32, 32))
    torch.testing.assert_close(model.output(given[0].mean(dim=(2, 3))), logit)
