"""VGG: published and lab's sizes, torchvision's outputs, and the places of pooling and dropout."""

import pytest
import torch
import torchvision
from torch import nn
from torch.nn import functional

from diascope.config import ModelConfig
from diascope.models import build_model
from diascope.models.vgg import VGG


def build(*, channels=1, classes=2, image_size=(64, 64), seed=0, **keys) -> VGG:
    config = ModelConfig(name="vgg", **keys)
    return build_model(config, channels=channels, classes=classes, image_size=image_size, seed=seed)


def count(model: nn.Module) -> int:
    return sum(parameter.numel() for parameter in model.parameters())


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize("depth", [11, 13, 16, 19])
def test_convolutions_have_torchvision_s_parameters(depth, normalization):
    with torch.device("meta"):
        ours = VGG(3, 1, (224, 224), depth=depth, base_channels=64, normalization=normalization)
        theirs = getattr(torchvision.models, f"vgg{depth}{'_bn' if normalization == 'batch' else ''}")()
    assert count(ours.features) == count(theirs.features)


def test_published_parameters_of_sixteen_layers():
    with torch.device("meta"):
        published = VGG(3, 1000, (224, 224), base_channels=64, dense=(4096, 4096))
        lab_head = VGG(3, 1, (224, 224), base_channels=64, dense=(128,)).classifier
    assert count(published.features) == 14_714_688
    assert count(published) == 138_357_544
    assert count(lab_head) == 3_211_521


def test_the_lab_s_parameters_for_gray_images_of_128_pixels():
    """Keras counts the same: convolutions 3 * 3 * in * out + out, dense layers in * out + out."""
    widths = [16, 16, 32, 32, 64, 64, 64, 128, 128, 128, 128, 128, 128]
    convolutions = sum(9 * before * width + width for before, width in zip([1, *widths], widths, strict=False))
    dense = (4 * 4 * 128 * 64 + 64) + (64 * 64 + 64) + 65
    assert count(build(base_channels=16, image_size=(128, 128))) == convolutions + dense


@pytest.mark.parametrize("normalization", ["none", "batch"])
@pytest.mark.parametrize(("depth", "plan"), [(11, "A"), (13, "B"), (16, "D"), (19, "E")])
def test_maps_are_torchvision_s_with_its_weights(depth, plan, normalization):
    """Four channels instead of 64; the plans have letters in the paper."""
    ours = build(depth=depth, channels=3, base_channels=4, normalization=normalization).eval()
    widths = [width if width == "M" else width // 16 for width in torchvision.models.vgg.cfgs[plan]]
    theirs = torchvision.models.vgg.make_layers(widths, batch_norm=normalization == "batch").eval()
    generator = torch.Generator().manual_seed(0)
    layers = [module for module in ours.features if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    others = [module for module in theirs if isinstance(module, nn.Conv2d | nn.BatchNorm2d)]
    for mine, other in zip(layers, others, strict=True):
        if isinstance(mine, nn.BatchNorm2d):
            nn.init.uniform_(mine.weight, -1, 1, generator=generator)  # pooling must come after scales below zero
            nn.init.uniform_(mine.running_mean, -0.1, 0.1, generator=generator)
            other.eps = mine.eps
        other.load_state_dict(mine.state_dict())
    images = torch.rand(2, 3, 64, 71, generator=generator)
    with torch.no_grad():
        expected = theirs(images)
        torch.testing.assert_close(ours.features(images), expected, rtol=1e-5, atol=1e-5 * expected.abs().max().item())


def test_the_dense_layers_take_the_maps_in_keras_order():
    model = build(base_channels=2, image_size=(64, 96)).eval()
    images = torch.rand(3, 1, 64, 96)
    flat = model.features(images).permute(0, 2, 3, 1).reshape(3, -1)
    assert flat.shape == (3, 2 * 3 * 16)
    hidden = functional.relu(model.classifier.dense2(functional.relu(model.classifier.dense1(flat))))
    torch.testing.assert_close(model(images), model.classifier.output(hidden))


def test_dropout_follows_the_hidden_dense_layers_and_spatial_dropout_ends_every_block():
    names = [name for name, _ in build(depth=13, dropout=0.4, spatial_dropout=0.1).named_modules() if "drop" in name]
    assert names == [*(f"features.drop{block}_2" for block in range(1, 6)), "classifier.drop1", "classifier.drop2"]


def test_arms_of_one_seed_start_from_the_same_weights():
    plain, other = build(base_channels=4), build(base_channels=4, normalization="batch", dropout=0.4)
    others = other.state_dict()
    assert all(torch.equal(weight, others[name]) for name, weight in plain.state_dict().items())


def test_a_bias_that_normalization_takes_out_is_not_trained():
    trained = {name for name, weight in build(normalization="batch").named_parameters() if weight.requires_grad}
    assert "features.norm5_3.bias" in trained
    assert "features.conv5_3.bias" not in trained
