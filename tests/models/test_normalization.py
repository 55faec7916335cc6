"""Batch normalization against the formula in float64 and against PyTorch's gradient."""

import pytest
import torch
from torch.nn import functional

from diascope.models.normalization import EPSILON, BatchNorm


def layer(channels: int) -> BatchNorm:
    norm = BatchNorm(channels)
    generator = torch.Generator().manual_seed(0)
    norm.weight.data.normal_(generator=generator)
    norm.bias.data.normal_(generator=generator)
    return norm.train()


def maps(*shape: int, seed: int = 1) -> torch.Tensor:
    values = torch.randn(shape, generator=torch.Generator().manual_seed(seed)) * 3 + 2
    return values.to(memory_format=torch.channels_last)


@pytest.mark.parametrize("shape", [(8, 8, 64, 64), (3, 5, 7, 9), (1, 4, 2, 2), (2, 16, 1, 1)])
def test_values_and_gradients_are_those_of_the_formula(shape):
    norm, images = layer(shape[1]), maps(*shape).requires_grad_()
    upstream = maps(*shape, seed=2)

    normalized = norm(images)
    gradients = torch.autograd.grad(normalized, (images, norm.weight, norm.bias), upstream)

    exact = images.detach().double().requires_grad_()
    weight, bias = (parameter.detach().double().requires_grad_() for parameter in (norm.weight, norm.bias))
    expected = functional.batch_norm(exact, None, None, weight, bias, training=True, eps=EPSILON)
    expected_gradients = torch.autograd.grad(expected, (exact, weight, bias), upstream.double())

    torch.testing.assert_close(normalized.double(), expected, rtol=1e-5, atol=1e-5)
    for gradient, wanted in zip(gradients, expected_gradients, strict=True):
        torch.testing.assert_close(gradient.double(), wanted, rtol=1e-4, atol=1e-4 * wanted.abs().max().item())


def test_statistics_of_many_values_keep_seven_digits():
    """PyTorch's own kernel is off by 1e-5 here; ReLUs then turn around and the losses leave Keras'."""
    norm, images = layer(8), maps(8, 8, 128, 128)
    exact = functional.batch_norm(
        images.double(), None, None, norm.weight.double(), norm.bias.double(), training=True, eps=EPSILON
    )
    assert (norm(images).double() - exact).abs().max() / exact.abs().max() < 1e-6


def test_the_moving_statistics_are_keras_ones():
    norm, images = layer(4), maps(4, 4, 3, 3)
    norm(images)
    torch.testing.assert_close(norm.running_mean, 0.01 * images.mean((0, 2, 3)))
    torch.testing.assert_close(norm.running_var, 0.99 + 0.01 * images.var((0, 2, 3), correction=0))


def test_a_single_value_a_channel_becomes_the_bias():
    norm, images = layer(4), maps(1, 4, 1, 1)
    torch.testing.assert_close(norm(images).flatten(), norm.bias)
    torch.testing.assert_close(norm.running_var, torch.full((4,), 0.99))


def test_evaluation_uses_the_moving_statistics():
    norm, images = layer(4), maps(4, 4, 3, 3)
    norm(images)
    before = norm.running_mean.clone()
    normalized = norm.eval()(images)
    scale = norm.weight / (norm.running_var + EPSILON).sqrt()
    expected = (images - norm.running_mean.view(1, 4, 1, 1)) * scale.view(1, 4, 1, 1) + norm.bias.view(1, 4, 1, 1)
    torch.testing.assert_close(normalized, expected)
    assert torch.equal(norm.running_mean, before)


def test_bfloat16_comes_close_and_moves_the_statistics_alike():
    exact, rough, images = layer(8), layer(8), maps(4, 8, 16, 16)
    torch.testing.assert_close(rough(images.bfloat16()).float(), exact(images), rtol=0.02, atol=0.05)
    torch.testing.assert_close(rough.running_var, exact.running_var, rtol=0.01, atol=0)
