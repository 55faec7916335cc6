"""Optimizers against their formulas in NumPy (Keras' where they differ from PyTorch's), and what decays."""

import numpy as np
import pytest
import torch
from torch import nn

from diascope.config import ModelConfig, TrainingConfig
from diascope.models import build_model
from diascope.training.optimizers import (
    KERAS_EPSILON,
    OPTIMIZERS,
    KerasAdam,
    KerasRMSprop,
    build_optimizer,
    parameter_groups,
)

RATE, DECAY = 1e-3, 0.05
SCALES = np.logspace(-9, 0, 50)  # gradients from below epsilon to far above it
OTHERS = {"adamw": {"weight_decay": DECAY}, "sgd": {"momentum": 0.9, "nesterov": True}, "rmsprop": {"momentum": 0.5}}


class Weights(nn.Module):
    """One kernel (50, 1) in float64, which decays."""

    def __init__(self, start: np.ndarray) -> None:
        super().__init__()
        self.kernel = nn.Parameter(torch.from_numpy(start.copy())[:, None])


def followed(config: TrainingConfig, steps: int = 7) -> tuple[np.ndarray, list[np.ndarray], np.ndarray]:
    """Where the weights begin, the gradients they see, and where they end."""
    random = np.random.default_rng(0)
    start = random.normal(size=50)
    gradients = [random.normal(size=50) * SCALES for _ in range(steps)]
    model = Weights(start)
    optimizer = build_optimizer(config, model)
    for gradient in gradients:
        model.kernel.grad = torch.from_numpy(gradient)[:, None]
        optimizer.step()
    return start, gradients, model.kernel.detach().numpy()[:, 0]


@pytest.mark.parametrize(("name", "decay"), [("adam", 0.0), ("adam", DECAY), ("adamw", DECAY)])
def test_adam_and_adamw_follow_keras_formula_also_for_tiny_gradients(name, decay):
    start, gradients, found = followed(TrainingConfig(optimizer=name, learning_rate=RATE, weight_decay=decay))

    expected, first, second = start.copy(), np.zeros(50), np.zeros(50)
    for step, gradient in enumerate(gradients, start=1):
        if name == "adamw":
            expected *= 1 - RATE * decay  # decoupled: past the moments
        else:
            gradient = gradient + decay * expected  # L2: a part of the gradient
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate = RATE * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= rate * first / (np.sqrt(second) + KERAS_EPSILON)

    np.testing.assert_allclose(found - start, expected - start, rtol=1e-8)


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize(("momentum", "nesterov"), [(0.0, False), (0.9, False), (0.9, True)])
def test_sgd_follows_keras_formula(momentum, nesterov, decay):
    keys = {"momentum": momentum, "nesterov": nesterov, "weight_decay": decay}
    start, gradients, found = followed(TrainingConfig(optimizer="sgd", learning_rate=RATE, **keys))

    expected, velocity = start.copy(), np.zeros(50)
    for gradient in gradients:
        gradient = gradient + decay * expected
        velocity = momentum * velocity - RATE * gradient
        expected += momentum * velocity - RATE * gradient if nesterov else velocity

    np.testing.assert_allclose(found - start, expected - start, rtol=1e-8, atol=1e-16)


@pytest.mark.parametrize("decay", [0.0, DECAY])
@pytest.mark.parametrize("momentum", [0.0, 0.9])
def test_rmsprop_follows_keras_formula_with_epsilon_below_the_root(momentum, decay):
    keys = {"momentum": momentum, "weight_decay": decay}
    start, gradients, found = followed(TrainingConfig(optimizer="rmsprop", learning_rate=RATE, **keys))

    expected, square, velocity = start.copy(), np.zeros(50), np.zeros(50)
    for gradient in gradients:
        gradient = gradient + decay * expected
        square = 0.9 * square + 0.1 * gradient**2
        velocity = momentum * velocity + RATE * gradient / np.sqrt(square + 1e-7)
        expected -= velocity

    np.testing.assert_allclose(found - start, expected - start, rtol=1e-8, atol=1e-16)


def test_rmsprop_gives_the_value_of_keras_documentation():
    parameter = nn.Parameter(torch.tensor([10.0]))
    parameter.grad = torch.tensor([10.0])  # of x^2 / 2
    KerasRMSprop([parameter], 0.1).step()
    assert parameter.item() == pytest.approx(9.683772, abs=1e-6)


@pytest.mark.parametrize("name", OPTIMIZERS)
def test_a_parameter_without_gradient_stays_as_it_is(name):
    config = TrainingConfig(optimizer=name, learning_rate=0.1, **{"weight_decay": 0.1, **OTHERS.get(name, {})})
    model = nn.Sequential(nn.Linear(3, 2), nn.Linear(2, 1))
    before = [parameter.detach().clone() for parameter in model.parameters()]
    model[1].weight.grad = torch.ones(1, 2)
    build_optimizer(config, model).step()
    same = [torch.equal(old, new) for old, new in zip(before, model.parameters(), strict=True)]
    assert same == [True, True, False, True]


@pytest.mark.parametrize("name", ["alexnet", "vgg", "resnet"])
def test_kernels_decay_and_nothing_else(name):
    config = ModelConfig(name=name, normalization="batch" if name != "resnet" else ModelConfig().normalization)
    model = build_model(config, channels=1, classes=3, image_size=(32, 32), seed=0)
    kernels = {id(m.weight) for m in model.modules() if isinstance(m, nn.Conv2d | nn.Linear)}

    decayed, kept = parameter_groups(model, DECAY)

    assert {id(parameter) for parameter in decayed["params"]} == kernels
    assert decayed["weight_decay"] == DECAY
    assert kept["weight_decay"] == 0
    both = [id(parameter) for group in (decayed, kept) for parameter in group["params"]]
    assert sorted(both) == sorted(id(parameter) for parameter in model.parameters())


def test_normalization_does_not_decay_whatever_its_shape():
    model = nn.Sequential(nn.Conv2d(1, 4, 3), nn.LayerNorm([4, 6, 6]), nn.GroupNorm(2, 4), nn.Flatten())
    decayed, kept = parameter_groups(model, DECAY)
    assert [parameter.shape for parameter in decayed["params"]] == [(4, 1, 3, 3)]
    assert len(kept["params"]) == 5


def test_without_weight_decay_there_is_one_group_in_the_order_of_the_model():
    model = nn.Sequential(nn.Linear(3, 2), nn.BatchNorm1d(2))
    (group,) = build_optimizer(TrainingConfig(), model).param_groups
    assert [id(parameter) for parameter in group["params"]] == [id(parameter) for parameter in model.parameters()]


def test_what_does_not_decay_moves_as_without_weight_decay():
    """Biases with a zero gradient stay, kernels shrink by the rate times the decay."""
    model = nn.Linear(3, 2)
    nn.init.ones_(model.bias)
    before = model.weight.detach().clone()
    for parameter in model.parameters():
        parameter.grad = torch.zeros_like(parameter)
    build_optimizer(TrainingConfig(optimizer="adamw", learning_rate=0.1, weight_decay=0.5), model).step()
    torch.testing.assert_close(model.weight, before * 0.95)
    assert torch.equal(model.bias, torch.ones(2))


def test_the_count_of_steps_is_saved():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = KerasAdam([parameter], 1e-3)
    for _ in range(4):
        parameter.grad = torch.ones(3)
        optimizer.step()
    other = KerasAdam([torch.nn.Parameter(torch.ones(3))], 1e-3)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["steps"] == 4
