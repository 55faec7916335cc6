"""Means and spreads over runs, against NumPy and by hand."""

import numpy as np
import pandas as pd
import pytest

from diascope.compare.aggregate import Aggregate, aggregate, aggregate_scores, mean_curve, mean_roc
from diascope.metrics import METRICS, RocCurve


def test_sd_has_n_minus_one_in_the_denominator() -> None:
    found = aggregate([0.6, 0.7, 0.9])
    assert found.mean == pytest.approx(2.2 / 3)
    assert found.sd == pytest.approx(np.std([0.6, 0.7, 0.9], ddof=1))
    assert found.n == 3


def test_undefined_values_are_not_counted() -> None:
    assert aggregate([0.5, None]) == Aggregate(0.5, None, 1)
    assert aggregate([None, None]) == Aggregate(None, None, 0)
    assert aggregate([]) == Aggregate(None, None, 0)


def test_every_metric_is_aggregated() -> None:
    run = dict.fromkeys(METRICS, 0.5)
    found = aggregate_scores([run, {**run, "auroc": None}])
    assert list(found) == list(METRICS)
    assert (found["accuracy"].n, found["auroc"].n) == (2, 1)


def test_mean_curve_counts_the_runs_that_reached_an_epoch() -> None:
    histories = [pd.DataFrame({"x": [1.0, 2.0, 3.0]}), pd.DataFrame({"x": [3.0, 6.0]})]
    found = mean_curve(histories, "x")
    assert found.mean.tolist() == [2, 4, 3]
    assert found.n.tolist() == [2, 2, 1]
    np.testing.assert_allclose(found.sd, [np.sqrt(2), np.sqrt(8), np.nan])


def test_mean_curve_of_no_runs_is_empty() -> None:
    assert len(mean_curve([], "x").mean) == 0


def test_mean_roc_lies_between_its_curves_and_starts_in_the_corner() -> None:
    steep = RocCurve(np.array([0.0, 0.0, 1.0]), np.array([0.0, 1.0, 1.0]))
    chance = RocCurve(np.array([0.0, 1.0]), np.array([0.0, 1.0]))
    found = mean_roc([steep, chance])
    assert found is not None
    assert (found.false_positive_rate[0], found.true_positive_rate[0]) == (0, 0)
    np.testing.assert_allclose(found.true_positive_rate[1:], (1 + found.false_positive_rate[1:]) / 2)
    assert mean_roc([]) is None


def test_mean_curve_leaves_out_what_a_run_has_no_value_of() -> None:
    histories = [pd.DataFrame({"x": values}) for values in ([1.0, np.nan, np.nan], [3.0, 5.0, np.nan])]
    found = mean_curve(histories, "x")
    assert found.n.tolist() == [2, 1, 0]
    assert found.mean[:2].tolist() == [2, 5]
    assert np.isnan(found.mean[2])
    assert np.isnan(found.sd[1:]).all()
