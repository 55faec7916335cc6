"""The loop: exact means, learning, resuming, a best copy, and no waiting for the device within a step."""

import copy
import io

import numpy as np
import pytest
import torch
from sklearn.metrics import accuracy_score, log_loss
from torch import Tensor, nn

from diascope.config import ModelConfig, TrainingConfig
from diascope.models import build_model
from diascope.training.evaluation import evaluate, predict
from diascope.training.loop import Epoch, train, train_epoch, train_step
from diascope.training.scores import ValidationScores
from diascope.training.state import TrainingState

CPU = torch.device("cpu")
SIZE = (16, 16)


def make_state(config: TrainingConfig, *, classes: int = 2, seed: int = 0, **model) -> TrainingState:
    keys = {"base_channels": 4, "dense": (16, 8), **model}
    network = build_model(ModelConfig(**keys), channels=1, classes=classes, image_size=SIZE, seed=seed)
    return TrainingState(network, config, seed=seed, device=CPU)


def images(count: int, classes: int = 2, seed: int = 0) -> tuple[Tensor, Tensor]:
    """Noise that is brighter for higher classes."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.arange(count) % classes
    pixels = torch.rand(count, 1, *SIZE, generator=generator) * 0.5 + (targets / classes / 2).view(-1, 1, 1, 1)
    return pixels, targets


def in_batches(side: tuple[Tensor, Tensor], *sizes: int) -> list[tuple[Tensor, Tensor]]:
    return list(zip(side[0].split(sizes), side[1].split(sizes), strict=True))


def run(state: TrainingState, config: TrainingConfig, side: tuple[Tensor, Tensor] | None = None) -> list[Epoch]:
    side = images(21) if side is None else side

    def batches(epoch: int) -> list[tuple[Tensor, Tensor]]:
        order = torch.randperm(len(side[0]), generator=torch.Generator().manual_seed(epoch))
        return list(zip(side[0][order].split(8), side[1][order].split(8), strict=True))

    held_out = in_batches(images(9, seed=1), 4, 5)
    return list(train(state, batches, held_out, held_out, config))


def without_time(epochs: list[Epoch]) -> list[tuple]:
    return [(e.epoch, e.learning_rate, e.training, e.training_eval, e.validation) for e in epochs]


def equal(first: dict, second: dict) -> bool:
    return first.keys() == second.keys() and all(torch.equal(first[name], second[name]) for name in first)


@pytest.mark.parametrize("classes", [2, 3])
def test_scores_are_means_over_images_not_over_batches(classes):
    state = make_state(TrainingConfig(), classes=classes)
    side = images(20, classes)
    uneven = in_batches(side, 7, 1, 9, 3)

    probabilities = predict(state.model, uneven)
    scores = evaluate(state.model, uneven, precision="fp32")

    assert scores.loss == pytest.approx(log_loss(side[1].numpy(), probabilities, labels=range(classes)), rel=1e-6)
    assert scores.accuracy == accuracy_score(side[1].numpy(), probabilities.argmax(1))


def test_running_training_scores_count_every_image_once():
    """With a learning rate of almost zero the running mean is the mean of one model."""
    config = TrainingConfig(learning_rate=1e-30)
    state = make_state(config)
    side = images(20)
    running = train_epoch(state, in_batches(side, 7, 1, 9, 3), config)
    probabilities = predict(state.model, in_batches(side, 20))
    assert running.loss == pytest.approx(log_loss(side[1].numpy(), probabilities), rel=1e-6)
    assert running.accuracy == accuracy_score(side[1].numpy(), probabilities.argmax(1))


def test_running_training_scores_are_taken_before_each_step_with_dropout():
    config = TrainingConfig(learning_rate=1e-30)
    state = make_state(config, dropout=0.5)
    batches = in_batches(images(20), 8, 8, 4)
    assert train_epoch(state, batches, config).loss != evaluate(state.model, batches, precision="fp32").loss


@pytest.mark.parametrize("classes", [2, 3, 7])
def test_probabilities_sum_to_one_in_the_order_of_the_classes(classes):
    state = make_state(TrainingConfig(), classes=classes)
    side = images(10, classes)
    with torch.no_grad():
        state.model.classifier.output.bias.copy_(torch.linspace(0, 3, state.model.classifier.output.out_features))
        state.model.classifier.output.weight.zero_()
    probabilities = predict(state.model, in_batches(side, 4, 6))
    assert probabilities.shape == (10, classes)
    assert probabilities.dtype == np.float64
    np.testing.assert_allclose(probabilities.sum(1), 1, rtol=1e-12)
    if classes == 2:
        np.testing.assert_allclose(probabilities[:, 1], 0.5)
    else:
        assert (probabilities.argmax(1) == classes - 1).all()


@pytest.mark.parametrize(
    ("model", "classes", "epochs"),
    [
        ({}, 2, 150),
        ({"normalization": "batch"}, 2, 500),  # the moving averages take that long to arrive
        ({"dropout": 0.1, "spatial_dropout": 0.05}, 2, 150),
        ({}, 4, 150),
    ],
)
def test_it_learns_eight_images_by_heart(model, classes, epochs):
    config = TrainingConfig(epochs=epochs, learning_rate=3e-3)
    state = make_state(config, classes=classes, **model)
    generator = torch.Generator().manual_seed(3)
    side = torch.rand(8, 1, *SIZE, generator=generator), torch.arange(8) % classes
    for epoch in range(config.epochs):
        train_epoch(state, in_batches(side, 8), config)
        state.epoch = epoch + 1
    scores = evaluate(state.model, in_batches(side, 8), precision="fp32")
    assert scores.accuracy == 1
    assert scores.loss < 0.1


def test_a_last_batch_of_one_image_is_no_special_case():
    config = TrainingConfig(epochs=1)
    state = make_state(config, normalization="batch")
    state.model.train()
    logits = train_step(state, *images(1), "fp32")
    assert logits.shape == (1, 1)
    (epoch,) = run(state, config, images(17))  # batches of 8, 8, 1
    assert np.isfinite([epoch.training.loss, epoch.validation.loss]).all()
    assert all(torch.isfinite(tensor).all() for tensor in state.model.state_dict().values())


@pytest.mark.parametrize("model", [{"dropout": 0.4, "spatial_dropout": 0.1}, {"normalization": "batch"}])
def test_a_resumed_training_gives_the_same_bits(model, tmp_path):
    config, half = TrainingConfig(epochs=4, learning_rate=1e-3), TrainingConfig(epochs=2, learning_rate=1e-3)
    whole = make_state(config, **model)
    expected = run(whole, config)

    first = make_state(half, **model)
    start = run(first, half)
    torch.save(first.state_dict(), tmp_path / "checkpoint.pt")
    second = make_state(config, **model)
    second.load_state_dict(torch.load(tmp_path / "checkpoint.pt", weights_only=True))
    rest = run(second, config)

    assert without_time(start + rest) == without_time(expected)
    assert equal(second.model.state_dict(), whole.model.state_dict())
    assert equal(second.best_weights, whole.best_weights)
    assert (second.best_epoch, second.best_cost) == (whole.best_epoch, whole.best_cost)


def test_epochs_count_from_one_and_stop_where_the_configuration_says():
    config = TrainingConfig(epochs=3, learning_rate=1e-3)
    epochs = run(make_state(config), config)
    assert [epoch.epoch for epoch in epochs] == [1, 2, 3]
    assert all(epoch.learning_rate == 1e-3 and epoch.seconds > 0 for epoch in epochs)


def test_dropout_differs_by_epoch_and_by_seed():
    config = TrainingConfig(learning_rate=1e-30)
    batches = in_batches(images(16), 8, 8)
    losses = []
    for seed, epoch in [(0, 0), (0, 1), (1, 0), (0, 0)]:
        state = make_state(config, dropout=0.5)
        state.seed, state.epoch = seed, epoch
        losses.append(train_epoch(state, batches, config).loss)
    assert losses[0] == losses[3]
    assert len(set(losses)) == 3


def test_the_best_weights_are_a_copy_of_the_first_lowest_validation_loss():
    state = make_state(TrainingConfig())
    copies = []
    for state.epoch, loss in enumerate([float("nan"), 0.7, 0.5, 0.6, 0.5, float("nan")], start=1):
        with torch.no_grad():
            state.model.classifier.output.bias.fill_(state.epoch)
        copies.append(copy.deepcopy(state.model.state_dict()))
        state.note_validation(ValidationScores(loss, 0.5, 0.5, 0.5), TrainingConfig())
    assert (state.best_epoch, state.best_cost) == (3, 0.5)
    assert equal(state.best_weights, copies[2])  # an alias would show the last epoch's weights
    assert not equal(state.best_weights, state.model.state_dict())


def test_a_checkpoint_holds_tensors_numbers_and_containers_only():
    config = TrainingConfig(epochs=1)
    state = make_state(config, dropout=0.2)
    run(state, config)
    buffer = io.BytesIO()
    torch.save(state.state_dict(), buffer)
    buffer.seek(0)
    assert torch.load(buffer, weights_only=True)["epoch"] == 1


def test_a_checkpoint_of_another_seed_is_refused():
    saved = make_state(TrainingConfig(), seed=1).state_dict()
    with pytest.raises(ValueError, match="seed 1"):
        make_state(TrainingConfig(), seed=0).load_state_dict(saved)


@pytest.mark.parametrize("model", [{"dropout": 0.4, "spatial_dropout": 0.1}, {"normalization": "batch"}])
def test_a_step_reads_nothing_back_from_the_device(model, monkeypatch):
    state = make_state(TrainingConfig(), **model)
    batches = in_batches(images(16), 8, 8)
    for module in state.model.modules():
        if hasattr(module, "generator"):
            module.generator = torch.Generator()
    state.model.train()
    train_step(state, *batches[0], "fp32")

    def refuse(*_):
        raise AssertionError("the host waits for the device")

    for name in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "nonzero"):
        monkeypatch.setattr(Tensor, name, refuse)
    train_step(state, *batches[1], "fp32")


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs a CUDA device")
@pytest.mark.parametrize("precision", ["fp32", "bf16"])
def test_a_step_on_a_gpu_waits_for_nothing(precision):
    device = torch.device("cuda")
    keys = {"base_channels": 4, "normalization": "batch", "dropout": 0.4, "spatial_dropout": 0.1}
    network = build_model(ModelConfig(**keys), channels=1, classes=2, image_size=SIZE, seed=0)
    state = TrainingState(network, TrainingConfig(), seed=0, device=device)
    batches = [(pixels.to(device), targets.to(device)) for pixels, targets in in_batches(images(16), 8, 8)]
    train_epoch(state, batches, TrainingConfig(precision=precision))
    torch.cuda.set_sync_debug_mode("error")
    try:
        train_step(state, *batches[0], precision)
    finally:
        torch.cuda.set_sync_debug_mode("default")


@pytest.mark.parametrize("model", [{}, {"normalization": "batch"}])
def test_bfloat16_is_finite_near_float32_and_keeps_float32_weights(model):
    rough, exact = (make_state(TrainingConfig(learning_rate=1e-3), **model) for _ in range(2))
    batches = in_batches(images(16), 8, 8)
    low = train_epoch(rough, batches, TrainingConfig(precision="bf16"))
    high = train_epoch(exact, batches, TrainingConfig(precision="fp32"))
    assert low.loss == pytest.approx(high.loss, rel=0.05)
    assert low.loss != high.loss
    assert all(tensor.dtype != torch.bfloat16 for tensor in rough.model.state_dict().values())
    evaluated = [evaluate(rough.model, batches, precision=precision).loss for precision in ("bf16", "fp32")]
    assert evaluated[0] == pytest.approx(evaluated[1], rel=0.05)


def test_evaluation_leaves_no_trace():
    state = make_state(TrainingConfig(), normalization="batch", dropout=0.5)
    before = copy.deepcopy(state.model.state_dict())
    batches = in_batches(images(16), 8, 8)
    assert evaluate(state.model, batches, precision="fp32") == evaluate(state.model, batches, precision="fp32")
    assert equal(before, state.model.state_dict())
    assert all(parameter.grad is None for parameter in state.model.parameters())


def test_predictions_of_a_trained_network_agree_with_its_scores():
    config = TrainingConfig(epochs=2, learning_rate=1e-3)
    state = make_state(config)
    last = run(state, config)[-1]
    held_out = in_batches(images(9, seed=1), 4, 5)
    probabilities = predict(state.model, held_out)
    assert last.validation.loss == pytest.approx(log_loss(images(9, seed=1)[1].numpy(), probabilities), rel=1e-6)


def test_stochastic_layers_share_the_generator_of_the_epoch():
    config = TrainingConfig()
    state = make_state(config, dropout=0.3, spatial_dropout=0.1)
    train_epoch(state, in_batches(images(8), 8), config)
    generators = {id(module.generator) for module in state.model.modules() if hasattr(module, "generator")}
    assert len(generators) == 1
    assert isinstance(state.model, nn.Module)
