"""The rule of promotion against its own definition, and what it costs."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.search.brain.promotion import LEAST, SIMILAR, Ranking, Rung, Standing, ladder, ratios, rungs_of
from ulpt_search.spaces.space import Training

Entry = tuple[int, float]
ENTRIES = st.lists(st.tuples(st.integers(1, 300), st.sampled_from([0.1, 0.2, 0.3, 0.4, 0.5])), min_size=1, max_size=60)


def standing(entries: dict[int, Entry], trial: int) -> Standing:
    """By the words of the rule: ties go to fewer parameters, then to the earlier trial."""
    parameters, score = entries[trial]
    peers = {n: e for n, e in entries.items() if e[0] <= parameters}
    near = {n: e for n, e in peers.items() if e[0] >= parameters / SIMILAR}

    def ahead(those: dict[int, Entry]) -> int:
        return sum((-s, p, n) < (-score, parameters, trial) for n, (p, s) in those.items())

    return Standing(ahead(peers), len(peers), ahead(near), len(near))


@given(ENTRIES, st.sampled_from([2.0, 3.0, 4.0, 2.6]), st.randoms(use_true_random=False))
def test_a_rung_offers_whom_the_rule_names(entries: list[Entry], eta: float, chance: random.Random) -> None:
    """After every result, and with trials taken and withdrawn in between, exactly the promotable ones are offered, best first."""
    rung, here, taken = Rung(eta=eta), dict[int, Entry](), set[int]()
    for trial, entry in enumerate(entries):
        rung.add(trial, parameters=entry[0], score=entry[1])
        here[trial] = entry
        if chance.random() < 0.1:
            gone = chance.choice(list(here))
            del here[gone]
            rung.withdraw(gone)
            rung.review()
        standings = {n: standing(here, n) for n in here}
        expected = {n for n, place in standings.items() if place.promotable(eta)} - taken
        ready = rung.ready()
        assert set(ready) == expected
        assert all(rung.standing(n) == place for n, place in standings.items())
        shares = [standings[n].ahead / standings[n].peers for n in ready]
        assert shares == sorted(shares)
        if ready and chance.random() < 0.5:
            rung.take(ready[0])
            taken.add(ready[0])


@given(ENTRIES)
def test_who_is_beaten_by_nobody_as_small_is_always_offered(entries: list[Entry]) -> None:
    """So the curve reaches the last rung."""
    rung = Rung(eta=3.0)
    for trial, (parameters, score) in enumerate(entries):
        rung.add(trial, parameters=parameters, score=score)
    for trial, (parameters, score) in enumerate(entries):
        if not any(p <= parameters and s >= score for n, (p, s) in enumerate(entries) if n != trial):
            assert trial in rung.ready()


def test_a_worked_example() -> None:
    """Nine trials of one size are ASHA: the best three; a smaller and worse one goes on as well, a larger one must be better."""
    rung = Rung(eta=3.0)
    for trial in range(9):
        rung.add(trial, parameters=1000, score=0.5 + trial / 100)
    assert rung.ready() == [8, 7, 6]
    rung.add(9, parameters=500, score=0.1)
    assert rung.ready() == [8, 9, 7, 6]
    rung.add(10, parameters=2000, score=0.555)
    assert 10 not in rung.ready()
    assert rung.standing(10) == Standing(ahead=3, peers=11, near_ahead=3, near=11)


def test_size_alone_does_not_promote() -> None:
    """A large trial that beats all small ones still has to be in the top third of those near its own size."""
    rung = Rung(eta=3.0)
    for trial in range(9):
        rung.add(trial, parameters=100, score=0.5 + trial / 100)
    for trial in range(9, 15):
        rung.add(trial, parameters=10_000, score=0.6 + trial / 100)
    assert rung.standing(12) == Standing(ahead=2, peers=15, near_ahead=2, near=6)
    assert sorted(rung.ready()) == [6, 7, 8, 13, 14]


def test_a_late_riser_is_offered_when_its_peers_have_come() -> None:
    """Second of two is not in the top third, second of six is."""
    rung = Rung(eta=3.0)
    rung.add(0, parameters=100, score=0.9)
    rung.add(1, parameters=100, score=0.8)
    rung.take(0)
    for trial in range(2, 5):
        rung.add(trial, parameters=100, score=0.1)
        assert rung.ready() == []
    rung.add(5, parameters=100, score=0.1)
    assert rung.ready() == [1]


def test_who_was_offered_and_is_overtaken_is_no_longer() -> None:
    """The rule is asked when a job is made, not when the result came."""
    rung = Rung(eta=3.0)
    rung.add(0, parameters=100, score=0.5)
    assert rung.ready() == [0]
    rung.add(1, parameters=50, score=0.6)
    assert rung.ready() == [1]


def test_nobody_leaves_the_last_rung() -> None:
    """It has no next one."""
    last = ladder((25, 50))[50]
    last.add(0, parameters=1, score=1.0)
    assert last.ready() == []
    assert len(last) == 1


@given(ENTRIES)
def test_a_ranking_forgets_what_is_removed(entries: list[Entry]) -> None:
    """Counting after a removal is counting without it."""
    ranking, without = Ranking(), Ranking()
    for trial, (parameters, score) in enumerate(entries):
        ranking.add(parameters, (score, -parameters, -trial))
        if trial % 2:
            without.add(parameters, (score, -parameters, -trial))
    for trial, (parameters, score) in enumerate(entries):
        if not trial % 2:
            ranking.remove(parameters, (score, -parameters, -trial))
    for trial, (parameters, score) in enumerate(entries):
        assert ranking.count(parameters, (score, -parameters, -trial)) == without.count(parameters, (score, -parameters, -trial))


@pytest.mark.parametrize(
    ("rungs", "steps", "expected"),
    [((25, 50, 100, 200), 200, (25, 50, 100, 200)), ((100, 25, 25), 200, (25, 100, 200)), ((50, 400), 200, (50, 200)), ((), 7, (7,))],
)
def test_rungs(rungs: tuple[int, ...], steps: int, expected: tuple[int, ...]) -> None:
    """Ascending, each once, none beyond the last step, which is always one."""
    assert rungs_of(Training(steps=steps, rungs=rungs)) == expected


def test_eta_is_the_ratio_of_the_rungs_but_at_least_two() -> None:
    """And the last rung has none."""
    assert ratios((10, 15, 75)) == {10: LEAST, 15: 5.0, 75: math.inf}


def test_looking_again_is_rare() -> None:
    """With 5,000 results, a new one makes a few others be looked at, not thousands."""
    chance, rung = random.Random(0), Rung(eta=3.0)
    looks = 0
    count = rung._ranking.count

    def counted(parameters: int, key: tuple[float, int, int]) -> tuple[int, int]:
        nonlocal looks
        looks += 1
        return count(parameters, key)

    rung._ranking.count = counted  # type: ignore[method-assign]
    for trial in range(5_000):
        parameters = round(math.exp(chance.uniform(math.log(100), math.log(10_000))))
        rung.add(trial, parameters=parameters, score=0.05 * math.log(parameters) + chance.gauss(0, 0.1))
    assert looks < 25 * 5_000
