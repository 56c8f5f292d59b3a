"""What jobs cost, learned from jobs."""

import random

import pytest

from ulpt_search.search.brain.time_left import Work
from ulpt_search.search.running.job_costs import Expected, JobCosts
from ulpt_search.search.running.writing_cost import Writes

from .timed import ROWS

TRUE = {"fixed": 2.0, "step": 0.01, "trial_step": 0.03, "row": 0.0004}
FINAL = Work(6, 200, ("validation", "test"))


def seconds(work: Work) -> float:
    """What a job truly takes."""
    rows = sum(ROWS[split] for split in work.splits)
    return TRUE["fixed"] + work.steps * (TRUE["step"] + work.trials * TRUE["trial_step"]) + work.trials * rows * TRUE["row"]


GUESS = Expected()


def learned(jobs: list[Work], *, expected: Expected = GUESS, cold: float = 20.0, noise: float = 0.0) -> JobCosts:
    """Costs after these jobs, the first of which also loaded the model."""
    costs, chance = JobCosts(ROWS, expected), random.Random(0)
    for number, work in enumerate(jobs):
        costs.add(work, (seconds(work) + cold * (number == 0)) * chance.lognormvariate(0, noise), cold=number == 0)
    return costs


MIXED = [Work(n, steps) for steps in (25, 25, 50, 100) for n in (8, 5, 2, 1)] + [FINAL]


@pytest.mark.parametrize("noise", [0.0, 0.2])
@pytest.mark.parametrize("speed", [None, 8.0, 30.0, 200.0])
def test_a_job_unlike_all_before_is_foretold(noise: float, speed: float | None) -> None:
    """Whatever was thought of the speed before; the first job's loading is kept apart."""
    costs = learned(MIXED * 2, expected=Expected.of(speed, batch=16) if speed else GUESS, noise=noise)
    larger = Work(12, 200, ("validation", "test"))
    assert costs.price(larger).mean == pytest.approx(seconds(larger), rel=0.15 + noise)
    assert costs.price(larger).high > seconds(larger)
    assert costs.loading.mean == pytest.approx(20.0, rel=0.4)


def test_the_first_jobs_do_not_make_the_finals_dear() -> None:
    """Short jobs full of loading and scoring: by trial-steps alone finals would be thought 8 times as long as they are."""
    costs = learned([Work(8, 25)] * 2 + [Work(4, 25)], expected=Expected.of(30.0, batch=16))
    by_steps = (seconds(Work(8, 25)) + 20) / 200 * FINAL.trials * FINAL.steps
    assert costs.price(FINAL).mean < 1.3 * seconds(FINAL) < by_steps / 3


@pytest.mark.parametrize("rung", [0, 100])
def test_finals_that_write_answers_are_dear_before_any_came_back(rung: int) -> None:
    """Rungs wrote few answers or none, finals write one to each row: half a second each."""
    costs, truth = JobCosts(ROWS, Expected.of(30.0, batch=16), Writes(rung, 1200, 0.5)), 0.1
    for work in [Work(8, 25), Work(4, 25), Work(4, 50), Work(2, 100)] * 2:
        costs.add(work, seconds(work) + truth * rung * work.trials)
    right = seconds(FINAL) + truth * 1200 * FINAL.trials
    assert costs.price(FINAL).high > right, "finals are begun in time"
    if rung:
        assert costs.price(FINAL).mean == pytest.approx(right, rel=0.3), "rungs have told"
    costs.add(FINAL, right)
    costs.add(FINAL, right)
    assert costs.price(FINAL).mean == pytest.approx(right, rel=0.3)


def test_one_job_that_hung_changes_little() -> None:
    """A worker that was stopped for five minutes."""
    costs = learned(MIXED)
    before = costs.price(FINAL).mean
    costs.add(Work(8, 25), 300.0)
    assert costs.price(FINAL).mean < 1.5 * before


def test_a_machine_that_became_slower_is_noticed() -> None:
    """Three times, after a while."""
    costs = learned(MIXED)
    for work in MIXED * 2:
        costs.add(work, 3 * seconds(work))
    assert costs.price(FINAL).mean == pytest.approx(3 * seconds(FINAL), rel=0.25)


def test_more_work_never_costs_less() -> None:
    """No coefficient is negative, whatever came back."""
    costs, chance = JobCosts(ROWS), random.Random(1)
    for _ in range(20):
        costs.add(Work(chance.randint(1, 8), chance.choice((25, 50, 100))), chance.uniform(0.1, 30))
    prices = [costs.price(Work(n, steps)).mean for n in (1, 4, 8) for steps in (25, 50, 200)]
    assert prices[0] <= min(prices)
    assert costs.price(Work(8, 200)).mean == max(prices)


def test_before_any_job_a_guess_is_no_knowledge() -> None:
    """A measured speed is."""
    assert not JobCosts(ROWS).known
    assert JobCosts(ROWS, Expected.of(10.0, batch=16)).known


def test_what_the_last_light_jobs_took_the_next_will_take() -> None:
    """The first of them looked at the training rows: it is the worst that is expected, until enough others are known."""
    costs, light, final = (
        JobCosts({"validation": 100, "test": 4000}, Expected.of(10.0, batch=16)),
        Work(0, 200),
        Work(0, 200, ("validation", "test")),
    )
    by_rows = costs.price(final).mean - costs.price(light).mean
    assert by_rows == pytest.approx(4000 * costs.expected.row), "the first look at a split passes all its rows"
    for seconds in (60.0, *[4.0] * 7):
        costs.add(light, seconds)
    assert (costs.price(light).mean, costs.price(light).high) == (4.0, 60.0)
    assert costs.price(final).mean == pytest.approx(4.0 + by_rows + costs.expected.fixed)
    costs.add(light, 4.0)
    assert costs.price(light).high == 4.0
    assert costs.price(light, cold=True).mean == 4.0 + costs.loading.mean
    costs.add(final, 30.0)
    assert (costs.price(final).mean, costs.price(light).mean) == (30.0, 4.0)
