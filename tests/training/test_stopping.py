"""Early stopping, and which epoch is the best: counted by hand, and as Keras counts."""

from math import inf, nan

import numpy as np
import pytest

from diascope.config.training import EarlyStopping
from diascope.core.errors import ConfigError
from diascope.training.scores import ValidationScores
from diascope.training.stopping import StoppingCounter, check_watchable, cost


def scores(value: float, metric: str) -> ValidationScores:
    return ValidationScores(**{"loss": 1.0, "accuracy": 0.5, "balanced_accuracy": 0.5, "auroc": 0.5, metric: value})


def ended_after(values: list[float], rule: EarlyStopping) -> int | None:
    """How many epochs run until the rule ends them; None if it does not."""
    counter = StoppingCounter()
    for epoch, value in enumerate(values, start=1):
        counter.note(scores(value, rule.metric), rule)
        if counter.ended(rule):
            return epoch
    return None


@pytest.mark.parametrize(
    ("values", "patience", "min_delta", "expected"),
    [
        ([5, 4, 3, 2, 1], 1, 0, None),
        ([5, 4, 4], 1, 0, 3),  # as good as before is no improvement
        ([5, 4, 6, 6, 3, 7, 7, 7], 3, 0, 8),
        ([5, 4.5, 4.0, 3.5], 2, 1, 3),  # 4.0 improves on 5 by min_delta, not by more
        ([5, 4.5, 3.9, 3.8], 2, 1, None),
        ([5, nan, nan], 2, 0, 3),
        ([nan, nan, 5], 2, 0, 2),
        ([inf, 5, 4], 1, 0, 1),
    ],
)
def test_it_ends_after_so_many_epochs_without_improvement(values, patience, min_delta, expected):
    rule = EarlyStopping(patience=patience, min_delta=min_delta)
    assert ended_after(values, rule) == expected


@pytest.mark.parametrize("metric", ["accuracy", "balanced_accuracy", "auroc"])
def test_of_other_metrics_higher_is_better(metric):
    rule = EarlyStopping(metric=metric, patience=2)
    assert ended_after([0.5, 0.6, 0.7, 0.8], rule) is None
    assert ended_after([0.8, 0.7, 0.8], rule) == 3
    assert ended_after([0.5, nan, nan, 0.9], rule) == 3


def test_cost_orders_epochs_by_the_watched_score_and_puts_nan_last():
    rule = EarlyStopping(metric="auroc", min_delta=0.5)
    costs = [cost(scores(value, "auroc"), rule) for value in (0.9, 0.8, nan)]
    assert costs == sorted(costs)
    assert costs[2] == inf
    assert cost(scores(0.3, "loss"), None) == 0.3


def test_a_counter_goes_on_where_it_was():
    rule = EarlyStopping(patience=3)
    first = StoppingCounter()
    for value in (5, 4, 6):
        first.note(scores(value, "loss"), rule)
    second = StoppingCounter(**first.state_dict())
    assert second == first
    assert (second.best, second.waited) == (4, 1)


def test_a_score_that_the_validation_side_leaves_undefined_is_refused():
    rule, classes = EarlyStopping(metric="auroc"), ("a", "b", "c")
    check_watchable(rule, np.array([0, 1, 2]), classes)
    check_watchable(None, np.array([0]), classes)
    check_watchable(EarlyStopping(metric="accuracy"), np.array([0]), classes)
    with pytest.raises(ConfigError, match=r"auroc is undefined.* class b, c; watch loss"):
        check_watchable(rule, np.array([0, 0]), classes)
