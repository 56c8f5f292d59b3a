"""Who is retrained, and under which seeds."""

from dataclasses import replace

from ulpt_search.search.brain.finals import UNNUMBERED, finalists, fresh_seeds, wanted
from ulpt_search.spaces.records import Result, Trial

from .simulated import space


def trial(number: int, parameters: int, *, seed: int = 0, rank: int = 1) -> Trial:
    """A search trial."""
    return Trial(number, "lora", {"rank": rank, "lr": 0.001}, seed, parameters)


def result(number: int, score: float, *, step: int = 200) -> Result:
    """Its validation result."""
    return Result(number, step, "validation", score, 1e-4, 0.5, 1.0, "0" * 64, 100)


def test_fresh_seeds_are_none_of_the_search() -> None:
    """A fixed offset, moved up by a space that searches over as many seeds."""
    assert fresh_seeds(replace(space(), finalists=3)) == (1000, 1001, 1002)
    assert fresh_seeds(replace(space(), finalists=2, seeds=5000)) == (5000, 5001)
    assert fresh_seeds(replace(space(), finalists=0)) == ()


def test_the_curve_of_the_highest_step_is_retrained() -> None:
    """Beaten trials and lower steps are left out; cheapest first."""
    trials = {n: trial(n, parameters, rank=n + 1) for n, parameters in enumerate((300, 100, 200, 400))}
    results = [result(0, 0.8), result(1, 0.6), result(2, 0.5), result(3, 0.99, step=100)]
    assert [t.number for t in finalists(trials, results)] == [1, 0]


def test_a_configuration_is_retrained_once() -> None:
    """Two seeds of one configuration on the curve would be retrained as the same thing."""
    trials = {0: trial(0, 100, seed=0), 1: trial(1, 100, seed=1), 2: trial(2, 200, rank=2)}
    results = [result(0, 0.5), result(1, 0.6), result(2, 0.7)]
    assert [t.number for t in finalists(trials, results)] == [1, 2]


def test_final_trials_repeat_the_configuration() -> None:
    """From scratch, under a fresh seed, naming whom they repeat."""
    (final,) = wanted([trial(4, 100, rank=2)], known=[], seeds=(1000,))
    assert final == Trial(UNNUMBERED, "lora", {"rank": 2, "lr": 0.001}, 1000, 100, purpose="final", finalist=4)


def test_final_trials_that_exist_are_taken_up_again() -> None:
    """After a restart nothing is retrained twice."""
    finalist = trial(0, 100)
    known = replace(finalist, number=7, seed=1001, purpose="final", finalist=0)
    other = replace(known, number=8, finalist=3)
    assert [t.number for t in wanted([finalist], known=[finalist, known, other], seeds=(1000, 1001))] == [UNNUMBERED, 7]


def test_no_results_no_finals() -> None:
    """Nothing has a score."""
    assert finalists({0: trial(0, 1)}, []) == []
