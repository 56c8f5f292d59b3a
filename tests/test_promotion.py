"""The rule of promotion against its own definition, and what it costs."""

import math
import random

import pytest
from hypothesis import given
from hypothesis import strategies as st

from ulpt_search.search.brain.promotion import LEAST, ROOM, SIMILAR, Rung, Standing, ladder, ratios, rungs_of
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


def promotable(place: Standing, eta: float) -> bool:
    """By the words of the rule."""
    return place.ahead == 0 or ((place.ahead + 1) * eta <= place.peers and (place.near_ahead + 1) * eta <= place.near)


@given(ENTRIES, st.sampled_from([2.0, 3.0, 4.0, 2.6]), st.randoms(use_true_random=False))
def test_a_rung_offers_whom_the_rule_names(entries: list[Entry], eta: float, chance: random.Random) -> None:
    """After every result, and with trials taken and withdrawn in between, exactly the promotable ones are offered, best first."""
    rung, here, taken = Rung(eta=eta), dict[int, Entry](), set[int]()
    for trial, entry in enumerate(entries):
        rung.add(trial, size=entry[0], score=entry[1])
        here[trial] = entry
        if chance.random() < 0.1:
            gone = chance.choice(list(here))
            del here[gone]
            rung.withdraw(gone)
        standings = {n: standing(here, n) for n in here}
        expected = {n for n, place in standings.items() if promotable(place, eta)} - taken
        ready = rung.ready()
        assert set(ready) == expected
        assert all(rung.standing(n) == place for n, place in standings.items())
        shares = [standings[n].ahead / standings[n].peers for n in ready]
        assert shares == sorted(shares)
        if ready and chance.random() < 0.5:
            rung.take(ready[0])
            taken.add(ready[0])


def test_a_rung_filled_at_once_is_that_filled_one_by_one() -> None:
    """Standings, what is offered, and all that comes later; ties in size and score among them."""
    for seed in range(30):
        chance = random.Random(seed)
        entries = [(trial, chance.randint(1, 40), chance.choice([0.1, 0.2, 0.3, 0.35])) for trial in chance.sample(range(500), 150)]
        gone = [trial for trial, _, _ in entries if chance.random() < 0.3]
        one, all_at_once = Rung(eta=2.0), Rung(eta=2.0)
        for trial, size, score in entries:
            one.add(trial, size=size, score=score)
        for trial in gone:
            one.take(trial)
        trials, sizes, scores = zip(*entries, strict=True)
        all_at_once.load(trials, sizes=sizes, scores=scores, gone=gone)
        for rung in (one, all_at_once):
            rung.add(900, size=7, score=0.3)
            rung.withdraw(trials[3])
        assert one.ready() == all_at_once.ready()
        assert all(one.standing(trial) == all_at_once.standing(trial) for trial in (*trials[:3], *trials[4:], 900))


@given(ENTRIES)
def test_who_is_beaten_by_nobody_as_small_is_always_offered(entries: list[Entry]) -> None:
    """So the curve reaches the last rung."""
    rung = Rung(eta=3.0)
    for trial, (parameters, score) in enumerate(entries):
        rung.add(trial, size=parameters, score=score)
    for trial, (parameters, score) in enumerate(entries):
        if not any(p <= parameters and s >= score for n, (p, s) in enumerate(entries) if n != trial):
            assert trial in rung.ready()


def test_a_worked_example() -> None:
    """Nine trials of one size are ASHA: the best three; a smaller and worse one goes on as well, a larger one must be better."""
    rung = Rung(eta=3.0)
    for trial in range(9):
        rung.add(trial, size=1000, score=0.5 + trial / 100)
    assert rung.ready() == [8, 7, 6]
    rung.add(9, size=500, score=0.1)
    assert rung.ready() == [8, 9, 7, 6]
    rung.add(10, size=2000, score=0.555)
    assert 10 not in rung.ready()
    assert rung.standing(10) == Standing(ahead=3, peers=11, near_ahead=3, near=11)


def test_size_alone_does_not_promote() -> None:
    """A large trial that beats all small ones still has to be in the top third of those near its own size."""
    rung = Rung(eta=3.0)
    for trial in range(9):
        rung.add(trial, size=100, score=0.5 + trial / 100)
    for trial in range(9, 15):
        rung.add(trial, size=10_000, score=0.6 + trial / 100)
    assert rung.standing(12) == Standing(ahead=2, peers=15, near_ahead=2, near=6)
    assert sorted(rung.ready()) == [6, 7, 8, 13, 14]


def test_a_late_riser_is_offered_when_its_peers_have_come() -> None:
    """Second of two is not in the top third, second of six is."""
    rung = Rung(eta=3.0)
    rung.add(0, size=100, score=0.9)
    rung.add(1, size=100, score=0.8)
    rung.take(0)
    for trial in range(2, 5):
        rung.add(trial, size=100, score=0.1)
        assert rung.ready() == []
    rung.add(5, size=100, score=0.1)
    assert rung.ready() == [1]


def test_who_was_offered_and_is_overtaken_is_no_longer() -> None:
    """The rule is asked when a job is made, not when the result came."""
    rung = Rung(eta=3.0)
    rung.add(0, size=100, score=0.5)
    assert rung.ready() == [0]
    rung.add(1, size=50, score=0.6)
    assert rung.ready() == [1]


def test_nobody_leaves_the_last_rung() -> None:
    """It has no next one."""
    last = ladder((25, 50))[50]
    last.add(0, size=1, score=1.0)
    assert last.ready() == []
    assert len(last) == 1


def test_who_is_withdrawn_is_nobodys_peer() -> None:
    """The best trial fails further on: the next best takes its place."""
    rung = Rung(eta=3.0)
    for trial in range(6):
        rung.add(trial, size=100, score=0.5 + trial / 100)
    assert rung.ready() == [5, 4]
    rung.withdraw(5)
    assert rung.ready() == [4]
    assert rung.standing(4) == Standing(ahead=0, peers=5, near_ahead=0, near=5)
    assert len(rung) == 5


def test_who_went_on_before_the_result_came_is_not_offered() -> None:
    """A trial that is further on already, as when a late answer comes after a second one."""
    rung = Rung(eta=3.0)
    rung.take(0)
    rung.add(0, size=100, score=0.9)
    assert rung.ready() == []
    assert rung.standing(0) == Standing(ahead=0, peers=1, near_ahead=0, near=1)


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


def test_a_rung_grows_past_its_first_room() -> None:
    """Hundreds of results are compared as a few are."""
    chance, rung, here = random.Random(0), Rung(eta=3.0), dict[int, Entry]()
    for trial in range(5 * ROOM):
        here[trial] = (round(math.exp(chance.uniform(0, 9))), chance.random())
        rung.add(trial, size=here[trial][0], score=here[trial][1])
    standings = {n: standing(here, n) for n in here}
    assert {n: rung.standing(n) for n in here} == standings
    assert set(rung.ready()) == {n for n, place in standings.items() if promotable(place, 3.0)}


def test_the_rule_is_asked_once_until_something_changes() -> None:
    """Each question looks at every row, and a study asks after every job."""
    rung = Rung(eta=3.0)
    for trial in range(9):
        rung.add(trial, size=100, score=0.5 + trial / 100)
    assert rung.ready() is rung.ready()
    rung.take(8)
    assert rung.ready() == [7, 6]
