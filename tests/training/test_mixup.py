"""Mixup: what is mixed with what, the distribution of the shares, and that (seed, epoch) decide alone."""

import numpy as np
import pytest
import torch
from scipy.stats import beta, kstest

from diascope.training.losses import MixedClasses
from diascope.training.mixup import Mixup

CLASSES = torch.tensor([0, 1, 2, 0, 1, 2, 0, 1])


def one_value_each(count: int = 8, channels: int = 1) -> torch.Tensor:
    """Image number i is i everywhere; channels-last, as batches come."""
    pixels = torch.arange(float(count)).view(-1, 1, 1, 1).repeat(1, 4, 4, channels)
    return pixels.permute(0, 3, 1, 2)


def test_each_image_is_the_weighted_mean_of_itself_and_its_partner():
    images = one_value_each()
    mixed, targets = Mixup(0.4, seed=0, epoch=0)(images, CLASSES)
    assert isinstance(targets, MixedClasses)
    values, share = mixed[:, 0, 0, 0].numpy(), targets.share
    partners = np.rint((values - share * np.arange(8)) / (1 - share)).astype(int)
    assert sorted(partners) == list(range(8))
    np.testing.assert_allclose(values, share * np.arange(8) + (1 - share) * partners, rtol=1e-5)
    assert torch.equal(targets.classes, CLASSES)
    assert torch.equal(targets.partners, CLASSES[partners])


def test_the_batch_itself_is_left_as_it_was():
    images = one_value_each()
    Mixup(0.4, seed=0, epoch=0)(images, CLASSES)
    assert torch.equal(images, one_value_each())


@pytest.mark.parametrize("channels", [1, 3])
def test_mixed_images_stay_channels_last(channels):
    images = one_value_each(channels=channels)
    mixed, _ = Mixup(0.4, seed=0, epoch=0)(images, CLASSES)
    assert mixed.stride() == images.stride()


@pytest.mark.parametrize("alpha", [0.2, 1.0])
def test_shares_follow_the_beta_distribution(alpha):
    mixup = Mixup(alpha, seed=0, epoch=0)
    pair = one_value_each(2)
    shares = [mixup(pair, CLASSES[:2])[1].share for _ in range(1000)]
    assert kstest(shares, beta(alpha, alpha).cdf).pvalue > 0.01


def test_seed_and_epoch_decide_alone():
    def shares(seed: int, epoch: int) -> list[float]:
        mixup = Mixup(0.4, seed=seed, epoch=epoch)
        return [mixup(one_value_each(), CLASSES)[1].share for _ in range(3)]

    assert shares(0, 0) == shares(0, 0)
    assert len({tuple(shares(seed, epoch)) for seed, epoch in [(0, 0), (0, 1), (1, 0)]}) == 3
    assert len(set(shares(0, 0))) == 3  # a share of its own for each batch


def test_a_batch_of_one_image_is_left_as_it_is():
    images = one_value_each(1) + 5
    same, targets = Mixup(0.4, seed=0, epoch=0)(images, CLASSES[:1])
    assert same is images
    assert torch.equal(targets, CLASSES[:1])
