"""Same weights, same batches, dropout off: 20 Adam steps give the losses that Keras on TensorFlow gives."""

import importlib.util
import json
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from diascope.config import ModelConfig, TrainingConfig
from diascope.models import build_model
from diascope.training.evaluation import evaluate
from diascope.training.loop import train_step
from diascope.training.state import TrainingState

GOLDEN = Path(__file__).with_name("golden")
KERAS = json.loads((GOLDEN / "keras.json").read_text())


def _inputs():
    spec = importlib.util.spec_from_file_location("parity_inputs", GOLDEN / "inputs.py")
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.fixture(scope="module")
def inputs():
    module = _inputs()
    assert module.digest() == KERAS["inputs"]
    return module


def _state(normalization: str, inputs) -> TrainingState:
    config = ModelConfig(normalization=normalization)
    model = build_model(config, channels=1, classes=2, image_size=(inputs.SIZE, inputs.SIZE), seed=0)
    with_kernel = [layer for layer in model.modules() if isinstance(layer, nn.Conv2d | nn.Linear)]
    for layer, kernel in zip(with_kernel, map(torch.from_numpy, inputs.initial_weights()), strict=True):
        kernel = kernel.permute(3, 2, 0, 1) if isinstance(layer, nn.Conv2d) else kernel.T
        layer.weight.data.copy_(kernel)
        layer.bias.data.zero_()
    training = TrainingConfig(learning_rate=inputs.LEARNING_RATE)
    return TrainingState(model, training, seed=0, device=torch.device("cpu"))


def _batches(inputs) -> list[tuple[Tensor, Tensor]]:
    return [(torch.from_numpy(x).permute(0, 3, 1, 2), torch.from_numpy(y)) for x, y in inputs.batches()]


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_twenty_steps_give_the_losses_of_keras(normalization, inputs):
    state, golden = _state(normalization, inputs), KERAS[normalization]
    assert sum(parameter.numel() for parameter in state.model.parameters()) == golden["parameters"]

    state.model.train()
    losses = []
    for images, classes in _batches(inputs):
        logits = train_step(state, images, classes, "fp32").squeeze(1).double()
        losses.append(nn.functional.binary_cross_entropy_with_logits(logits, classes.double()).item())

    assert losses == pytest.approx(golden["losses"], rel=1e-4)
    assert losses[-1] < losses[0]  # something was learned: the comparison is not one of constants


@pytest.mark.parametrize("normalization", ["none", "batch"])
def test_evaluation_mode_gives_the_loss_of_keras_after_the_steps(normalization, inputs):
    """Holds the moving averages of batch normalization to Keras' momentum, epsilon and biased variance."""
    state = _state(normalization, inputs)
    state.model.train()
    for images, classes in _batches(inputs):
        train_step(state, images, classes, "fp32")

    scores = evaluate(state.model, _batches(inputs)[:1], precision="fp32")

    assert scores.loss == pytest.approx(KERAS[normalization]["evaluation_loss"], rel=1e-4)


def test_the_parameters_are_counted_as_in_the_lab():
    assert KERAS["none"]["parameters"] == 286_193
