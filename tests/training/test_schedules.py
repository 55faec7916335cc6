"""Learning rates against those of torch.optim.lr_scheduler, step by step."""

import math
from collections.abc import Iterator

import pytest
import torch
from hypothesis import given
from hypothesis import strategies as some
from torch import nn
from torch.optim import lr_scheduler as theirs

from diascope.config import TrainingConfig
from diascope.config.training import HORIZON, Plateau
from diascope.training.schedules import PlateauCounter, learning_rate

RATE, EPOCHS, STEPS = 0.3, 12, 5


def config(schedule: dict | str, epochs: int = EPOCHS) -> TrainingConfig:
    return TrainingConfig(epochs=epochs, learning_rate=RATE, schedule=schedule)


def by_step(schedule: dict | str, epochs: int = EPOCHS) -> list[float]:
    told = config(schedule, epochs)
    return [learning_rate(told, epoch, step, STEPS) for epoch in range(epochs) for step in range(STEPS)]


def by_epoch(schedule: dict | str) -> list[float]:
    rates = by_step(schedule)
    assert all(len(set(rates[first : first + STEPS])) == 1 for first in range(0, len(rates), STEPS))
    return rates[::STEPS]


def sgd() -> torch.optim.SGD:
    return torch.optim.SGD([nn.Parameter(torch.ones(1))], lr=RATE)


def theirs_by_step(optimizer: torch.optim.Optimizer, scheduler: theirs.LRScheduler, steps: int) -> Iterator[float]:
    for step in range(steps):
        yield optimizer.param_groups[0]["lr"]
        optimizer.step()
        if step + 1 < steps:
            scheduler.step()


def test_constant():
    assert set(by_step("constant")) == {RATE}


def test_step():
    optimizer = sgd()
    scheduler = theirs.StepLR(optimizer, step_size=5, gamma=0.2)
    expected = list(theirs_by_step(optimizer, scheduler, EPOCHS))
    assert by_epoch({"kind": "step", "every": 5, "factor": 0.2}) == pytest.approx(expected)


def test_exponential():
    optimizer = sgd()
    expected = list(theirs_by_step(optimizer, theirs.ExponentialLR(optimizer, gamma=0.9), EPOCHS))
    assert by_epoch({"kind": "exponential", "factor": 0.9}) == pytest.approx(expected)


@pytest.mark.parametrize("minimum", [0.0, 0.1])
def test_cosine(minimum):
    optimizer = sgd()
    scheduler = theirs.CosineAnnealingLR(optimizer, T_max=EPOCHS * STEPS, eta_min=RATE * minimum)
    expected = list(theirs_by_step(optimizer, scheduler, EPOCHS * STEPS))
    assert by_step({"kind": "cosine", "minimum": minimum}) == pytest.approx(expected)


@pytest.mark.parametrize("warmup", [1, 2.4])
def test_warm_up_is_a_line_from_the_first_step_and_a_cosine_follows_it(warmup):
    rising = round(warmup * STEPS)
    optimizer = sgd()
    line = theirs.LinearLR(optimizer, start_factor=1 / rising, total_iters=rising - 1)
    expected = list(theirs_by_step(optimizer, line, rising))
    optimizer = sgd()
    down = theirs.CosineAnnealingLR(optimizer, T_max=EPOCHS * STEPS - rising)
    expected += theirs_by_step(optimizer, down, EPOCHS * STEPS - rising)
    assert by_step({"kind": "cosine", "warmup": warmup}) == pytest.approx(expected)


@pytest.mark.parametrize(("rise", "start", "end"), [(0.3, 0.04, 1e-4), (0.5, 0.1, 0.01), (0.31, 0.04, 1e-4)])
def test_one_cycle(rise, start, end):
    optimizer = sgd()
    scheduler = theirs.OneCycleLR(
        optimizer,
        max_lr=RATE,
        total_steps=EPOCHS * STEPS,
        pct_start=rise,
        div_factor=1 / start,
        final_div_factor=1 / end,
        cycle_momentum=False,
    )
    expected = list(theirs_by_step(optimizer, scheduler, EPOCHS * STEPS))
    assert by_step({"kind": "one_cycle", "rise": rise, "start": start, "end": end}) == pytest.approx(expected)


def test_the_shortest_one_cycle_has_finite_rates():
    shortest = [learning_rate(config("one_cycle", epochs=1), 0, step, 1) for step in range(1)]
    assert shortest == [RATE]


LOSSES = [0.9, 0.8, 0.8, 0.79995, 0.7, 0.75, math.nan, 0.8, 0.8, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6, 0.6]


def plateau_rates(losses: list[float], schedule: dict) -> list[float]:
    told = config(schedule)
    counter, rates = PlateauCounter(), []
    for epoch, loss in enumerate(losses):
        rates.append(learning_rate(told, epoch, cuts=counter.cuts))
        counter.note(loss, told.schedule)
    return rates


@given(
    losses=some.just(LOSSES) | some.lists(some.sampled_from([0.1, 0.2, 0.2005, 0.3, math.nan]), max_size=40),
    patience=some.integers(0, 4),
    factor=some.sampled_from([0.1, 0.5]),
    min_delta=some.sampled_from([0.0, 1e-4, 1e-3]),
    minimum=some.sampled_from([0.0, 0.02]),
)  # fmt: skip
def test_plateau(losses, patience, factor, min_delta, minimum):
    optimizer = sgd()
    scheduler = theirs.ReduceLROnPlateau(
        optimizer,
        patience=patience,
        factor=factor,
        threshold=min_delta,
        threshold_mode="abs",
        min_lr=RATE * minimum,
        eps=0,
    )
    expected = []
    for loss in losses:
        expected.append(optimizer.param_groups[0]["lr"])
        scheduler.step(loss)
    keys = {"patience": patience, "factor": factor, "min_delta": min_delta, "minimum": minimum}
    assert plateau_rates(losses, {"kind": "plateau", **keys}) == pytest.approx(expected)


def test_a_plateau_counter_goes_on_where_it_was():
    rule = Plateau(kind="plateau", patience=1)
    whole, first = PlateauCounter(), PlateauCounter()
    for loss in LOSSES:
        whole.note(loss, rule)
    for loss in LOSSES[:9]:
        first.note(loss, rule)
    second = PlateauCounter(**first.state_dict())
    for loss in LOSSES[9:]:
        second.note(loss, rule)
    assert second == whole
    assert whole.cuts > 2


@pytest.mark.parametrize("schedule", ["constant", "step", "exponential", "plateau", "cosine", "one_cycle"])
def test_only_schedules_with_a_horizon_look_at_the_number_of_epochs(schedule):
    short, long = by_step(schedule), by_step(schedule, 2 * EPOCHS)
    assert (short == long[: len(short)]) == (schedule not in HORIZON)
    assert config(schedule).has_horizon == (schedule in HORIZON)
