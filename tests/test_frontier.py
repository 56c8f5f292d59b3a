import itertools
import math
import random
from collections.abc import Sequence

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.dashboards.frontier import earlier_points, frontier, points
from ulpt_search.dashboards.intervals import Interval, difference, over_rows, over_seeds
from ulpt_search.dashboards.verdicts import cheapest_tie, notes, optimism, tied, ties
from ulpt_search.spaces.records import Point, Result

from .curve_records import curve, finished, point, result, searched, trial

FEW = st.lists(st.tuples(st.integers(1, 6), st.sampled_from([0.1, 0.2, 0.3, 0.4])), max_size=12)
"""Few values each, so that ties of every kind are common."""


def dominates(a: Point, b: Point) -> bool:
    """The definition, with the lower number standing for two that are equal in both."""
    no_worse = a.trainable_parameters <= b.trainable_parameters and a.score >= b.score
    better = a.trainable_parameters < b.trainable_parameters or a.score > b.score
    return no_worse and (better or a.trial < b.trial)


def by_definition(drawn: Sequence[Point]) -> list[Point]:
    kept = [b for b in drawn if not any(dominates(a, b) for a in drawn)]
    return sorted(kept, key=lambda p: p.trainable_parameters)


@given(FEW, st.randoms(use_true_random=False))
def test_the_frontier_is_what_the_definition_says_in_any_order(drawn: list[tuple[int, float]], rng: random.Random) -> None:
    all_points = [point(number, parameters, score) for number, (parameters, score) in enumerate(drawn)]
    shuffled = rng.sample(all_points, len(all_points))
    assert frontier(shuffled) == by_definition(all_points)


@given(FEW)
def test_along_the_frontier_both_objectives_rise_strictly(drawn: list[tuple[int, float]]) -> None:
    front = frontier(point(number, parameters, score) for number, (parameters, score) in enumerate(drawn))
    assert all(a.trainable_parameters < b.trainable_parameters and a.score < b.score for a, b in itertools.pairwise(front))


def test_an_equal_score_at_more_parameters_is_dominated() -> None:
    assert [p.trial for p in frontier([point(0, 900, 0.7), point(1, 800, 0.7), point(2, 800, 0.7)])] == [1]


def test_points_are_search_trials_at_the_highest_step_only() -> None:
    trials = [trial(0), trial(1, 900), trial(2, 700)]
    results = [result(0, 0.9, step=100), result(0, 0.6), result(1, 0.7), result(2, 0.99, step=100)]
    found = points(trials, results)
    assert [(p.trial, p.steps, p.score, p.trainable_parameters) for p in found] == [(0, 200, 0.6, 788), (1, 200, 0.7, 900)]


def test_without_finals_the_interval_is_that_of_the_validation_score() -> None:
    (found,) = points([trial(0)], [result(0, 0.6, variance=0.0004)])
    assert (found.test_score, found.seeds) == (None, ())
    assert (found.score_low, found.score_high) == pytest.approx((0.6 - 1.959964 * 0.02, 0.6 + 1.959964 * 0.02))


def test_finals_give_the_test_mean_its_interval_and_its_seeds() -> None:
    trials = [trial(0), *(trial(n, finalist=0, seed=999 + n) for n in (1, 2, 3))]
    finals = [result(n, score, split="test") for n, score in ((1, 0.5), (2, 0.6), (3, 0.7))]
    (found,) = points(trials, [result(0, 0.8), *finals])
    expected = over_seeds([0.5, 0.6, 0.7], [1e-4] * 3)
    assert found.test_score == pytest.approx(0.6)
    assert (found.score_low, found.score_high) == (expected.low, expected.high)
    assert (found.score, found.seed, found.seeds) == (0.8, 0, (1000, 1001, 1002))


def test_a_finals_validation_score_makes_no_point_and_a_search_trials_test_score_counts_for_nothing() -> None:
    trials = [trial(0), trial(1, finalist=0, seed=1000)]
    found = points(trials, [result(0, 0.8), result(0, 0.1, split="test"), result(1, 0.9, step=400)])
    assert [(p.trial, p.steps, p.test_score) for p in found] == [(0, 200, None)]


def test_the_test_split_moves_nothing_on_or_off_the_curve() -> None:
    before, after = curve(searched()).front, curve(finished()).front
    assert len(before) >= 4
    assert [(p.trial, p.score) for p in before] == [(p.trial, p.score) for p in after]
    assert all(p.test_score is None for p in before)
    assert all(p.test_score is not None for p in after)


@pytest.mark.parametrize("score", [math.nan, math.inf, -math.inf])
def test_a_score_that_is_not_finite_is_left_out(score: float) -> None:
    assert [p.trial for p in points([trial(0), trial(1)], [result(0, score), result(1, 0.5, step=100)])] == [1]


def test_no_results_no_points() -> None:
    assert points([trial(0)], []) == []
    assert frontier([]) == []


def test_the_interval_of_a_mean_over_seeds_by_hand() -> None:
    """Scores 0.80 0.82 0.84 on 500 rows: s²/S = 4e-4/3, v = 0.82·0.18/500, ν = 20.66, t = 2.0817."""
    found = over_seeds([0.80, 0.82, 0.84], [0.82 * 0.18 / 500] * 3)
    half = 2.0817 * math.sqrt(4e-4 / 3 + 2.952e-4)
    assert (found.centre, found.low, found.high) == pytest.approx((0.82, 0.82 - half, 0.82 + half), rel=1e-4)


def test_without_a_rows_part_it_is_students_interval() -> None:
    """Textbook: t(0.975, 2) = 4.3027."""
    found = over_seeds([1.0, 2.0, 3.0], [0.0, 0.0, 0.0])
    assert found.high - found.centre == pytest.approx(4.3027 / math.sqrt(3), rel=1e-4)


def test_without_a_seeds_part_it_is_the_normal_interval_over_rows() -> None:
    assert over_seeds([0.7], [4e-4]) == over_rows(0.7, 4e-4)
    same = over_seeds([0.5, 0.5], [4e-4, 4e-4])
    assert (same.low, same.high) == pytest.approx((0.5 - 0.039199, 0.5 + 0.039199), rel=1e-4)


@pytest.mark.parametrize(("seeds_sd", "rows_sd"), [(0.05, 1.0), (0.1, 1.0), (0.3, 1.0), (0.3, 0.2)])
def test_the_interval_covers_the_truth(seeds_sd: float, rows_sd: float) -> None:
    """Seeds x rows, rows shared by the seeds: 95 % intervals must hold the expected accuracy in 93 to 99.5 % of 1,500 studies."""
    rng = np.random.default_rng(0)
    studies, seeds, rows = 1_500, 3, 300
    latent = 0.5 + seeds_sd * rng.standard_normal((studies, seeds, 1)) + rows_sd * rng.standard_normal((studies, 1, rows))
    scores = (latent + rng.standard_normal((studies, seeds, rows)) > 0).mean(axis=2)
    spread = math.sqrt(1 + seeds_sd**2 + rows_sd**2)
    truth = 0.5 * (1 + math.erf(0.5 / spread / math.sqrt(2)))
    intervals = [over_seeds(list(each), list(each * (1 - each) / rows)) for each in scores]
    covered = np.mean([i.low <= truth <= i.high for i in intervals])
    assert 0.93 <= covered <= 0.995


def test_a_difference_of_symmetric_intervals_adds_their_halves_in_quadrature() -> None:
    found = difference(Interval(0.7, 0.67, 0.73), Interval(0.6, 0.56, 0.64))
    assert (found.centre, found.low, found.high) == pytest.approx((0.1, 0.05, 0.15))
    assert found.excludes_zero


@given(*(st.floats(0, 1) for _ in range(6)))
def test_swapping_a_difference_mirrors_it(a: float, a_low: float, a_high: float, b: float, b_low: float, b_high: float) -> None:
    one, other = Interval(a, a - a_low, a + a_high), Interval(b, b - b_low, b + b_high)
    forth, back = difference(one, other), difference(other, one)
    assert (forth.low, forth.high) == (-back.high, -back.low)


def test_ties_are_told_by_the_interval_of_the_difference_not_by_overlap() -> None:
    """Halves of 0.03: the difference has 0.042, so 0.05 apart is told apart although the intervals overlap."""
    a, b, c = point(0, 400, 0.60, half=0.03), point(1, 500, 0.64, half=0.03), point(2, 600, 0.69, half=0.03)
    assert b.score_high > c.score_low
    assert ties([a, b, c]) == {0: (1,), 1: (0,), 2: ()}
    assert cheapest_tie([a, b]) == a
    assert cheapest_tie([a, b, c]) is None


def test_a_test_mean_is_never_compared_with_a_validation_score() -> None:
    assert not tied(point(0, 400, 0.6), point(1, 500, 0.6, test=0.6))


def test_notes_measure_the_winners_curse() -> None:
    front = [point(0, 400, 0.60, test=0.57), point(1, 500, 0.70, test=0.69)]
    assert optimism(front) == pytest.approx(0.02)
    curse, tie = notes([*front, point(2, 900, 0.5)], front)
    assert "the best of 3 by validation score" in curse
    assert "validation is 0.020 above the test mean" in curse
    assert tie.startswith("No cheaper point of the curve ties with the best one, trial 1 (500 parameters)")


def test_notes_say_when_there_is_no_test_score_yet() -> None:
    front = [point(0, 400, 0.69), point(1, 800, 0.70)]
    curse, tie = notes(front, front)
    assert "No test score yet: expect less on new data." in curse
    assert tie.startswith(
        "Trial 0 ties with the best one, trial 1 (800 parameters), at 95 % by validation score and has 400, 50 % as many."
    )


def test_notes_name_the_points_that_the_finals_have_not_reached() -> None:
    front = [point(0, 400, 0.6, test=0.6), point(1, 800, 0.7)]
    assert notes(front, front)[-1] == "No test score yet for trial 1: not compared with those that have one."


def test_the_latest_test_score_of_a_seed_counts_once() -> None:
    trials = [trial(0), trial(1, finalist=0, seed=1000)]
    tests: list[Result] = [result(1, 0.2, step=100, split="test"), result(1, 0.6, split="test")]
    (found,) = points(trials, [result(0, 0.8), *tests])
    assert (found.test_score, found.seeds) == (0.6, (1000,))


def test_every_scored_trial_is_a_point_or_an_earlier_one() -> None:
    trials, results, _ = finished()
    now, before = points(trials, results), earlier_points(trials, results)
    scored = {r.trial for r in results if r.split == "validation"}
    assert {p.trial for p in now} | {p.trial for p in before} == scored
    assert {p.trial for p in now}.isdisjoint(p.trial for p in before)
    assert before
    assert all(p.steps == max(r.step for r in results if r.trial == p.trial) < 200 for p in before)
    assert all(p.score == next(r.score for r in results if (r.trial, r.step) == (p.trial, p.steps)) for p in before)


def test_a_score_that_is_not_finite_does_not_hide_the_one_before() -> None:
    trials = [trial(0), trial(1)]
    results = [result(0, 0.5, step=100), result(0, math.nan), result(1, 0.6), result(1, 0.9, split="test")]
    assert [(p.trial, p.steps, p.score) for p in earlier_points(trials, results)] == [(0, 100, 0.5)]
    assert [p.trial for p in points(trials, results)] == [1]
