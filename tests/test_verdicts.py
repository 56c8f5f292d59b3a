"""What is said of a curve: choices follow from validation, the test split reports, and what could not be seen is said."""

from collections.abc import Sequence
from dataclasses import replace

import numpy as np
import pytest

from ulpt_search.dashboards.crossed import Table
from ulpt_search.dashboards.curve import Curve
from ulpt_search.dashboards.headline import headline
from ulpt_search.dashboards.verdicts import against_best, blind, cheapest_alternative, comparison, not_told_apart, notes
from ulpt_search.spaces.records import Point, Split

from .curve_records import point


def right(share: float, *, rows: int = 400, seed: int = 0) -> Table:
    """Three seeds that agree on nearly every row; the same seed makes the same rows hard."""
    chance = np.random.default_rng(seed)
    return (chance.random(rows) + 0.02 * chance.random((3, rows)) < share).astype(float)


def studied(*shares: float) -> Curve:
    """A curve of configurations of 100, 200, … parameters with these accuracies; the same rows are hard for all of them."""
    return of_tables([{"validation": right(share), "test": right(share, seed=1)} for share in shares])


def of_tables(tables: Sequence[dict[Split, Table]]) -> Curve:
    points = tuple(point(n, 100 * (n + 1), float(own["validation"].mean()), test=float(own["test"].mean())) for n, own in enumerate(tables))
    return Curve("s", 1000, points, metric="accuracy", trials=40, tables=dict(enumerate(tables)))


def test_points_are_told_apart_by_the_difference_not_by_overlap() -> None:
    """Halves of 0.03: the difference has 0.042, so 0.05 apart is told apart although the intervals overlap."""
    a, b, c = point(0, 400, 0.60, half=0.03), point(1, 500, 0.64, half=0.03), point(2, 600, 0.70, half=0.03)
    assert b.score_high > c.score_low
    assert not_told_apart(Curve("s", 1000, (a, b, c))) == {0: (1,), 1: (0,), 2: ()}


def test_a_measured_point_is_never_compared_with_a_searched_one() -> None:
    assert comparison(point(0, 400, 0.6), point(1, 500, 0.6, test=0.6), "validation", {}) is None
    assert comparison(point(0, 400, 0.6), point(1, 500, 0.6), "test", {}) is None


def test_pairs_of_rows_tell_apart_what_two_intervals_do_not() -> None:
    drawn = studied(0.80, 0.83)
    a, b = drawn.front
    unpaired, paired = (comparison(b, a, "validation", tables) for tables in ({}, drawn.tables))
    assert unpaired is not None
    assert paired is not None
    assert a.score_high > b.score_low
    assert paired.p < 0.05
    assert paired.visible < 0.03


def test_many_comparisons_are_corrected_for_their_number() -> None:
    front = [point(n, 100 + n, score) for n, score in enumerate((0.60, 0.61, 0.62, 0.648))]
    alone = comparison(front[-1], front[1], "validation", {})
    together = against_best(Curve("s", 1000, tuple(front)))[1]
    assert alone is not None
    assert alone.p < together.p <= 3 * alone.p


def test_the_smaller_choice_follows_from_validation_whatever_the_test_split_says() -> None:
    drawn = studied(0.70, 0.895, 0.90)
    assert (chosen := cheapest_alternative(drawn)) is not None
    assert chosen.trial == 1
    turned = of_tables([{"validation": own["validation"], "test": 1 - own["test"]} for own in drawn.tables.values()])
    assert [p.test_score for p in turned.points] != [p.test_score for p in drawn.points]
    assert (again := cheapest_alternative(turned)) is not None
    assert (again.trial, again.exported) == (chosen.trial, chosen.exported)


def test_where_validation_tells_nothing_apart_there_is_no_advice_but_the_fact() -> None:
    """Thirty rows: 8 parameters were once sold as the cheapest that ties, 0.43 ± 0.18 against 0.67 ± 0.17."""
    a, b = np.zeros((3, 30)), np.zeros((3, 30))
    a[:, :15], b[:, 12:] = 1.0, 1.0
    drawn = of_tables([{"validation": a, "test": a}, {"validation": b, "test": b}])
    assert [p.score for p in drawn.front] == [0.5, 0.6]
    assert blind(drawn)
    assert cheapest_alternative(drawn) is None
    assert "The data cannot tell the adapters of this curve apart: differences under 0." in headline(drawn)
    assert "That says nothing of which size is enough." in " ".join(notes(drawn))


def test_before_the_finals_there_is_no_advice() -> None:
    drawn = Curve("s", 1000, (point(0, 400, 0.69), point(1, 800, 0.70)), trials=7)
    assert cheapest_alternative(drawn) is None
    assert notes(drawn) == [
        "These scores were chosen for being high, among 2 trials over all steps: expect less of new data. Nothing has been retrained yet.",
    ]


def test_the_winners_curse_counts_everyone_who_competed_and_what_choosing_cost() -> None:
    faint: tuple[Point, ...] = tuple(point(n, 50, 0.3) for n in range(10, 63))
    drawn = replace(studied(0.70, 0.895, 0.90), faint=faint)
    assert notes(drawn)[0].startswith("56 trials over all steps competed; 3 configurations retrained over fresh seeds and ranked by")
    assert "winner's curse, chosen on one half of the rows and judged on the other). The test split has decided nothing." in notes(drawn)[0]


def test_without_rows_the_cost_of_the_choice_is_not_made_up() -> None:
    assert "how much is not known, since its rows were not kept." in notes(replace(studied(0.7, 0.9), tables={}))[0]


def test_the_test_split_is_reported_and_equality_is_never_claimed() -> None:
    chosen, smaller, reported = notes(studied(0.70, 0.895, 0.90))
    assert smaller.startswith("Trial 1 has 200 parameters, 67 % as many; validation does not tell it from the best one, trial 2 (300 ")
    assert "below it on the same rows, this pair alone; p = " in smaller, "the interval is of the pair, the verdict of all comparisons"
    assert smaller.endswith("are not seen, so that is not equality.")
    assert reported.startswith("On the test split the best one has 0.")
    assert reported.endswith("and is told from trial 0, on the same rows, corrected for 2 comparisons.")
    assert "tie" not in chosen + smaller + reported


def test_what_the_finals_cannot_say_is_said() -> None:
    drawn = replace(studied(0.7, 0.9), incomplete=2)
    assert "2 configurations of the finals are not ranked: fewer of their seeds have come than of the others', or some failed." in notes(
        drawn
    )
    alone = replace(drawn, points=tuple(replace(p, seeds=(1000,), finals=p.finals[:1]) for p in drawn.points))
    assert notes(alone)[-1] == "One seed a configuration says nothing of other seeds: the intervals are those of the rows alone."


@pytest.mark.parametrize("remark", ["12 rows were in two splits and left the training split"])
def test_what_was_done_to_the_data_is_said_under_the_curve(remark: str) -> None:
    assert remark in notes(replace(studied(0.7, 0.9), remarks=(remark,)))
