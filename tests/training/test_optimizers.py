"""KerasAdam against Keras' formula written out in NumPy."""

import numpy as np
import torch

from diascope.training.optimizers import KERAS_EPSILON, KerasAdam


def test_steps_follow_keras_formula_also_for_tiny_gradients():
    random = np.random.default_rng(0)
    start = random.normal(size=50)
    scales = np.logspace(-9, 0, 50)  # gradients from below epsilon to far above it
    parameter = torch.nn.Parameter(torch.from_numpy(start.copy()))
    optimizer = KerasAdam([parameter], 1e-3)

    expected, first, second = start.copy(), np.zeros(50), np.zeros(50)
    for step in range(1, 8):
        gradient = random.normal(size=50) * scales
        first = 0.9 * first + 0.1 * gradient
        second = 0.999 * second + 0.001 * gradient**2
        rate = 1e-3 * np.sqrt(1 - 0.999**step) / (1 - 0.9**step)
        expected -= rate * first / (np.sqrt(second) + KERAS_EPSILON)
        parameter.grad = torch.from_numpy(gradient)
        optimizer.step()

    np.testing.assert_allclose(parameter.detach().numpy() - start, expected - start, rtol=1e-8)


def test_the_count_of_steps_is_saved():
    parameter = torch.nn.Parameter(torch.ones(3))
    optimizer = KerasAdam([parameter], 1e-3)
    for _ in range(4):
        parameter.grad = torch.ones(3)
        optimizer.step()
    other = KerasAdam([torch.nn.Parameter(torch.ones(3))], 1e-3)
    other.load_state_dict(optimizer.state_dict())
    assert other.param_groups[0]["steps"] == 4
