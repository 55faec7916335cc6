"""Readings of planted curves: crossing, plateau, onset; and nothing where nothing was planted."""

from collections.abc import Callable

import numpy as np
import pytest
from planted_curves import Curve, falling, history, levelling, ninety_percent, noise, turning

from diascope.compare.curves import Reading, read_curves
from diascope.compare.curves.turning import convergence_epoch, falls, overfitting_epoch

SEEDS = range(12)
LEVELS = [(0.0, 0.0), (0.005, 0.0), (0.02, 0.0), (0.02, 0.5)]  # SD of a loss' noise, its autocorrelation


def drawn(epochs: int, level: tuple[float, float], seed: int) -> Curve:
    return noise(epochs, *level, np.random.default_rng([epochs, seed]))[0]


def read(validation: Curve, training: Curve | None = None, **columns: Curve) -> Reading:
    return read_curves(history(validation, falling(len(validation), 20) if training is None else training, **columns))


@pytest.mark.parametrize(("target", "epoch"), [(0.5, 1), (0.71, 4), (0.7, 3), (0.95, None)])
def test_epochs_to_target_is_the_first_epoch_at_or_above_it(target: float, epoch: int | None) -> None:
    accuracy = np.array([0.5, 0.6, 0.7, 0.8, 0.65, 0.9])
    table = history(falling(6, 2), falling(6, 2), training_accuracy=accuracy)
    found = read_curves(table, target)
    assert (found.target, found.epochs_to_target, found.tells("epochs_to_target")) == (target, epoch, True)


def test_without_a_target_there_is_nothing_to_reach() -> None:
    found = read(falling(30, 5))
    assert (found.epochs_to_target, found.tells("epochs_to_target")) == (None, False)


def test_a_target_is_reached_despite_rounding() -> None:
    table = history(falling(6, 2), falling(6, 2), training_accuracy=np.full(6, 0.9))
    assert read_curves(table, float(np.sum([0.9] * 3) / 3) + 1e-16).epochs_to_target == 1


@pytest.mark.parametrize("kind", ["exponential", "line", "power", "turning up"])
@pytest.mark.parametrize("epochs", [25, 50, 150])
@pytest.mark.parametrize(("level", "bound"), [((0.05, 0.0), 0.1), ((0.05, 0.5), 0.1), ((0.1, 0.5), 0.2)])
def test_convergence_is_where_ninety_percent_of_the_way_are_made(
    kind: str, epochs: int, level: tuple[float, float], bound: float
) -> None:
    course = levelling(kind, epochs)
    found = [convergence_epoch(course + drawn(epochs, level, seed)) for seed in SEEDS]
    seen = [epoch for epoch in found if epoch is not None]
    assert len(seen) >= 7
    assert np.median(seen) == pytest.approx(ninety_percent(course), abs=bound * epochs)


@pytest.mark.parametrize("autocorrelation", [0.0, 0.5])
@pytest.mark.parametrize("epochs", [25, 50, 150])
@pytest.mark.parametrize("course", [lambda t: 1 - t, lambda t: np.exp(-t), lambda t: np.exp(-2 * t)])
def test_no_convergence_is_invented_for_a_curve_that_still_falls(
    course: Callable[[Curve], Curve], epochs: int, autocorrelation: float
) -> None:
    random = np.random.default_rng([7, epochs])
    curves = course(np.arange(epochs) / epochs) + noise(epochs, 0.05, autocorrelation, random, 24)
    assert np.mean([convergence_epoch(curve) is not None for curve in curves]) <= 0.1


@pytest.mark.parametrize("level", LEVELS)
def test_a_curve_that_still_falls_has_not_converged(level: tuple[float, float]) -> None:
    for seed in SEEDS[:4]:
        found = read(np.linspace(0.9, 0.2, 100) + drawn(100, level, seed))
        assert found.convergence_validation is None
        assert found.tells("convergence_validation")  # censored, not missing
        assert found.still_improving


def test_the_tail_of_a_quiet_curve_that_has_levelled_off_is_no_improvement() -> None:
    found = read(falling(150, 30) + drawn(150, (0.001, 0.0), 0))
    assert found.trend_validation_loss is not None
    assert found.trend_validation_loss.high < 0  # it does fall, by less than 5% of the whole
    assert (found.still_improving, found.convergence_validation) == (False, pytest.approx(70, abs=3))


@pytest.mark.parametrize("onset", [61, 80])
def test_a_plateau_shorter_than_two_fifths_is_none(onset: int) -> None:
    found = read(np.interp(np.arange(1, 101), [1, onset / 0.9, 100], [1, 0, 0]) + drawn(100, (0.005, 0.0), 0))
    assert found.convergence_validation is None
    assert found.tells("convergence_validation")


@pytest.mark.parametrize("kind", ["exponential", "line", "power", "turning up"])
@pytest.mark.parametrize("epochs", [25, 50, 150, 250])
def test_convergence_of_a_curve_without_noise_is_read_to_the_next_epoch(kind: str, epochs: int) -> None:
    course = levelling(kind, epochs)
    assert convergence_epoch(course) == pytest.approx(ninety_percent(course), abs=1 + 0.01 * epochs)


def test_what_comes_after_the_lowest_loss_does_not_undo_convergence() -> None:
    found = read(turning(100, 40), np.linspace(0.7, 0.1, 100))
    assert found.convergence_validation == pytest.approx(36, abs=2)  # 90% of the way down to epoch 40
    assert found.still_improving is False


@pytest.mark.parametrize("autocorrelation", [0.0, 0.5])
def test_a_curve_that_never_falls_has_nothing_to_converge(autocorrelation: float) -> None:
    flat = 0.69 + noise(100, 0.02, autocorrelation, np.random.default_rng(1), 80)
    assert np.mean([falls(curve) is True for curve in flat]) <= 0.15
    found = read(np.full(50, 0.69))
    assert (found.fell_validation, found.convergence_validation) == (False, None)
    assert not found.tells("convergence_validation")


@pytest.mark.parametrize("level", LEVELS)
@pytest.mark.parametrize(("epochs", "onset"), [(50, 20), (150, 60), (150, 90), (250, 60)])
def test_a_planted_onset_is_found(epochs: int, onset: int, level: tuple[float, float]) -> None:
    training = np.linspace(0.7, 0.1, epochs)
    found = [
        overfitting_epoch(
            training + drawn(epochs, level, 100 + seed), turning(epochs, onset) + drawn(epochs, level, seed)
        )
        for seed in SEEDS
    ]
    seen = [epoch for epoch in found if epoch is not None]
    assert len(seen) >= 11
    assert np.median(seen) == pytest.approx(onset, abs=0.1 * epochs)
    assert np.ptp(seen) <= 0.25 * epochs


@pytest.mark.parametrize("level", [(0.0, 0.0), (0.02, 0.0), (0.05, 0.0)])
@pytest.mark.parametrize("epochs", [50, 150])
def test_the_onset_is_at_the_end_of_a_flat_bottom_not_anywhere_on_it(epochs: int, level: tuple[float, float]) -> None:
    course = np.interp(np.arange(1, epochs + 1), [1, 0.2 * epochs, 0.6 * epochs, epochs], [1, 0, 0, 1])
    training = np.linspace(1, 0, epochs)
    found = [overfitting_epoch(training, course + drawn(epochs, level, seed)) for seed in SEEDS]
    seen = [epoch for epoch in found if epoch is not None]
    assert len(seen) >= 11
    assert np.median(seen) == pytest.approx(0.6 * epochs, abs=0.1 * epochs)


@pytest.mark.parametrize("epochs", [25, 50, 150])
@pytest.mark.parametrize("autocorrelation", [0.0, 0.5])
def test_a_plateau_is_rarely_taken_for_overfitting(epochs: int, autocorrelation: float) -> None:
    random = np.random.default_rng(epochs)
    training = np.linspace(0.7, 0.1, epochs) + noise(epochs, 0.01, 0, random)[0]
    curves = falling(epochs, epochs / 12) + noise(epochs, 0.03, autocorrelation, random, 60)
    assert np.mean([overfitting_epoch(training, curve) is not None for curve in curves]) <= 0.05


def test_a_loss_that_rises_together_with_training_loss_is_no_overfitting() -> None:
    assert overfitting_epoch(turning(100, 40), turning(100, 40)) is None


def test_a_loss_that_only_falls_does_not_overfit() -> None:
    found = read(falling(100, 30), np.linspace(0.7, 0.1, 100))
    assert found.overfitting is None
    assert found.tells("overfitting")


def test_a_turn_within_the_last_fifth_is_not_yet_sure() -> None:
    assert overfitting_epoch(np.linspace(0.7, 0.1, 100), turning(100, 90)) is None


def test_a_lone_spike_is_no_onset() -> None:
    curve = falling(100, 10) + drawn(100, (0.005, 0.0), 0)
    curve[70] += 1
    assert overfitting_epoch(np.linspace(0.7, 0.1, 100), curve) is None


def test_improving_has_the_right_side_for_losses_and_accuracies() -> None:
    up, down = np.linspace(0.5, 0.9, 60), np.linspace(0.9, 0.5, 60)
    assert read(down, down, validation_accuracy=up).improving == dict.fromkeys(
        ("validation_loss", "validation_accuracy", "training_loss"), True
    )
    assert read(up, up, validation_accuracy=down).improving == dict.fromkeys(
        ("validation_loss", "validation_accuracy", "training_loss"), False
    )


def test_gap_and_best_epoch_are_read_off() -> None:
    found = read(np.array([0.7, 0.5, 0.5, 0.6]), np.array([0.7, 0.4, 0.3, 0.2]))
    assert found.best_epoch == 2  # the first of two
    assert found.gap_loss == pytest.approx(0.6 - 0.2)
    assert found.gap_accuracy == pytest.approx(0.95 - 0.8)
    assert (found.final_training_accuracy, found.final_validation_accuracy) == (0.9, 0.8)


def test_roughness_is_the_sd_of_changes_over_the_last_half() -> None:
    random = np.random.default_rng(0)
    accuracy = np.r_[random.uniform(0, 1, 200), 0.7 + random.normal(0, 0.02, 200)]
    found = read(falling(400, 30), validation_accuracy=accuracy)
    assert found.roughness_accuracy == pytest.approx(np.std(np.diff(accuracy[200:]), ddof=1))
    assert found.roughness_accuracy == pytest.approx(0.02 * np.sqrt(2), rel=0.15)


@pytest.mark.parametrize("epochs", [1, 2, 3, 4, 5, 6, 7, 10, 20])
def test_short_histories_say_little_and_do_not_fail(epochs: int) -> None:
    found = read(np.linspace(0.7, 0.5, epochs))
    assert (found.convergence_validation, found.overfitting, found.still_improving) == (None, None, None)
    assert not found.long_enough
    assert not any(found.tells(name) for name in ("convergence_validation", "convergence_training", "overfitting"))
    assert (found.roughness_loss is None) == (epochs < 7)


def test_a_thousand_epochs_and_constant_curves_are_read() -> None:
    assert read(falling(1000, 50)).convergence_validation == pytest.approx(116, abs=3)
    found = read(np.full(1000, 0.5), np.full(1000, 0.5), validation_accuracy=np.full(1000, 0.5))
    assert (found.overfitting, found.still_improving, found.roughness_accuracy) == (None, False, 0)


def test_an_empty_history_is_refused() -> None:
    with pytest.raises(ValueError, match="without epochs"):
        read_curves(history(np.array([0.7]), np.array([0.7])).iloc[:0])
