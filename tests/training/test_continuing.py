"""Every option: a training that is cut and goes on gives the bits of one that is not; early stopping in the loop."""

import io
from collections.abc import Iterator
from itertools import islice

import pytest
import torch
from torch import Tensor, nn

from diascope.config import TrainingConfig
from diascope.training.loop import Epoch, train, train_epoch, train_step
from diascope.training.losses import TrainingLoss
from diascope.training.mixup import Mixup
from diascope.training.scores import ValidationScores
from diascope.training.state import TrainingState

CPU, CLASSES, STEPS = torch.device("cpu"), 3, 3
OPTIONS = {
    "adam with decay": {"weight_decay": 0.1},
    "adamw": {"optimizer": "adamw", "weight_decay": 0.1},
    "sgd": {"optimizer": "sgd"},
    "nesterov": {"optimizer": "sgd", "momentum": 0.9, "nesterov": True, "weight_decay": 0.1},
    "rmsprop": {"optimizer": "rmsprop"},
    "rmsprop with momentum": {"optimizer": "rmsprop", "momentum": 0.9, "weight_decay": 0.1},
    "step": {"schedule": {"kind": "step", "every": 2}},
    "exponential": {"schedule": "exponential"},
    "plateau": {"schedule": {"kind": "plateau", "patience": 0, "factor": 0.5, "min_delta": 0.05}},
    "cosine": {"schedule": {"kind": "cosine", "warmup": 1.5}},
    "one cycle": {"schedule": "one_cycle"},
    "clipping": {"gradient_clipping": 0.05},
    "smoothing": {"label_smoothing": 0.2},
    "mixup": {"mixup": 0.4},
    "stopping": {"early_stopping": {"metric": "accuracy", "patience": 2}},
    "patient stopping": {"early_stopping": {"metric": "auroc", "patience": 20}},
    "all": {
        "optimizer": "rmsprop",
        "momentum": 0.5,
        "weight_decay": 0.01,
        "schedule": {"kind": "plateau", "patience": 0, "min_delta": 0.05},
        "gradient_clipping": 0.5,
        "label_smoothing": 0.1,
        "mixup": 0.2,
        "early_stopping": {"metric": "balanced_accuracy", "patience": 4},
    },
}
WEIGHTS = torch.tensor([0.5, 2.0, 0.5])


def make_state(config: TrainingConfig) -> TrainingState:
    with torch.random.fork_rng():
        torch.manual_seed(0)
        layers = [nn.Conv2d(1, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, CLASSES)]
        return TrainingState(nn.Sequential(*layers), config, seed=0, device=CPU)


def side(seed: int, count: int = 20) -> tuple[Tensor, Tensor]:
    generator = torch.Generator().manual_seed(seed)
    targets = torch.randint(CLASSES, (count,), generator=generator)
    return torch.rand(count, 1, 6, 6, generator=generator) + targets.view(-1, 1, 1, 1) * 0.2, targets


def epochs_of(state: TrainingState, config: TrainingConfig, weights: Tensor | None = None) -> Iterator[Epoch]:
    images, targets = side(0)

    def batches(epoch: int) -> list[tuple[Tensor, Tensor]]:
        order = torch.randperm(20, generator=torch.Generator().manual_seed(epoch))
        return list(zip(images[order].split(8), targets[order].split(8), strict=True))

    held_out = [side(1, 30)]
    return train(state, batches, held_out, held_out, config, weights, steps=STEPS)


def without_time(epochs: list[Epoch]) -> list[tuple]:
    return [(e.epoch, e.learning_rate, e.training, e.training_eval, e.validation) for e in epochs]


def through_a_file(state: TrainingState, config: TrainingConfig) -> TrainingState:
    file = io.BytesIO()
    torch.save(state.state_dict(), file)
    file.seek(0)
    other = make_state(config)
    other.load_state_dict(torch.load(file, weights_only=True))
    return other


def same_bits(first: object, second: object) -> bool:
    """Compares nested containers with tensors."""
    if isinstance(first, Tensor):
        return isinstance(second, Tensor) and torch.equal(first, second)
    if isinstance(first, dict):
        return first.keys() == second.keys() and all(same_bits(first[key], second[key]) for key in first)
    if isinstance(first, list | tuple):
        return len(first) == len(second) and all(map(same_bits, first, second))
    return first == second


def config(options: dict, epochs: int = 6) -> TrainingConfig:
    return TrainingConfig(**{"epochs": epochs, "learning_rate": 0.01, **options})


@pytest.mark.parametrize("weights", [None, WEIGHTS], ids=["unweighted", "weighted"])
@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_a_training_that_is_cut_after_every_epoch_gives_the_same_bits(options, weights):
    told = config(options)
    whole, cut = make_state(told), make_state(told)
    expected, rows = list(epochs_of(whole, told, weights)), []
    for _ in range(told.epochs):
        rows += islice(epochs_of(cut, told, weights), 1)
        cut = through_a_file(cut, told)

    assert without_time(rows) == without_time(expected)
    assert same_bits(cut.state_dict(), whole.state_dict())


@pytest.mark.parametrize("options", OPTIONS.values(), ids=OPTIONS)
def test_more_epochs_equal_having_asked_for_them_unless_the_schedule_has_a_horizon(options):
    short, long = config(options, 3), config(options, 6)
    whole = make_state(long)
    expected = list(epochs_of(whole, long))

    first = make_state(short)
    rows = list(epochs_of(first, short))
    second = through_a_file(first, long)
    rows += epochs_of(second, long)

    equal = without_time(rows) == without_time(expected) and same_bits(second.state_dict(), whole.state_dict())
    assert equal == (not long.has_horizon)


@pytest.mark.parametrize("name", [name for name in OPTIONS if "stopping" not in name])
def test_every_option_changes_what_is_learned(name):
    """An option that the loop forgot would leave the default's weights."""
    plain, other = (make_state(config(options)) for options in ({}, OPTIONS[name]))
    list(epochs_of(plain, config({})))
    list(epochs_of(other, config(OPTIONS[name])))
    assert not same_bits(plain.model.state_dict(), other.model.state_dict())


def test_class_weights_change_what_is_learned_and_not_what_is_reported_before_it():
    told = config({"learning_rate": 1e-30})
    plain, weighted = make_state(told), make_state(told)
    rows = [next(epochs_of(plain, told)), next(epochs_of(weighted, told, WEIGHTS))]
    assert rows[0].training == rows[1].training
    told = config({})
    plain, weighted = make_state(told), make_state(told)
    rows = [next(epochs_of(plain, told)), next(epochs_of(weighted, told, WEIGHTS))]
    assert not same_bits(plain.model.state_dict(), weighted.model.state_dict())


def test_smoothing_is_trained_on_and_not_reported():
    plain, smooth = config({"learning_rate": 1e-30}), config({"learning_rate": 1e-30, "label_smoothing": 0.3})
    rows = [next(epochs_of(make_state(told), told)) for told in (plain, smooth)]
    assert without_time(rows[:1]) == without_time(rows[1:])


def test_clipping_bounds_the_norm_of_all_gradients_together():
    state = make_state(config({}))
    state.model.train()
    norms = []
    for clipping in (None, 0.01):
        train_step(state, *side(0), "fp32", clipping=clipping)
        norms.append(torch.cat([parameter.grad.flatten() for parameter in state.model.parameters()]).norm().item())
    assert norms[0] > 0.01
    assert norms[1] == pytest.approx(0.01, rel=1e-3)


def scored(state: TrainingState, told: TrainingConfig, losses: list[float], aurocs: list[float]) -> None:
    for state.epoch, (loss, auroc) in enumerate(zip(losses, aurocs, strict=True), start=1):
        with torch.no_grad():
            state.model[0].bias.fill_(state.epoch)
        state.note_validation(ValidationScores(loss, 0.5, 0.5, auroc), told)


@pytest.mark.parametrize(("options", "best"), [({}, 3), ({"early_stopping": {"metric": "auroc", "min_delta": 0.2}}, 2)])
def test_the_best_epoch_is_that_of_the_watched_score_the_first_on_ties_whatever_min_delta_is(options, best):
    told = config(options)
    state = make_state(told)
    scored(state, told, losses=[0.9, 0.8, 0.5, 0.5], aurocs=[0.6, 0.7, 0.65, 0.7])
    assert state.best_epoch == best
    assert state.best_weights["0.bias"].tolist() == [best] * 4


def test_early_stopping_ends_the_loop_and_a_finished_training_stays_finished():
    told = config({"learning_rate": 1e-30, "early_stopping": 2}, epochs=50)
    state = make_state(told)
    rows = list(epochs_of(state, told))
    # the moving averages of the normalization still improve the loss at first
    losses = [row.validation.loss for row in rows]
    best = min(range(len(losses)), key=losses.__getitem__)
    assert len(rows) == best + 1 + 2 < 50
    again = through_a_file(state, told)
    before = again.state_dict()["model"]
    assert list(epochs_of(again, told)) == []
    assert same_bits(before, state.model.state_dict())


def test_a_schedule_with_a_horizon_must_know_the_number_of_batches():
    told = config({"schedule": "cosine"})
    with pytest.raises(ValueError, match="cosine needs to know how many batches"):
        train_epoch(make_state(told), [side(0)], told)
    with pytest.raises(ValueError, match="to have 3 batches and has 1"):
        train_epoch(make_state(told), [side(0)], told, steps=3)


def test_the_reported_learning_rate_is_that_of_the_last_step():
    told = config({"schedule": {"kind": "cosine", "warmup": 2}})
    rows = [next(epochs_of(make_state(told), told))]
    assert rows[0].learning_rate == pytest.approx(0.01 * 3 / 6)


@pytest.mark.parametrize("missing", ["plateau", "stopping", "best_cost"])
def test_a_checkpoint_of_another_version_is_refused_and_changes_nothing(missing):
    told = config({})
    saved, state = make_state(told), make_state(told)
    next(epochs_of(saved, told))
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    with pytest.raises(ValueError, match=f"has no {missing}: another version"):
        state.load_state_dict({key: value for key, value in saved.state_dict().items() if key != missing})
    assert same_bits(before, state.model.state_dict())
    assert state.epoch == 0


@pytest.mark.parametrize("options", [OPTIONS["nesterov"], {"optimizer": "sgd"}])
def test_a_checkpoint_of_another_network_or_optimizer_is_refused_and_changes_nothing(options):
    told = config({"weight_decay": 0.1} if "weight_decay" not in options else {})
    saved, state = make_state(config(options)), make_state(told)
    next(epochs_of(saved, config(options)))
    before = {name: tensor.clone() for name, tensor in state.model.state_dict().items()}
    with pytest.raises(ValueError, match="parameter groups"):
        state.load_state_dict(saved.state_dict())
    other = saved.state_dict()
    other["model"] = {name: tensor for name, tensor in other["model"].items() if "weight" in name}
    with pytest.raises(ValueError, match="other layers or sizes"):
        state.load_state_dict(other)
    assert same_bits(before, state.model.state_dict())
    assert state.epoch == 0


@pytest.mark.parametrize("name", ["all", "adamw", "nesterov", "cosine"])
def test_no_option_reads_anything_back_from_the_device_within_a_step(name, monkeypatch):
    told = config(OPTIONS[name])
    state = make_state(told)
    loss = TrainingLoss(told.label_smoothing, WEIGHTS)
    mixup = Mixup(0.2, seed=0, epoch=0)
    state.model.train()

    def step() -> None:
        state.schedule_step(told, 0, STEPS)
        images, targets = mixup(*batch)
        train_step(state, images, targets, "fp32", loss=loss, clipping=0.5)

    batch = side(0)
    step()

    def refuse(*_):
        raise AssertionError("the host waits for the device")

    for called in ("item", "tolist", "numpy", "cpu", "__bool__", "__float__", "__int__", "__index__", "nonzero"):
        monkeypatch.setattr(Tensor, called, refuse)
    step()
