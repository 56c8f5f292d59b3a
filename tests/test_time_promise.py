"""`--time` is a promise in both directions, kept by the state machine whatever jobs turn out to cost."""

from collections.abc import Iterator
from dataclasses import replace
from itertools import pairwise, product
from typing import Any

import pytest

from ulpt_search.search.running.countdown import Countdown
from ulpt_search.search.running.timekeeper import GRACE, Limit
from ulpt_search.spaces.axes import Choice

from .simulated import space
from .timed import Costs, Timed

COSTS = {
    "a job is all loading": Costs(fixed=4.0, trial_step=0.002, row=0.0),
    "a job is all training": Costs(fixed=0.1, trial_step=0.04, row=0.0001),
    "a job is all scoring": Costs(trial_step=0.01, row=0.003),
    "packs cost nothing": Costs(fixed=0.5, step=0.05, trial_step=0.002),
    "workers start slowly": Costs(cold=20.0, trial_step=0.03),
    "costs vary": Costs(trial_step=0.03, noise=0.3),
    "one worker is half as fast": Costs(trial_step=0.03, slowest=2.0),
    "training is slow": Costs(trial_step=0.08, row=0.0005),
}
"""Each a search whose plan takes two workers between 3 and 15 minutes."""


def check_kept(run: Timed, seconds: float) -> None:
    """The promise, of one run."""
    assert 0.9 * seconds <= run.now <= seconds + GRACE
    finalists, measured = run.shown
    assert finalists == measured > 0
    assert not [trial for trial in run.study.trials.values() if run.study.state(trial.number) in ("running", "waiting")]


WORKERS = (1, 2, 4)
KNOWN = {"unmeasured": None, "measured": 1.0, "measured under load": 0.15}


def cells() -> Iterator[Any]:
    """All of costs, workers and knowledge; a Latin square's third of them by default, in which every two of these meet, the rest slow."""
    for (row, name), (column, workers), (depth, known) in product(enumerate(COSTS), enumerate(WORKERS), enumerate(KNOWN)):
        marks = () if (row + column + depth) % 3 == 0 else (pytest.mark.slow,)
        yield pytest.param(name, workers, KNOWN[known], marks=marks, id=f"{name}, {workers} workers, {known}")


@pytest.mark.parametrize(("name", "workers", "known"), list(cells()))
def test_a_limit_is_used_and_kept(name: str, workers: int, known: float | None) -> None:
    """Two and four minutes, where a job too many or too few weighs most; the more time, the more trials."""
    runs = []
    for minutes in (2, 4):
        seconds = 60.0 * minutes
        runs.append(Timed(space(finalists=3), COSTS[name], Limit(seconds), workers=workers, known=known).run())
        check_kept(runs[-1], seconds)
    assert all(more.searched >= fewer.searched for fewer, more in pairwise(runs))


def test_more_time_never_means_fewer_trials() -> None:
    """Up to half an hour, and far beyond the trials that the space plans."""
    runs = []
    for minutes in (2, 3, 5, 8, 13, 20, 30):
        costs = Costs(fixed=1.0, trial_step=0.12, row=0.0005)
        runs.append(Timed(space(trials=16, finalists=2), costs, Limit(60.0 * minutes), known=1.0).run())
        check_kept(runs[-1], 60.0 * minutes)
    counts = [run.searched for run in runs]
    assert counts == sorted(counts)
    assert counts[0] < 16 < counts[-1]


def test_what_is_kept_for_the_end_is_kept() -> None:
    """The last job is back when the export has to begin."""
    run = Timed(space(), COSTS["a job is all training"], Limit(180.0, ending=20.0)).run()
    assert 0.85 * 180 <= run.now <= 160 + GRACE


def test_a_search_that_made_way_for_its_finals_goes_on_when_these_are_quick() -> None:
    """The first jobs say finals will take long; they do not, and the search opens again."""
    run = Timed(space(finalists=3), COSTS["a job is all scoring"], Limit(360.0), workers=4)
    phases = [job.assignments[0].trial.purpose for job in run.steps()]
    turns = [pair for pair in pairwise(phases) if pair == ("final", "search")]
    assert turns
    check_kept(run, 360.0)


def test_a_number_of_trials_typed_beside_the_limit_is_a_cap() -> None:
    """Whichever comes first."""
    chosen = space(trials=12, finalists=2)
    run = Timed(chosen, Costs(trial_step=0.01), Limit(900.0, spend=False)).run()
    assert run.searched == 12
    assert run.now < 450
    assert run.study.progress.planned == len(run.study.trials)


def test_a_space_in_which_all_is_tried_gets_more_seeds_and_ends() -> None:
    """Six configurations in half an hour: ten fresh seeds each, then nothing is left that would be worth the time."""
    tiny = replace(space(finalists=2), seeds=2, methods={"prompt": {"prompt_length": Choice((1, 2, 3)), "lr": 0.03}})
    run = Timed(tiny, Costs(trial_step=0.01), Limit(1800.0)).run()
    assert run.searched == 6
    finals = [trial for trial in run.study.trials.values() if trial.purpose == "final" and trial.finalist == run.study.finalists[0].number]
    assert len({trial.seed for trial in finals}) == 10
    assert run.now < 900


def test_without_a_limit_the_countdown_does_not_leap() -> None:
    """From the first job on, what is shown falls by no more than half and rises by no more than a third between two jobs."""
    run = Timed(space(finalists=3), Costs(fixed=1.0, trial_step=0.05, cold=15.0), None, known=0.7)
    countdown = Countdown(run.study, space=run.space, pack=run.pack, time=run.time)
    shown = [(run.now, countdown.seconds())]
    shown += [(run.now, countdown.seconds()) for _ in run.steps()]
    for (before, first), (after, second) in pairwise(shown):
        assert first is not None
        assert second is not None
        expected = first - (after - before)
        assert abs(second - expected) <= 0.25 * run.now + 15
    assert shown[-1][1] == 0.0
    total = run.now
    early = [left for now, left in shown if now < total / 2]
    # how many finalists there will be is a guess then: of four simulated tasks one has twice as many as was thought
    assert all(left is not None and 0.2 * (total - now) <= left <= 2.5 * (total - now) for (now, left) in shown[: len(early)])


def test_with_a_limit_the_countdown_is_the_clock() -> None:
    """It is said before the first job is back, and runs down to the promised end."""
    run = Timed(space(finalists=3), COSTS["a job is all training"], Limit(240.0))
    countdown = Countdown(run.study, space=run.space, pack=run.pack, time=run.time)
    assert countdown.seconds() == 240.0
    for _ in run.steps():
        if not run.study.finished:
            assert countdown.seconds() == max(0.0, 240.0 - run.now)


@pytest.mark.parametrize(("looked", "seconds"), [(10_000, 120.0), (40_000, 120.0), pytest.param(40_000, 240.0, marks=pytest.mark.slow)])
def test_what_light_trials_look_at_is_in_the_promise(looked: int, seconds: float) -> None:
    """Their first job reads training rows, here for 19 or 75 s: it is begun where that is no half of the time, else never."""
    costs, light = Costs(trial_step=0.06, row=0.06 / 32), frozenset({"bitfit"})
    run = Timed(space(finalists=2), costs, Limit(seconds), workers=1, known=1.0, light=light, looked=looked).run()
    check_kept(run, seconds)
    begun = any(trial.method in light for trial in run.study.trials.values())
    assert begun == (looked * costs.row < seconds / 2)
