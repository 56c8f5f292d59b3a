"""Intervals over seeds × rows, held against numbers worked by hand, against SciPy, and against simulated truths."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy import stats

from ulpt_search.dashboards.crossed import Table, compare, cost_of_choice, holm, over_table, parts, wilson


def drawn(share: float, *, seeds: int = 3, rows: int = 300, sd: float = 0.0, seed: int = 0) -> Table:
    """Rows that are right with a probability that moves from seed to seed; half of what decides a row is the row itself."""
    chance = np.random.default_rng(seed)
    rates = np.clip(share + sd * chance.standard_normal(seeds), 0, 1)
    shared, own, use = chance.random(rows), chance.random((seeds, rows)), chance.random((seeds, rows)) < 0.5
    return (np.where(use, shared, own) < rates[:, None]).astype(float)


def test_the_parts_of_a_small_table_by_hand() -> None:
    """Seeds' means 0.75 and 0.25, rows' means 1, .5, .5, 0: MS_rows = 2 · 0.5 / 3, MS_seeds = 4 · 0.125, MS_both = 0.5 / 3."""
    table = np.array([[1.0, 1.0, 1.0, 0.0], [1.0, 0.0, 0.0, 0.0]])
    found = parts(table)
    assert found.mean == 0.5
    assert found.rows == pytest.approx((1 / 3) / 8)
    assert found.seeds == pytest.approx((0.5 - 0.5 / 3) / 8)


def test_one_seed_of_a_proportion_is_wilsons_interval() -> None:
    table = np.array([[1.0] * 27 + [0.0] * 3])
    expected = stats.binomtest(27, 30).proportion_ci(method="wilson")
    found = over_table(table)
    assert (found.low, found.high) == pytest.approx((expected.low, expected.high), rel=1e-6)


def test_all_right_is_not_certain() -> None:
    """Ten of ten once gave [1, 1]; Wilson's interval of ten rows begins at 0.722."""
    found = over_table(np.ones((3, 10)))
    expected = stats.binomtest(10, 10).proportion_ci(method="wilson")
    assert (found.low, found.high) == pytest.approx((expected.low, 1.0))
    assert wilson(1.0, 10, 1.959964).low == pytest.approx(0.7225, abs=1e-4)


def test_of_other_numbers_the_interval_is_students_where_only_seeds_vary() -> None:
    table = np.array([[1.0, 1.0], [2.0, 2.0], [3.0, 3.0]])
    found = over_table(table)
    low, high = stats.t.interval(0.95, 2, loc=2.0, scale=stats.sem([1.0, 2.0, 3.0]))
    assert (found.low, found.high) == pytest.approx((low, high))


def test_of_paired_rows_the_p_value_is_that_of_the_paired_t_test() -> None:
    chance = np.random.default_rng(1)
    a, b = chance.normal(0.02, 0.1, (1, 400)), chance.normal(0.0, 0.1, (1, 400))
    found = compare(a, b)
    assert found.p == pytest.approx(stats.ttest_rel(a[0], b[0]).pvalue, rel=1e-6)
    assert found.interval.excludes_zero == (found.p < 0.05)


def test_the_same_predictions_are_not_told_apart_and_what_could_have_been_seen_is_said() -> None:
    table = drawn(0.9)
    found = compare(table, table)
    assert found.p == 1.0
    assert found.visible > 2 / 300


def test_pairing_rows_sees_what_unpaired_intervals_do_not() -> None:
    """b loses 15 of 300 rows that a has right and is like a elsewhere: the two intervals overlap, the paired difference does not hold 0."""
    a = np.tile(drawn(0.8, seeds=1), (3, 1))
    b = a.copy()
    b[:, np.flatnonzero(a[0])[:15]] = 0.0
    assert over_table(a).low < over_table(b).high
    assert compare(a, b).interval.low > 0


@given(st.floats(0.3, 0.95), st.floats(0.3, 0.95), st.integers(0, 50))
@settings(max_examples=20, deadline=None)
def test_a_difference_swapped_is_mirrored(left: float, right: float, seed: int) -> None:
    a, b = drawn(left, sd=0.05, seed=seed), drawn(right, sd=0.05, seed=seed + 1)
    forth, back = compare(a, b), compare(b, a)
    assert forth.interval.low == pytest.approx(-back.interval.high)
    assert forth.p == pytest.approx(back.p)


def test_tables_of_different_rows_are_not_compared() -> None:
    with pytest.raises(ValueError, match="the same rows, got 30 and 40"):
        compare(drawn(0.5, rows=30), drawn(0.5, rows=40))


def test_holm_by_hand() -> None:
    assert holm([0.01, 0.04, 0.03, 0.005]) == [pytest.approx(p) for p in (0.03, 0.06, 0.06, 0.02)]
    assert holm([]) == []


def test_the_best_of_equals_flatters_itself_and_a_clear_winner_does_not() -> None:
    equal = [drawn(0.7, rows=100, seed=i) for i in range(20)]
    # The best of 20 means of 100 rows and 3 seeds lies about 1.87 standard errors above the truth.
    truth = 1.87 * np.mean([np.sqrt(parts(each).rows) for each in equal])
    assert cost_of_choice(equal) == pytest.approx(truth, rel=0.5)
    assert cost_of_choice([*equal[:3], drawn(1.0, rows=100)]) < 0.005
    assert cost_of_choice(equal[:1]) == 0.0


@pytest.mark.parametrize(("rows", "share", "sd"), [(30, 0.5, 0.0), (30, 0.98, 0.0), (300, 0.8, 0.02), (300, 0.5, 0.2), (1000, 0.95, 0.0)])
def test_the_interval_holds_the_truth(rows: int, share: float, sd: float) -> None:
    found = [over_table(drawn(share, rows=rows, sd=sd, seed=seed)) for seed in range(200)]
    held = sum(one.low <= share <= one.high for one in found) / len(found)
    assert 0.90 <= held <= 0.99


@pytest.mark.parametrize("sd", [0.0, 0.05])
def test_equals_are_told_apart_as_seldom_as_said(sd: float) -> None:
    told = [compare(drawn(0.8, sd=sd, seed=2 * i), drawn(0.8, sd=sd, seed=2 * i + 1)).interval.excludes_zero for i in range(200)]
    assert sum(told) / len(told) <= 0.09
