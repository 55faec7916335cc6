"""Dropout and initialization draw from the generator they are given, and from nothing else."""

import pytest
import torch
from torch import nn

from diascope.models.initialization import glorot_uniform, he_normal
from diascope.models.layers import Dropout, MaxPool, Pointwise


def dropout(rate: float, *, spatial: bool = False, seed: int = 0) -> Dropout:
    layer = Dropout(rate, spatial=spatial).train()
    layer.generator = torch.Generator().manual_seed(seed)
    return layer


def test_dropout_zeroes_its_share_and_scales_the_others():
    values = torch.full((100, 1000), 2.0)
    dropped = dropout(0.4)(values)
    assert (dropped == 0).float().mean().item() == pytest.approx(0.4, abs=0.005)
    torch.testing.assert_close(dropped[dropped != 0].unique(), torch.tensor([2 / 0.6]))
    assert dropped.mean().item() == pytest.approx(2.0, rel=0.01)


def test_spatial_dropout_drops_whole_channels_of_single_images():
    dropped = dropout(0.3, spatial=True)(torch.ones(200, 50, 4, 4))
    per_channel = dropped.flatten(2)
    assert torch.equal(per_channel.amin(2), per_channel.amax(2))
    assert (per_channel[:, :, 0] == 0).float().mean().item() == pytest.approx(0.3, abs=0.02)
    assert not torch.equal(dropped[0], dropped[1])


def test_the_gradient_is_masked_like_the_values():
    values = torch.rand(10, 10, requires_grad=True)
    dropped = dropout(0.5)(values)
    dropped.sum().backward()
    torch.testing.assert_close(values.grad, (dropped / values).detach())


def test_the_generator_alone_decides():
    values = torch.ones(64, 64)
    torch.manual_seed(0)
    first = dropout(0.5, seed=3)(values)
    torch.manual_seed(1)
    assert torch.equal(first, dropout(0.5, seed=3)(values))
    assert not torch.equal(first, dropout(0.5, seed=4)(values))


def test_evaluation_mode_changes_nothing_and_draws_nothing():
    layer = dropout(0.5).eval()
    state = layer.generator.get_state()
    values = torch.rand(8, 8)
    assert torch.equal(layer(values), values)
    assert torch.equal(layer.generator.get_state(), state)


def test_dropout_without_a_generator_is_an_error():
    with pytest.raises(RuntimeError, match="generator"):
        Dropout(0.5).train()(torch.ones(2, 2))


@pytest.mark.parametrize("rate", [-0.1, 1.0])
def test_an_impossible_rate_is_an_error(rate):
    with pytest.raises(ValueError, match="rate"):
        Dropout(rate)


@pytest.mark.parametrize("rule", [glorot_uniform, he_normal])
def test_a_layer_without_a_rule_is_not_left_uninitialized(rule):
    with pytest.raises(TypeError, match="GRU"):
        rule(nn.Sequential(nn.GRU(2, 2)), torch.Generator())


@pytest.mark.parametrize("size", [(8, 8), (7, 9), (2, 3)])
def test_pooling_is_the_same_with_and_without_gradients(size):
    maps = torch.randn(2, 3, *size).to(memory_format=torch.channels_last)
    with_gradients = MaxPool()(maps)
    with torch.no_grad():
        assert torch.equal(MaxPool()(maps), with_gradients)
    assert torch.equal(with_gradients, nn.functional.max_pool2d(maps, 2))


@pytest.mark.parametrize("stride", [1, 2])
def test_a_pointwise_convolution_equals_torchs_with_a_stride(stride: int) -> None:
    ours = Pointwise(5, 3, stride, bias=True).double()
    theirs = nn.Conv2d(5, 3, 1, stride=stride).double()
    theirs.load_state_dict(ours.state_dict())
    maps = torch.rand(2, 5, 7, 6, dtype=torch.float64)
    one, other = (maps.clone().requires_grad_() for _ in range(2))
    torch.testing.assert_close(ours(one), theirs(other))
    ours(one).square().sum().backward()
    theirs(other).square().sum().backward()
    torch.testing.assert_close(one.grad, other.grad)
    torch.testing.assert_close(ours.weight.grad, theirs.weight.grad)


def test_a_narrow_pointwise_convolution_with_a_stride_survives_its_backward_pass() -> None:
    """With torch's own stride the process ended here: 8 channels, 64 x 64 pixels."""
    layer = Pointwise(8, 16, 2, bias=False).to(memory_format=torch.channels_last)
    for _ in range(4):
        maps = torch.rand(12, 8, 64, 64).to(memory_format=torch.channels_last).requires_grad_()
        layer(maps).sum().backward()
        expected = layer.weight.sum(0).flatten()
        assert maps.grad is not None
        torch.testing.assert_close(maps.grad[3, :, 10, 20], expected)
        assert not maps.grad[:, :, 1::2].any()
