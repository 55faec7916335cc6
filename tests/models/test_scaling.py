"""Normalization of images inside the network."""

import pytest
import torch
from torch import nn
from torchvision.transforms.v2.functional import normalize

from diascope.config import ModelConfig
from diascope.models import build_model
from diascope.models.scaling import imagenet_statistics, scaled


@pytest.mark.parametrize("channels", [1, 3])
def test_the_network_sees_what_torchvision_s_transformation_gives(channels):
    mean, sd = imagenet_statistics(channels)
    images = torch.rand(2, channels, 5, 7).contiguous(memory_format=torch.channels_last)
    seen = scaled(nn.Identity(), mean, sd)(images)
    torch.testing.assert_close(seen, normalize(images, mean.tolist(), sd.tolist()))
    assert seen.is_contiguous(memory_format=torch.channels_last)


def test_gray_images_get_the_average_of_imagenet_s_channels():
    mean, sd = imagenet_statistics(1)
    assert mean.tolist() == pytest.approx([(0.485 + 0.456 + 0.406) / 3])
    assert sd.tolist() == pytest.approx([(0.229 + 0.224 + 0.225) / 3])


def test_mean_and_sd_are_saved_and_not_trained():
    config = ModelConfig(base_channels=2)
    network = build_model(config, channels=1, classes=2, image_size=(16, 16), seed=0)
    model = scaled(network, [0.3], [0.1])
    assert {"mean", "sd"} <= set(model.state_dict())
    assert {f"network.{name}" for name, _ in network.named_parameters()} == {
        name for name, _ in model.named_parameters()
    }


@pytest.mark.parametrize(("mean", "sd"), [([0.5], [0.0]), ([0.5], [float("nan")]), ([0.5, 0.5], [0.2]), (0.5, 0.2)])
def test_impossible_numbers_are_an_error(mean, sd):
    with pytest.raises(ValueError, match="SD"):
        scaled(nn.Identity(), torch.tensor(mean), torch.tensor(sd))
