"""Effects against independent oracles, and the filling of what is erased."""

import numpy as np
import pytest
from scipy import stats

from diascope.probes.effects import estimated, mean_effect, two_way_effect
from diascope.probes.filling import erased
from diascope.probes.regions import border, corners, disk, edge_middles, moved
from diascope.probes.swapping import percent


def test_without_groups_a_mean_is_that_of_a_t_test() -> None:
    values = np.random.default_rng(0).normal(0.2, 0.3, 40)
    found = mean_effect(values, np.arange(40))
    oracle = stats.ttest_1samp(values, 0, alternative="greater")
    limits = stats.ttest_1samp(values, 0).confidence_interval()
    assert found is not None
    assert found.p == pytest.approx(oracle.pvalue)
    assert (found.low, found.high) == pytest.approx((limits.low, limits.high))


def test_copies_of_images_in_a_group_add_nothing() -> None:
    values = np.random.default_rng(1).normal(0.1, 0.3, 30)
    alone, tripled = mean_effect(values, np.arange(30)), mean_effect(np.repeat(values, 3), np.repeat(np.arange(30), 3))
    assert alone is not None
    assert tripled is not None
    assert (tripled.low, tripled.high, tripled.n) == pytest.approx((alone.low, alone.high, 30))


def test_units_that_all_agree() -> None:
    none, all_of_them = estimated(0.0, [(0.0, 20)]), estimated(1.0, [(0.0, 20)])
    assert none.p == 1
    assert none.low < 0 < none.high
    assert all_of_them.p == pytest.approx(0.5**20)
    assert 0.7 < all_of_them.low < 1 == all_of_them.high


def test_two_way_effect_is_calibrated() -> None:
    """Rows and columns with effects of their own, and no difference between the columns' two kinds."""
    random, hits, kind = np.random.default_rng(2), 0, np.arange(20) % 2
    for _ in range(300):
        table = random.normal(0, 0.1, (20, 1)) + random.normal(0, 0.1, (1, 20)) + random.normal(0, 0.1, (20, 20))

        def difference(rows: np.ndarray, columns: np.ndarray, table: np.ndarray = table) -> float:
            kept = table[rows]
            return float(kept[:, columns & (kind == 1)].mean() - kept[:, columns & (kind == 0)].mean())

        found = two_way_effect(difference, np.arange(20), np.arange(20))
        assert found is not None
        hits += found.p < 0.05
    assert 2 <= hits <= 27  # 5% of 300 is 15; 99.8% of such counts


def test_given_columns_a_table_is_a_sample_of_rows() -> None:
    table = np.random.default_rng(3).normal(0.2, 0.3, (15, 8)) + np.arange(8)
    rows, columns = np.arange(15), np.arange(8)
    found = two_way_effect(lambda kept, of: float(table[kept][:, of].mean() - 3.5), rows, columns, given_columns=True)
    oracle = stats.ttest_1samp(table.mean(axis=1) - 3.5, 0, alternative="greater")
    assert found is not None
    assert found.p == pytest.approx(oracle.pvalue)


def test_erasing_keeps_a_slope() -> None:
    slope = np.add.outer(np.arange(12) * 4, np.arange(16) * 5).astype(np.uint8)[None, ..., None]
    mask = np.zeros((12, 16), dtype=bool)
    mask[3:8, 5:11] = True
    spoiled = slope.copy()
    spoiled[:, mask] = 255
    assert np.array_equal(erased(spoiled, mask), slope)  # a plane is what solves Laplace's equation


def test_erased_corners_take_the_colour_around_them() -> None:
    images = np.full((2, 20, 20, 3), 90, np.uint8)
    images[:, :4, :4] = 255
    found = erased(images, corners(20, 20))
    assert (found == 90).all()
    assert (images[:, 0, 0] == 255).all()
    assert (erased(images, np.ones((20, 20), dtype=bool)) == 0).all()


def test_regions() -> None:
    assert corners(50, 40).sum() == edge_middles(50, 40).sum() == 4 * 10 * 8
    assert not (corners(50, 40) & edge_middles(50, 40)).any()
    assert border(50, 50).sum() > corners(50, 50).sum()
    assert disk(100, 100, 0.4).mean() == pytest.approx(np.pi * 0.16, abs=0.005)
    assert disk(100, 60, 0.4).mean() == pytest.approx(np.pi * 0.16, abs=0.005)
    box = np.zeros((30, 30), dtype=bool)
    box[2:6, 20:28] = True
    elsewhere = moved(box, box, np.random.default_rng(0))
    assert elsewhere is not None
    assert elsewhere.sum() == box.sum()
    assert not (elsewhere & box).any()
    assert moved(~box, box | ~box, np.random.default_rng(0)) is None


def test_percentages_have_no_minus_before_a_zero() -> None:
    assert [percent(share) for share in (-0.001, -0.031, 0.96)] == ["0%", "−3%", "96%"]
