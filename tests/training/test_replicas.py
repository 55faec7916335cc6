"""Replicas: trained together they learn what each would learn alone, whatever their options are."""

import io
from collections.abc import Iterator
from dataclasses import asdict, replace
from itertools import islice
from math import ceil, isfinite
from time import perf_counter

import pytest
import torch
from torch import Tensor, nn

from diascope.config import TrainingConfig
from diascope.models.initialization import glorot_uniform
from diascope.models.layers import Dropout, dense_layers
from diascope.training.loop import Epoch, train
from diascope.training.losses import MixedClasses, TrainingLoss
from diascope.training.replicas import (
    Replica,
    loss_coefficients,
    loss_gradient,
    loss_table,
    shape_key,
    train_together,
)
from diascope.training.state import TrainingState

CPU, INPUTS, EPOCHS = torch.device("cpu"), 12, 20
PLATEAU = {"kind": "plateau", "patience": 0, "factor": 0.7}
# training, dropout, class weights, images: for each of the replicas that are trained together
OPTIONS = [
    ({}, 0.0, False, 40),
    ({"learning_rate": 0.003, "weight_decay": 0.1, "schedule": PLATEAU}, 0.3, False, 40),
    ({"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "schedule": "cosine"}, 0.0, False, 37),
    ({"optimizer": "rmsprop", "momentum": 0.5, "weight_decay": 0.01, "label_smoothing": 0.1}, 0.0, True, 44),
    ({"optimizer": "adamw", "weight_decay": 0.1, "mixup": 0.3}, 0.5, False, 40),
    ({"gradient_clipping": 0.1, "mixup": 0.4, "label_smoothing": 0.2, "schedule": "one_cycle"}, 0.2, True, 33),
    ({"learning_rate": 0.3, "early_stopping": 2}, 0.0, False, 41),
    ({"optimizer": "sgd", "batch_size": 5}, 0.1, True, 23),
]


def side(seed: int, count: int, classes: int) -> tuple[Tensor, Tensor]:
    """Features (N, INPUTS), noise that is larger for higher classes, and classes (N,)."""
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(classes, (count,), generator=generator)
    return torch.rand(count, INPUTS, generator=generator) + targets[:, None] * 0.2, targets


def make(number: int, classes: int = 2, dense: tuple[int, ...] = (16, 8), **training) -> Replica:
    """A new replica of OPTIONS; twice the same for the same arguments."""
    options, dropout, weighted, count = OPTIONS[number]
    config = TrainingConfig(**{"epochs": EPOCHS, "batch_size": 8, "learning_rate": 0.01, **options, **training})
    model = dense_layers(INPUTS, dense, 1 if classes == 2 else classes, dropout)
    glorot_uniform(model, torch.Generator().manual_seed(number))
    inputs, targets = side(number, count, classes)

    def batches(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        order = torch.randperm(count, generator=torch.Generator().manual_seed(1000 * number + epoch))
        return zip(inputs[order].split(config.batch_size), targets[order].split(config.batch_size), strict=True)

    held_out = [side(100 + number, 30, classes)]
    weights = torch.linspace(0.5, 2.0, classes) if weighted else None
    state = TrainingState(model, config, seed=number, device=CPU)
    return Replica(state, batches, held_out, held_out, config, weights, ceil(count / config.batch_size))


def alone(replica: Replica) -> list[Epoch]:
    sides = replica.batches, replica.validation, replica.subset
    return list(train(replica.state, *sides, replica.config, replica.class_weights, steps=replica.steps))


def together(replicas: list[Replica], **options) -> list[list[Epoch]]:
    """The epochs of each replica."""
    histories: list[list[Epoch]] = [[] for _ in replicas]
    for found in train_together(replicas, **options):
        for number, epoch in found.items():
            histories[number].append(epoch)
    return histories


def numbers(history: list[Epoch]) -> list[list[float]]:
    """All that is known after each epoch but the time."""
    sides = [(asdict(epoch.training), asdict(epoch.training_eval), asdict(epoch.validation)) for epoch in history]
    told = [[value for scores in three for value in scores.values()] for three in sides]
    return [[epoch.epoch, epoch.learning_rate, *row] for epoch, row in zip(history, told, strict=True)]


def assert_close(first: object, second: object, tolerance: float = 1e-5) -> None:
    """Compares nested containers with tensors and numbers."""
    if isinstance(first, Tensor):
        torch.testing.assert_close(first, second, atol=tolerance, rtol=10 * tolerance)
    elif isinstance(first, dict):
        assert first.keys() == second.keys()
        assert_close(list(first.values()), list(second.values()), tolerance)
    elif isinstance(first, list | tuple):
        assert len(first) == len(second)
        for one, other in zip(first, second, strict=True):
            assert_close(one, other, tolerance)
    else:
        assert first == pytest.approx(second, abs=tolerance, nan_ok=True)


def assert_owned(state: TrainingState) -> None:
    for parameter in state.model.parameters():
        assert parameter.untyped_storage().nbytes() == parameter.numel() * parameter.element_size()


def through_a_file(replica: Replica, number: int) -> Replica:
    file = io.BytesIO()
    torch.save(replica.state.state_dict(), file)
    file.seek(0)
    other = make(number)
    other.state.load_state_dict(torch.load(file, weights_only=True))
    return other


@pytest.mark.parametrize(("classes", "dense"), [(2, (16, 8)), (3, (16,)), (3, ()), (2, ())])
def test_trained_together_each_learns_what_it_learns_alone(classes, dense):
    singles, group = ([make(number, classes, dense) for number in range(len(OPTIONS))] for _ in range(2))
    expected = [alone(single) for single in singles]
    for single, member, history, found in zip(singles, group, expected, together(group), strict=True):
        assert_close(numbers(found), numbers(history))
        assert_close(member.state.state_dict(), single.state.state_dict(), 1e-4)


def test_each_stops_at_its_own_end():
    found = [len(history) for history in together([make(number) for number in range(len(OPTIONS))])]
    assert found[:6] == [EPOCHS] * 6
    assert found[6] < EPOCHS
    assert [len(history) for history in together([make(0, epochs=3), make(1, epochs=5)])] == [3, 5]
    assert together([]) == []


def test_who_has_no_batch_left_takes_no_step():
    """The second has a batch more than its neighbours; nobody says so."""
    singles, group = ([replace(make(number, epochs=3), steps=None) for number in (0, 3, 7)] for _ in range(2))
    for single, found in zip(singles, together(group), strict=True):
        assert_close(numbers(found), numbers(alone(single)))


@pytest.mark.parametrize("outputs", [1, 3])
@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
def test_coefficients_say_the_loss_of_every_option(outputs, weighted, smoothing):
    """A batch of 5 images, one of 3 mixed ones, one without the options, and none."""
    classes = max(2, outputs)
    options = replace(
        make(0, label_smoothing=smoothing), class_weights=torch.linspace(0.5, 2, classes) if weighted else None
    )
    generator = torch.Generator().manual_seed(0)
    first, second, third = (torch.randint(classes, (count,), generator=generator) for count in (5, 3, 3))
    targets = [first, MixedClasses(second, third, 0.3), third, first[:0]]
    tables = torch.stack([loss_table(each, classes) for each in (options, options, make(0), options)])
    coefficients = loss_coefficients(tables, targets)
    assert coefficients.shape == (4, 5, classes)

    logits = torch.randn(4, 5, outputs, generator=generator, requires_grad=True)
    losses = [TrainingLoss(smoothing, options.class_weights)] * 2 + [TrainingLoss()]
    expected = [loss(own[: size(each)], each) for loss, own, each in zip(losses, logits[:3], targets[:3], strict=True)]
    two = torch.cat([torch.zeros_like(logits), logits], 2) if outputs == 1 else logits
    found = -(coefficients * torch.log_softmax(two, 2)).sum((1, 2))
    assert_close(found[:3].tolist(), [value.item() for value in expected], 1e-6)
    assert found[3] == 0
    gradient = torch.autograd.grad(sum(expected), logits)[0]
    assert_close(loss_gradient(logits.detach(), coefficients), gradient, 1e-6)


def size(targets: Tensor | MixedClasses) -> int:
    return len(targets if isinstance(targets, Tensor) else targets.classes)


def test_a_replica_goes_on_from_its_checkpoint_in_another_group():
    whole = together([make(number) for number in range(5)])
    group, saved = [make(number) for number in range(5)], {}
    for found in islice(train_together(group), 12):
        for number, when in {1: 4, 4: 11, 2: 11}.items():
            if found[number].epoch == when:
                saved[number] = through_a_file(group[number], number)

    rest = together([saved[number] for number in (1, 4, 2)])
    for number, found in zip((1, 4, 2), rest, strict=True):
        assert_close(numbers(found), numbers(whole[number][-len(found) :]))
    assert [len(found) for found in rest] == [16, 9, 9]


def test_a_replica_that_fails_does_not_touch_the_others():
    healthy, group = ([make(number) for number in range(4)] for _ in range(2))
    with torch.no_grad():
        group[1].state.model[0].weight[0, 0] = float("nan")
    expected, found = together(healthy), together(group)
    assert not isfinite(found[1][0].training.loss)
    for number in (0, 2, 3):
        assert numbers(found[number]) == numbers(expected[number])


def test_parameters_own_their_memory_whenever_an_epoch_is_yielded():
    group = [make(number) for number in range(3)]
    for _ in islice(train_together(group), 2):
        for member in group:
            assert_owned(member.state)


def test_parameters_own_their_memory_when_the_data_fail_within_an_epoch():
    group = [make(number) for number in range(3)]

    def broken(epoch: int) -> Iterator[tuple[Tensor, Tensor]]:
        yield from islice(group[1].batches(epoch), 2)
        raise OSError("the disk is gone")

    with pytest.raises(OSError, match="disk"):
        together([group[0], replace(group[1], batches=broken), group[2]])
    for member in group:
        assert_owned(member.state)


def test_who_is_not_wanted_stays_as_it_is():
    group, single = [make(number) for number in range(3)], make(1, epochs=3)
    history = alone(single)
    found = together(group, wanted=lambda number: number != 1 or group[1].state.epoch < 3)
    assert [len(each) for each in found] == [EPOCHS, 3, EPOCHS]
    assert_close(numbers(found[1]), numbers(history))
    assert_close(group[1].state.model.state_dict(), single.state.model.state_dict())


def test_the_seconds_of_a_round_are_shared():
    started = perf_counter()
    rounds = list(islice(train_together([make(number) for number in range(6)]), 3))
    assert 0 < sum(epoch.seconds for found in rounds for epoch in found.values()) < perf_counter() - started
    assert all(len({epoch.seconds for epoch in found.values()}) == 1 for found in rounds)


def test_bfloat16_is_that_of_the_loop():
    told = {"precision": "bf16", "epochs": 4}
    expected = [numbers(alone(make(number, **told))) for number in range(6)]
    found = [numbers(history) for history in together([make(number, **told) for number in range(6)])]
    full = [numbers(history) for history in together([make(number, epochs=4) for number in range(6)])]
    assert_close(found, expected, 1e-4)
    with pytest.raises(AssertionError):
        assert_close(found, full, 1e-4)


def test_replicas_of_other_shapes_or_precisions_are_refused():
    for other in (make(1, dense=(16, 9)), make(1, classes=3), make(1, precision="bf16")):
        with pytest.raises(ValueError, match="group them by shape_key"):
            together([make(0), other])


@pytest.mark.parametrize(
    "model",
    [
        nn.Sequential(nn.Linear(4, 4), nn.Tanh(), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(4, 4), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU()),
        nn.Sequential(nn.Linear(4, 4), nn.ReLU(), Dropout(0.1, spatial=True), nn.Linear(4, 1)),
        nn.Sequential(nn.Linear(4, 1, bias=False)),
        nn.Sequential(nn.Linear(4, 1).requires_grad_(False)),
        nn.Sequential(nn.Linear(4, 1).double()),
        nn.Sequential(nn.Conv2d(1, 4, 3), nn.Flatten(), nn.Linear(4, 1)),
    ],
)
def test_networks_of_another_kind_have_no_key(model):
    assert shape_key(model) is None


def test_dropout_is_no_part_of_the_key():
    plain, dropping = (dense_layers(4, (3, 2), 1, rate) for rate in (0.0, 0.5))
    assert shape_key(plain) == shape_key(dropping) == shape_key(nn.Sequential(plain)) is not None
    assert shape_key(plain) != shape_key(dense_layers(4, (3, 3), 1, 0.0))


def test_a_schedule_with_a_horizon_must_know_the_number_of_batches():
    with pytest.raises(ValueError, match="cosine needs to know how many batches"):
        together([replace(make(2), steps=None)])
    with pytest.raises(ValueError, match="to have 4 batches and has 5"):
        together([replace(make(2), steps=4)])
