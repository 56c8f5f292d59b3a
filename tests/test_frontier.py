import itertools
import math
import random
from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.dashboards.frontier import frontier
from ulpt_search.dashboards.intervals import Interval, difference, over_rows, over_seeds
from ulpt_search.spaces.records import Point

from .curve_records import point

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


def test_in_bytes_the_frontier_is_another() -> None:
    """A bfloat16 file of more parameters may be the smaller one."""
    small, large = replace(point(0, 400, 0.6), bytes=9_000), replace(point(1, 500, 0.7), bytes=800)
    assert [p.trial for p in frontier([small, large])] == [0, 1]
    assert [p.trial for p in frontier([small, large], size="bytes")] == [1]


def test_no_points_no_frontier() -> None:
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
