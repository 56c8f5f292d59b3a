"""A point is one search trial at one step before the finals, and afterwards a configuration measured over fresh seeds at one step."""

import math
from dataclasses import replace
from typing import Any, cast

import numpy as np
import pytest

from ulpt_search.dashboards.crossed import over_table
from ulpt_search.dashboards.intervals import over_seeds
from ulpt_search.dashboards.points import Plan, RowScores, faint_points, incomplete, points, searched_points, tables
from ulpt_search.spaces.metrics import METRICS
from ulpt_search.spaces.records import Result, Trial

from .curve_records import curve, finished, result, searched, trial


def measured(
    validation: tuple[float, ...] = (0.6, 0.7, 0.5), test: tuple[float, ...] = (0.5, 0.9, 0.7)
) -> tuple[list[Trial], list[Result]]:
    """Search trial 0 with 0.8 at step 50, and its finals 1, 2, … at step 200."""
    numbers = range(1, len(validation) + 1)
    trials = [trial(0), *(trial(n, finalist=0, seed=999 + n) for n in numbers)]
    scored = [result(n, score) for n, score in zip(numbers, validation, strict=True)]
    tested = [result(n, score, split="test") for n, score in zip(numbers, test, strict=True)]
    return trials, [result(0, 0.8, step=50), *scored, *tested]


def test_before_the_finals_points_are_search_trials_at_the_highest_step_only() -> None:
    trials = [trial(0), trial(1, 900), trial(2, 700)]
    results = [result(0, 0.9, step=100), result(0, 0.6), result(1, 0.7), result(2, 0.99, step=100)]
    found = points(trials, results)
    assert [(p.trial, p.steps, p.score, p.trainable_parameters) for p in found] == [(0, 200, 0.6, 788), (1, 200, 0.7, 900)]
    assert [(p.exported, p.finals, p.test_score) for p in found] == [(0, (), None), (1, (), None)]


def test_before_the_finals_the_interval_is_that_of_the_validation_score() -> None:
    (found,) = points([trial(0)], [result(0, 0.6, variance=0.0004)])
    assert (found.score_low, found.score_high) == pytest.approx((0.6 - 1.959964 * 0.02, 0.6 + 1.959964 * 0.02))


def test_a_measured_point_has_both_scores_of_the_same_adapters_at_one_step() -> None:
    """Once validation at step 50, where the search had been closed early, stood beside the test at step 200."""
    (found,) = points(*measured())
    valid, test = over_seeds([0.6, 0.7, 0.5], [1e-4] * 3), over_seeds([0.5, 0.9, 0.7], [1e-4] * 3)
    assert (found.trial, found.steps, found.seeds, found.finals) == (0, 200, (1000, 1001, 1002), (1, 2, 3))
    assert (found.score, found.score_low, found.score_high) == pytest.approx((0.6, valid.low, valid.high))
    assert (found.test_score, found.test_low, found.test_high) == pytest.approx((0.7, test.low, test.high))


def test_what_is_exported_is_the_median_final_by_validation_with_its_own_scores() -> None:
    (found,) = points(*measured())
    assert (found.exported, found.exported_score, found.exported_test) == (1, 0.6, 0.5)


def test_of_an_even_number_the_lower_median_and_of_equals_the_first_seed_is_exported() -> None:
    (even,) = points(*measured((0.6, 0.9, 0.7, 0.5), (0.1, 0.2, 0.3, 0.4)))
    (equal,) = points(*measured((0.6, 0.6, 0.6), (0.1, 0.2, 0.3)))
    assert (even.exported, equal.exported) == (1, 2)


def test_the_test_split_decides_nothing() -> None:
    """Other test scores: the same points in the same order, the same frontier, the same adapters to export."""
    trials, results, _ = finished()
    turned = [r if r.split == "validation" else result(r.trial, 1 - r.score, split="test") for r in results]
    before, after = points(trials, results), points(trials, turned)
    assert [(p.trial, p.score, p.exported) for p in before] == [(p.trial, p.score, p.exported) for p in after]
    assert [p.test_score for p in before] != [p.test_score for p in after]


def test_the_finals_rank_configurations_anew() -> None:
    """Search trial 0 was ahead of 1 by its lucky seed; over fresh seeds it is not."""
    trials = [trial(0), trial(1, 900), trial(2, finalist=0, seed=1000), trial(3, 900, finalist=1, seed=1000)]
    searched_scores = [result(0, 0.9), result(1, 0.8)]
    finals = [r for n, score in ((2, 0.5), (3, 0.8)) for r in (result(n, score), result(n, score, split="test"))]
    assert [(p.trial, p.score) for p in points(trials, searched_scores + finals)] == [(0, 0.5), (1, 0.8)]


def test_a_final_counts_once_it_has_both_splits_at_the_step_of_the_others() -> None:
    trials, results = measured()
    half = [r for r in results if not (r.trial == 3 and r.split == "test")]
    assert points(trials, half)[0].seeds == (1000, 1001)
    early = [*half, result(3, 0.9, step=100), result(3, 0.9, step=100, split="test")]
    assert points(trials, early)[0].seeds == (1000, 1001)


def finals(seeds: dict[int, int], *, failed: tuple[tuple[int, int], ...] = ()) -> tuple[list[Trial], list[Result]]:
    """Configuration (its search trial) -> how many finals it has, under seeds from 1000 on; `failed` ones have no result."""
    given = [(one, 1000 + n) for one, count in seeds.items() for n in range(count)]
    retrained = {key: trial(100 + place, finalist=key[0], seed=key[1]) for place, key in enumerate([*given, *failed])}
    scored = [result(retrained[key].number, 0.5 + key[0] / 100, split=split) for key in given for split in ("validation", "test")]
    return [*(trial(one, 100 * (one + 1)) for one in seeds), *retrained.values()], scored


@pytest.mark.parametrize(
    ("seeds", "ranked", "counted"),
    [
        ({0: 4, 1: 4, 2: 3, 3: 3, 4: 3, 5: 3}, {0, 1, 2, 3, 4, 5}, 3),  # a round beyond the plan that time cut short
        ({0: 4, 1: 4, 2: 4, 3: 4, 4: 4, 5: 3}, {0, 1, 2, 3, 4, 5}, 3),
        ({0: 10, 1: 3}, {0, 1}, 3),  # new to the curve after time had been left
        ({0: 5, 1: 4, 2: 4}, {0, 1, 2}, 4),
        ({0: 3, 1: 1, 2: 1}, {0, 1, 2}, 1),
        ({0: 3, 1: 2, 2: 2}, {0, 1, 2}, 2),  # time ran out in the plan itself
        ({0: 3, 1: 3, 2: 3, 3: 1}, {0, 1, 2}, 3),  # one that came late
    ],
)
def test_configurations_are_ranked_by_seeds_that_they_share(seeds: dict[int, int], ranked: set[int], counted: int) -> None:
    trials, results = finals(seeds)
    found = points(trials, results, plan=Plan(3))
    assert {point.trial for point in found} == ranked
    assert {point.seeds for point in found} == {tuple(range(1000, 1000 + counted))}
    assert incomplete(trials, results, plan=Plan(3)) == len(seeds) - len(ranked)


def test_a_planned_final_that_failed_is_no_lack_of_time() -> None:
    trials, results = finals({0: 3, 1: 2}, failed=((1, 1002),))
    assert [point.trial for point in points(trials, results, plan=Plan(3, {trials[-1].number}))] == [0]
    assert [len(point.seeds) for point in points(trials, results, plan=Plan(3))] == [2, 2], "one that is under way, or was cut off"
    trials, results = finals({0: 4, 1: 3}, failed=((1, 1003),))
    assert [(point.trial, len(point.seeds)) for point in points(trials, results, plan=Plan(3, {trials[-1].number}))] == [(0, 3), (1, 3)]


def test_where_a_seed_failed_everybody_those_before_it_count() -> None:
    trials, results = finals({0: 3})
    lost = next(one.number for one in trials if one.seed == 1001)
    (found,) = points(trials, [one for one in results if one.trial != lost], plan=Plan(3, {lost}))
    assert found.seeds == (1000,), "and not those that survived"


def test_a_configuration_whose_seeds_failed_is_not_ranked_by_those_that_did_not() -> None:
    """Once errors left the denominator: the more runs failed, the better the mean."""
    trials, results = measured()
    trials = [*trials, trial(10, 50), *(trial(n, 50, finalist=10, seed=989 + n) for n in (11, 12, 13))]
    lucky = [result(10, 0.6, step=50), result(11, 0.99), result(11, 0.99, split="test")]
    assert [p.trial for p in points(trials, results + lucky)] == [0]
    assert incomplete(trials, results + lucky) == 1
    assert incomplete(*measured()) == 0


def test_no_interval_leaves_what_a_metric_can_be() -> None:
    (found,) = points([trial(0)], [result(0, 0.99, variance=0.01)], ends=METRICS["accuracy"].ends)
    assert (found.score, found.score_high) == (0.99, 1.0)
    (found,) = points([trial(0)], [result(0, -0.01, variance=0.01)], ends=METRICS["log_loss"].ends)
    assert found.score_high == 0
    assert found.score_low == pytest.approx(-0.206, abs=1e-3)
    (found,) = points([trial(0)], [result(0, 0.01, variance=0.01)], ends=METRICS["f1"].ends)
    assert found.score_low == 0


def test_a_search_trials_test_score_counts_for_nothing() -> None:
    assert points([trial(0)], [result(0, 0.8), result(0, 0.1, split="test")])[0].test_score is None


def test_the_first_result_of_a_split_counts() -> None:
    trials, results = measured()
    assert points(trials, [*results, result(1, 0.99)]) == points(trials, results)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_left_out(score: float) -> None:
    assert [p.trial for p in points([trial(0), trial(1)], [result(0, score), result(1, 0.5, step=100)])] == [1]


def test_a_score_that_is_not_finite_does_not_hide_the_one_before() -> None:
    trials, results = [trial(0), trial(1)], [result(0, 0.5), result(1, 0.4, step=100), result(1, math.nan)]
    assert [(p.trial, p.score) for p in faint_points(trials, results)] == [(1, 0.4)]


def test_a_split_that_no_search_has_makes_no_final_whole() -> None:
    """As a changed ledger may hold it."""
    trials, results = measured()
    changed = [replace(one, split=cast("Any", "tast")) if (one.trial, one.split) == (3, "test") else one for one in results]
    assert points(trials, changed)[0].seeds == (1000, 1001)


def test_no_results_no_points() -> None:
    assert points([trial(0)], []) == []


def test_faint_are_those_of_earlier_steps_and_after_the_finals_those_that_were_not_retrained() -> None:
    trials, results, _ = searched()
    at_the_top = {p.trial for p in searched_points(trials, results)}
    scored = {r.trial for r in results}
    assert {p.trial for p in faint_points(trials, results)} == scored - at_the_top
    trials, results, _ = finished()
    assert {p.trial for p in faint_points(trials, results)} == scored - {p.trial for p in points(trials, results)}


def test_with_the_rows_of_all_finals_the_interval_is_crossed_with_them() -> None:
    trials, results = measured((0.75, 0.5, 0.75), (0.5, 0.5, 0.5))
    rows: RowScores = {(1, "validation"): (1, 1, 1, 0), (2, "validation"): (1, 1, 0, 0), (3, "validation"): (1, 1, 1, 0)}
    (found,) = points(trials, results, rows)
    expected = over_table(np.array([rows[n, "validation"] for n in (1, 2, 3)], dtype=float))
    assert (found.score_low, found.score_high) == pytest.approx((expected.low, expected.high))
    assert list(tables(trials, results, rows)[0]) == ["validation"]


def test_where_a_finals_rows_are_missing_there_is_no_table() -> None:
    trials, results = measured()
    assert tables(trials, results, {(1, "validation"): (1, 0), (2, "validation"): (1, 0)}) == {}


def test_a_curve_after_the_finals_holds_configurations_only() -> None:
    assert all(p.finals for p in curve().front)
    assert not any(p.finals for p in curve(searched()).front)
