"""AlexNet: the lab's sizes, Keras' initial weights, and the order of pooling, ReLU and normalization."""

from math import sqrt

import pytest
import torch
from torch import nn
from torch.nn import functional

from diascope.config import ModelConfig
from diascope.core.errors import ConfigError
from diascope.models import build_model
from diascope.models.alexnet import AlexNet


def build(*, channels=1, classes=2, image_size=(128, 128), seed=0, **keys) -> AlexNet:
    config = ModelConfig(**keys)
    return build_model(config, channels=channels, classes=classes, image_size=image_size, seed=seed)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize(
    ("keys", "parameters"),
    [
        ({}, 286_193),  # the lab's number
        ({"normalization": "batch"}, 286_401),  # and Keras' trainable ones: 2 a channel more
        ({"dropout": 0.4, "spatial_dropout": 0.1}, 286_193),
        ({"base_channels": 64, "dense": (128, 64)}, 5_457_537),
        ({"dense": ()}, 19_760 + 4_097),
        ({"channels": 3}, 286_193 + 2 * 72),
        ({"classes": 9}, 286_193 + 8 * 65),
        ({"image_size": (64, 100)}, 19_760 + (16 * 8 * 12 * 64 + 64) + 4_160 + 65),
    ],
)
def test_parameters_are_counted(keys, parameters):
    assert count(build(**keys)) == parameters


@pytest.mark.parametrize(
    ("keys", "shape"), [({}, (2, 1)), ({"classes": 3}, (2, 3)), ({"channels": 3, "image_size": (65, 43)}, (2, 1))]
)
def test_two_classes_give_one_logit_and_more_give_one_each(keys, shape):
    model = build(**keys).eval()
    channels, (height, width) = keys.get("channels", 1), keys.get("image_size", (128, 128))
    assert model(torch.rand(2, channels, height, width)).shape == shape


def test_initial_weights_are_glorot_uniform_and_biases_zero():
    for module in build().modules():
        if not isinstance(module, nn.Conv2d | nn.Linear):
            continue
        field = module.weight[0, 0].numel() if module.weight.ndim == 4 else 1
        limit = sqrt(6 / (field * (module.weight.shape[0] + module.weight.shape[1])))
        assert module.weight.abs().max() <= limit
        assert module.weight.abs().max() > 0.9 * limit
        if module.weight.numel() > 1000:
            assert module.weight.std().item() == pytest.approx(limit / sqrt(3), rel=0.05)
        assert not module.bias.any()


def test_initial_weights_depend_on_the_seed_alone():
    torch.manual_seed(1)
    first = build(seed=5).state_dict()
    torch.manual_seed(2)
    before = torch.get_rng_state()
    second = build(seed=5).state_dict()
    assert torch.equal(torch.get_rng_state(), before)  # the global stream is left alone
    assert all(torch.equal(first[name], second[name]) for name in first)
    assert not torch.equal(first["features.conv1.weight"], build(seed=6).state_dict()["features.conv1.weight"])


def test_arms_of_one_seed_start_from_the_same_weights():
    plain, other = build().state_dict(), build(normalization="batch", dropout=0.4, spatial_dropout=0.1).state_dict()
    assert all(torch.equal(plain[name], other[name]) for name in plain)


def test_weights_lie_channels_last():
    weight = build().features.conv3.weight
    assert weight.is_contiguous(memory_format=torch.channels_last)


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_pooling_before_relu_is_the_lab_s_relu_before_pooling(normalization):
    model = build(normalization=normalization, image_size=(32, 40)).eval()
    for module in model.modules():
        if isinstance(module, nn.BatchNorm2d):
            nn.init.normal_(module.weight)  # negative scales too
            nn.init.normal_(module.running_mean)
    images = torch.rand(4, 1, 32, 40)

    maps = images
    for number in range(1, 6):
        maps = getattr(model.features, f"conv{number}")(maps)
        if normalization == "batch":
            maps = getattr(model.features, f"norm{number}")(maps)
        maps = functional.relu(maps)
        if number in (1, 2, 5):
            maps = functional.max_pool2d(maps, 2)

    torch.testing.assert_close(model(images), model.classifier(maps.permute(0, 2, 3, 1).flatten(1)))


def test_cam_layer_names_the_last_convolution():
    model = build()
    last = [name for name, module in model.named_modules() if isinstance(module, nn.Conv2d)][-1]
    assert model.cam_layer == last
    assert model.get_submodule(last).out_channels == 16


def test_dropout_follows_the_hidden_dense_layers_and_spatial_dropout_every_block():
    names = [name for name, _ in build(dropout=0.4, spatial_dropout=0.1).named_modules() if "drop" in name]
    blocks = [f"features.drop{number}" for number in range(1, 6)]
    assert names == [*blocks, "classifier.drop1", "classifier.drop2"]


def test_an_image_too_small_for_three_poolings_is_an_error_with_a_remedy():
    with pytest.raises(ConfigError, match="image_size"):
        build(image_size=(128, 7))


def test_a_bias_that_normalization_takes_out_is_not_trained():
    trained = {name for name, parameter in build(normalization="batch").named_parameters() if parameter.requires_grad}
    assert {f"features.norm{number}.bias" for number in range(1, 6)} <= trained
    assert not {f"features.conv{number}.bias" for number in range(1, 6)} & trained
    assert all(parameter.requires_grad for parameter in build().parameters())
