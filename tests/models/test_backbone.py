"""Backbones of timm: which names, sizes and weights are taken, and that nothing of the weights goes missing."""

import random
from functools import cache
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import timm
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor, nn

from diascope.core.errors import ConfigError
from diascope.models import backbone as module
from diascope.models.backbone import (
    ExpectedInput,
    check_backbone_name,
    expected_input,
    load_backbone,
    weights_file,
)

# With the children that only the classifier has. The last one's constructor computes tensors that no file has.
NETWORKS = {
    "resnet18": {"fc"},
    "densenet121": {"classifier"},
    "mobilenetv3_small_100": {"conv_head", "classifier"},
    "test_efficientnet": {"classifier"},
    "convnext_atto": {"head"},
    "vit_tiny_patch16_224": {"head"},
    "test_vit_relpos": {"fc_norm", "head"},
}
SMALL = "test_resnet"
VGG_MEAN, VGG_SD = "0.485020,0.457957,0.407604", "0.003921569,0.003921569,0.003921569"

State = dict[str, Tensor]


@cache
def drawn(name: str, **options: Any) -> nn.Module:
    """timm's network with random weights, statistics of batch normalization included; it is not to be changed."""
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        network = timm.create_model(name, **options).eval()
        for key, buffer in network.named_buffers():
            if key.endswith(("running_mean", "running_var")):
                buffer.uniform_(0.5, 1.5)
    return network


def state_of(name: str, **options: Any) -> State:
    return dict(drawn(name, **options).state_dict())


def load(name: str, file: Path | None, *, channels: int = 3, size: Any = None, seed: int = 0) -> nn.Module:
    size = size or expected_input(name, file).size
    return load_backbone(name, file, channels=channels, image_size=size, seed=seed)


def features(network: nn.Module, images: Tensor) -> Tensor:
    with torch.no_grad():
        return network.forward_features(images)


def images(size: tuple[int, int], channels: int = 3) -> Tensor:
    return torch.rand(1, channels, *size, generator=torch.Generator().manual_seed(7))


@pytest.fixture
def safe(tmp_path: Path):
    def save(state: State, **metadata: str) -> Path:
        save_file(state, tmp_path / "weights.safetensors", metadata or None)
        return tmp_path / "weights.safetensors"

    return save


@pytest.fixture
def pickled(tmp_path: Path):
    def save(state: Any) -> Path:
        torch.save(state, tmp_path / "weights.pth")
        return tmp_path / "weights.pth"

    return save


@pytest.fixture
def given(tmp_path: Path, monkeypatch: pytest.MonkeyPatch):
    def put(state: State) -> Path:
        """A file that counts as one of these tensors, without the time that it takes to write and read them."""
        monkeypatch.setattr("diascope.models.fitted_weights.read_weights", lambda file: state)
        (tmp_path / "weights.pth").touch()
        return tmp_path / "weights.pth"

    return put


@cache
def vgg_state(name: str) -> State:
    """Random weights of the convolutions alone, as torchvision names them; they keep their scale through 16 layers."""
    with torch.device("meta"):
        shapes = timm.create_model(name).features.state_dict()
    generator = torch.Generator().manual_seed(1)
    return {
        f"features.{key}": torch.rand(shape.shape, generator=generator) * 0.1 - (0.05 if shape.ndim == 4 else 0.0)
        for key, shape in shapes.items()
        if not key.endswith("num_batches_tracked")
    }


@pytest.fixture(scope="module")
def vgg16(tmp_path_factory: pytest.TempPathFactory) -> Path:
    file = tmp_path_factory.mktemp("vgg") / "vgg16.safetensors"
    save_file(vgg_state("vgg16"), file, {"mean": VGG_MEAN, "std": VGG_SD})
    return file


def test_vgg16_gives_what_torchvision_s_gives_and_has_no_memory_for_a_classifier(vgg16):
    from torchvision.models import vgg16 as build

    with torch.device("meta"):
        oracle = build().features
    state = {key.removeprefix("features."): tensor for key, tensor in load_file(vgg16).items()}
    oracle.load_state_dict(state, assign=True)
    network = load("vgg16", vgg16, size=(64, 96))
    assert torch.equal(features(network, images((64, 96))), oracle(images((64, 96))).detach())
    assert sum(weight.numel() for weight in network.parameters()) == 14_714_688
    assert not network.training
    assert all(weight.requires_grad for weight in network.parameters())


def test_vgg16_with_batch_normalization_needs_no_counts(given):
    state = vgg_state("vgg16_bn")
    weights = load("vgg16_bn", given(state), size=(32, 32)).state_dict()
    assert all(torch.equal(weights[key], tensor) for key, tensor in state.items())
    assert weights["features.1.num_batches_tracked"] == 0


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_gives_what_timm_s_own_gives_though_its_file_has_no_classifier(name, safe):
    whole = drawn(name)
    state = {key: tensor for key, tensor in whole.state_dict().items() if key.split(".")[0] not in NETWORKS[name]}
    expected = expected_input(name, None)
    size = expected.size if expected.fixed_size else (64, 64)
    network = load(name, safe(state), size=size)
    assert torch.equal(features(network, images(size)), features(whole, images(size)))
    assert type(network) is type(whole)
    assert not any(tensor.is_meta for tensor in (*network.parameters(), *network.buffers()))
    assert {key for key, child in network.named_children() if not child.state_dict()} >= NETWORKS[name]


@pytest.mark.parametrize(
    ("name", "lost"),
    [
        ("vgg16_bn", "features.1.running_var"),
        ("resnet18", "layer3.1.conv2.weight"),
        ("resnet18", "bn1.running_mean"),
        ("densenet121", "features.denseblock3.denselayer7.conv2.weight"),
        ("convnext_atto", "stages.2.blocks.3.gamma"),
        ("vit_tiny_patch16_224", "pos_embed"),
        ("test_vit_relpos", "blocks.2.attn.rel_pos.mlp.fc1.weight"),
    ],
)
def test_a_file_that_lacks_one_tensor_is_refused(name, lost, given):
    state = dict(vgg_state(name)) if name == "vgg16_bn" else state_of(name)
    del state[lost]
    with pytest.raises(ConfigError, match=rf"does not fit {name}: it lacks 1 of \d+ tensors \({lost}\); ") as caught:
        load(name, given(state))
    assert "weights.pth" in caught.value.where
    assert f"a whole file of weights for {name}" in caught.value.remedy


def test_a_lost_convolution_is_refused_though_timm_s_own_loading_does_not_miss_it(vgg16, safe):
    state = load_file(vgg16)
    del state["features.14.weight"]
    with pytest.raises(ConfigError, match=r"lacks 1 of 26 tensors \(features.14.weight\)"):
        load("vgg16", safe(state, mean=VGG_MEAN, std=VGG_SD))


@pytest.mark.parametrize("lost", [key for key in vgg_state("vgg11") if key.endswith("weight")])
def test_no_convolution_may_be_missing(lost, given):
    state = {key: tensor for key, tensor in vgg_state("vgg11").items() if key != lost}
    with pytest.raises(ConfigError, match=rf"lacks 1 of 16 tensors \({lost}\)"):
        load("vgg11", given(state), size=(32, 32))


def test_what_does_not_fit_is_told_with_the_first_names_and_how_many(pickled):
    state = state_of(SMALL)
    for key in list(state)[:6]:
        del state[key]
    state["layer2.0.conv2.weight"] = state["layer2.0.conv2.weight"][:, :1]
    state["layer9.weight"] = torch.zeros(1)
    with pytest.raises(ConfigError) as caught:
        load(SMALL, pickled(state))
    assert "lacks 5 of " in caught.value.what  # the sixth is a count of batch normalization
    assert "(conv1.0.weight, " in caught.value.what
    assert ", ...)" in caught.value.what
    assert "has 1 that do not fit (layer2.0.conv2.weight is 48 x 1 x 3 x 3, not " in caught.value.what
    assert caught.value.what.endswith("has 1 that the backbone does not know (layer9.weight)")


@pytest.mark.parametrize(("of", "to"), [("resnet18", SMALL), (SMALL, "resnet18"), ("resnet34", "resnet18")])
def test_a_file_for_another_network_is_refused(of, to, given):
    with pytest.raises(ConfigError, match=f"does not fit {to}: it (lacks|has) "):
        load(to, given(state_of(of)))


FAULTS = {
    "whole numbers": (lambda weight: weight.to(torch.int32), r"layer2.0.conv1.weight is of type int32, not float32"),
    "not finite": (lambda weight: weight.index_fill(0, torch.tensor(1), torch.nan), r"1 of its tensors .* not finite"),
    "transposed": (lambda weight: weight.transpose(0, 1), "layer2.0.conv1.weight is 32 x 48 x 3 x 3, not 48 x 32"),
    "sparse": (lambda weight: weight.to_sparse(), "of type float32"),
    "without values": (lambda weight: weight.to("meta"), r"lacks 1 of \d+ tensors \(layer2.0.conv1.weight\)"),
}


@pytest.mark.parametrize("fault", FAULTS)
def test_a_tensor_that_cannot_be_used_is_told(fault, pickled):
    change, message = FAULTS[fault]
    state = state_of(SMALL)
    state["layer2.0.conv1.weight"] = change(state["layer2.0.conv1.weight"])
    with pytest.raises(ConfigError, match=message):
        load(SMALL, pickled(state))


def test_checkpoints_of_a_training_are_unwrapped(pickled):
    whole = drawn(SMALL)
    state = {f"module.{key}": tensor for key, tensor in whole.state_dict().items()}
    size = (64, 64)
    for wrapped in ({"epoch": 3, "state_dict": state}, {"model": state, "optimizer": {"lr": 0.1}}, state):
        network = load(SMALL, pickled(wrapped), size=size)
        assert torch.equal(features(network, images(size)), features(whole, images(size)))


def test_a_classifier_of_another_name_or_size_is_no_fault(safe, pickled):
    other = {"classifier.0.weight": torch.zeros(2, 3), "classifier.6.bias": torch.zeros(5)}
    load("vgg11", pickled(vgg_state("vgg11") | other), size=(32, 32))
    state = state_of(SMALL, num_classes=3)
    load(SMALL, safe(state))


def test_half_precision_becomes_float32(safe):
    state = {key: tensor.half() if tensor.is_floating_point() else tensor for key, tensor in state_of(SMALL).items()}
    network = load(SMALL, safe(state))
    assert {weight.dtype for weight in network.parameters()} == {torch.float32}
    assert torch.equal(network.conv1[0].weight, state["conv1.0.weight"].float())


def test_names_of_old_checkpoints_are_renamed_as_timm_does_it_and_hide_nothing(given):
    whole = drawn("densenet121")
    old = {
        key.replace("conv1.", "conv.1.").replace("norm2.", "norm.2.") if "denselayer" in key else key: tensor
        for key, tensor in whole.state_dict().items()
    }
    network = load("densenet121", given(old), size=(32, 32))
    assert torch.equal(features(network, images((32, 32))), features(whole, images((32, 32))))
    del old["features.denseblock2.denselayer3.conv.1.weight"]
    with pytest.raises(ConfigError, match=r"lacks 1 of \d+ tensors \(features.denseblock2.denselayer3.conv1.weight\)"):
        load("densenet121", given(old))


def test_positions_of_another_image_size_are_not_interpolated_in_silence(pickled):
    state = state_of("test_vit", img_size=96)
    with pytest.raises(ConfigError, match=r"has 1 that do not fit \(pos_embed is 1 x 37 x 64, not 1 x 101 x 64\)"):
        load("test_vit", pickled(state))


def test_a_network_of_a_fixed_size_is_made_for_the_size_that_its_file_says(safe):
    whole = drawn("test_vit", img_size=96)
    file = safe(whole.state_dict(), input_size="3,96,96")
    assert expected_input("test_vit", file).size == (96, 96)
    network = load("test_vit", file)
    assert torch.equal(features(network, images((96, 96))), features(whole, images((96, 96))))


def test_weights_have_memory_of_their_own(safe):
    file = safe(state_of(SMALL))
    network = load(SMALL, file)
    before = network.conv1[0].weight.clone()
    with file.open("r+b") as stream:
        stream.write(bytes(file.stat().st_size))
    assert torch.equal(network.conv1[0].weight, before)


@pytest.mark.parametrize("name", [SMALL, "test_efficientnet", "convnext_atto"])
def test_one_channel_gives_what_the_same_channel_three_times_gives(name, safe):
    file = safe(state_of(name))
    gray, colour = load(name, file, channels=1, size=(64, 64)), load(name, file, size=(64, 64))
    one = images((64, 64), channels=1)
    assert torch.allclose(features(gray, one), features(colour, one.expand(1, 3, 64, 64)), rtol=1e-3, atol=1e-4)
    assert gray.state_dict().keys() == colour.state_dict().keys()


def test_a_first_layer_that_cannot_be_adapted_is_told():
    with pytest.raises(ConfigError, match="first layer of x cannot be adapted to 1 channel") as caught:
        module._adapted("x", {"w": torch.ones(2, 3)}, {"w": torch.ones(2, 1)}, 1)
    assert caught.value.remedy == "set model.gray to repeat"


@pytest.mark.parametrize("name", [SMALL, "test_vit_relpos"])
def test_random_weights_are_timm_s_own_from_the_seed_alone_but_for_shut_branches(name):
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(3)
        expected = timm.create_model(name).state_dict()
    states = torch.get_rng_state(), np.random.get_state()[1].copy(), random.getstate()
    first = load(name, None, seed=3)
    assert torch.equal(torch.get_rng_state(), states[0])
    assert (np.random.get_state()[1] == states[1]).all()
    assert random.getstate() == states[2]
    opened = [key for key, weight in first.state_dict().items() if not torch.equal(weight, expected[key])]
    assert opened
    assert all((first.state_dict()[key] == 1).all() and expected[key].max() <= 0.01 for key in opened)
    assert not first.training
    torch.rand(5), np.random.rand(5), random.random()
    again, other = load(name, None, seed=3), load(name, None, seed=4)
    pairs = list(zip(first.parameters(), again.parameters(), other.parameters(), strict=True))
    assert all(torch.equal(one, two) for one, two, _ in pairs)
    assert any(not torch.equal(one, three) for one, _, three in pairs)


def test_loaded_weights_do_not_depend_on_the_seed_and_leave_the_generator_alone(safe):
    file = safe(state_of("test_vit_relpos"))
    before = torch.get_rng_state()
    first, second = load("test_vit_relpos", file, seed=1), load("test_vit_relpos", file, seed=2)
    assert torch.equal(torch.get_rng_state(), before)
    assert all(torch.equal(one, two) for one, two in zip(first.parameters(), second.parameters(), strict=True))


def test_random_weights_for_one_channel():
    network = load(SMALL, None, channels=1, size=(64, 48))
    assert features(network, images((64, 48), channels=1)).shape[2:] == (2, 2)


@pytest.mark.parametrize("size", [(31, 64), (64, 31), (1, 1)])
def test_images_that_are_too_small_are_told_with_the_smallest_that_are_not(size, vgg16):
    with pytest.raises(ConfigError, match="needs images of 32 x 32 pixels or more, these have") as caught:
        load("vgg16", vgg16, size=size)
    assert (caught.value.where, caught.value.remedy) == ("data.image_size", "set data.image_size to 32 or more")
    network = load("vgg16", vgg16, size=(32, 32))
    assert features(network, images((32, 32))).shape == (1, 512, 1, 1)


@pytest.mark.parametrize("size", [(96, 96), (224, 160)])
def test_a_fixed_size_is_told(size):
    with pytest.raises(ConfigError, match="vit_tiny_patch16_224 takes images of 224 x 224 pixels alone") as caught:
        load("vit_tiny_patch16_224", None, size=size)
    assert (caught.value.where, caught.value.remedy) == ("data.image_size", "set data.image_size to 224")


def test_images_that_a_network_cannot_take_for_another_reason_are_told():
    """It takes whole blocks of pixels alone, so that there is no size from which on every size does."""
    with pytest.raises(ConfigError, match=r"csatv2 cannot take images of 61 x 61 pixels \(") as caught:
        load("csatv2", None, size=(61, 61))
    assert (caught.value.where, caught.value.remedy) == ("data.image_size", "set data.image_size to 512")


def test_the_input_is_what_the_file_says_then_what_timm_says(vgg16, safe, pickled):
    mean, sd = (0.48502, 0.457957, 0.407604), (0.003921569,) * 3
    assert expected_input("vgg16", vgg16) == ExpectedInput(mean, sd, (224, 224), fixed_size=False)
    of_timm = ExpectedInput((0.485, 0.456, 0.406), (0.229, 0.224, 0.225), (224, 224), fixed_size=False)
    tensor = {"x": torch.zeros(1)}
    for file in (safe(tensor), pickled(tensor), None):
        assert expected_input("vgg16", file) == of_timm
    assert expected_input("vit_tiny_patch16_224", None) == ExpectedInput((0.5,) * 3, (0.5,) * 3, (224, 224), True)
    assert expected_input("resnet18", safe(tensor, size="96,128")).size == (96, 128)


@pytest.mark.parametrize(
    ("name", "message"),
    [
        ("vgg166", r"timm has no network vgg166; did you mean vgg16 or "),
        ("VGG16x", "did you mean vgg16"),
        ("vgg*", r"timm has no network vgg\*"),
        ("hf-hub:timm/resnet18", "timm has no network hf-hub"),
        ("qqqqqqq", r"timm.list_models\(\) in Python lists the names"),
        ("", "timm has no network ;"),
        ("vgg16.wrong", "timm has no weights wrong for vgg16; use vgg16.tv_in1k"),
        ("convnext_tiny_in22ft1k", "no longer a name in timm; use convnext_tiny.fb_in22k_ft_in1k"),
    ],
)
def test_an_unknown_name_is_told_with_the_nearest(name, message):
    with pytest.raises(ConfigError, match=message) as caught:
        check_backbone_name(name)
    assert caught.value.where == "model.backbone"
    with pytest.raises(ConfigError, match=message):
        load_backbone(name, None, channels=3, image_size=(64, 64), seed=0)


def test_known_names_are_taken():
    for name in ("vgg16", "vgg16.tv_in1k", "resnet50.a1_in1k", *NETWORKS):
        check_backbone_name(name)


def test_the_file_is_the_one_that_is_named(tmp_path):
    (tmp_path / "a.pth").write_bytes(b"x")
    assert weights_file("vgg16", str(tmp_path / "a.pth")) == tmp_path / "a.pth"
    assert weights_file("vgg16", "random") is None
    for wrong, why in ((tmp_path / "b.pth", "there is no such file"), (tmp_path, "is a folder")):
        with pytest.raises(ConfigError, match=why) as caught:
            weights_file("vgg16", str(wrong))
        assert str(wrong) in caught.value.where
