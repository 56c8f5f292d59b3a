"""Trials that make no passes of the model: all the way at once, early, and never so many that the others starve."""

import math
from collections.abc import Callable
from dataclasses import replace

import pytest

from ulpt_search.search.brain.feasibility import Feasibility
from ulpt_search.search.brain.schedule import SCOUTS
from ulpt_search.search.brain.study import Study
from ulpt_search.search.brain.time_left import NOTHING, Estimate, TimeLeft, Work
from ulpt_search.search.running.job_costs import Expected, JobCosts
from ulpt_search.search.running.timekeeper import Limit, Timekeeper
from ulpt_search.spaces.records import Job, Trial

from .simulated import Curves, Executor, count, drive, methods_that_fit, space
from .test_study import BUDGET, LAST, check_climb, check_whole

LIGHT = "bitfit"
RUNGS = (25, 50, 100, LAST)


def methods(*, only: bool = False) -> dict[str, Feasibility]:
    """The simulated methods, one of which is light; or nothing else."""
    found = methods_that_fit(space(), BUDGET)
    found[LIGHT] = replace(found[LIGHT], light=True)
    return {LIGHT: found[LIGHT]} if only else found


def study_of(trials: int, *, before: Study | None = None, only: bool = False) -> Study:
    known = (list(before.trials.values()), list(before.results)) if before else ([], [])
    return Study(space=space(trials=trials), budget=BUDGET, count=count, methods=methods(only=only), trials=known[0], results=known[1])


def jobs_of(study: Study) -> list[Job]:
    executor = Executor()
    drive(study, executor, workers=1)
    return [job for job in executor.jobs if job.assignments[0].trial.purpose == "search"]


def test_they_come_first_and_go_all_the_way_at_once() -> None:
    first, second, *_ = jobs_of(study_of(32))
    assert {assignment.trial.method for assignment in first.assignments} == {LIGHT}
    assert (first.stop, second.stop) == (LAST, RUNGS[0])
    assert LIGHT not in {assignment.trial.method for assignment in second.assignments}


@pytest.mark.parametrize("trials", [5, 48])
def test_the_others_do_not_starve_and_nobody_is_left_behind(trials: int) -> None:
    study = study_of(trials)
    jobs = jobs_of(study)
    check_whole(study, space(trials=trials))
    check_climb(study, RUNGS)
    own = [trial for trial in study.trials.values() if trial.purpose == "search"]
    assert 1 <= sum(trial.method == LIGHT for trial in own) <= math.ceil(0.4 * trials)
    assert all(len({a.trial.method == LIGHT for a in job.assignments}) == 1 for job in jobs if job.stop == RUNGS[0])
    again = study_of(trials, before=study)
    assert again.finished


def test_alone_in_a_space_they_are_searched_as_any_other() -> None:
    study = study_of(24, only=True)
    assert {job.stop for job in jobs_of(study)} == {LAST}
    check_whole(study, space(trials=24))


def test_killed_before_the_first_result_everybody_goes_on_where_they_were_going() -> None:
    """Light ones all the way, where their scores mean the same as before; others to the first rung."""
    killed = study_of(32)
    before = [killed.next_job(), killed.next_job()]
    again = study_of(32, before=killed)
    after = [again.next_job(), again.next_job()]
    assert [(job.assignments, job.stop) for job in after if job] == [(job.assignments, job.stop) for job in before if job]
    assert [job.stop for job in after if job] == [LAST, RUNGS[0]]


def left(seconds: float, *, step: float) -> TimeLeft:
    """So many seconds, where a trial's step takes so many; nobody is busy."""

    def price(work: Work) -> Estimate:
        return Estimate(0.5 + step * work.trials * work.steps)

    return TimeLeft(seconds, seconds, 10.0, 28.0, (NOTHING,), price)


@pytest.mark.parametrize(("step", "stop"), [(0.05, LAST), (1.0, RUNGS[0])])
def test_where_a_trial_takes_most_of_the_time_they_wait(step: float, stop: int) -> None:
    """They start from the frozen model's states of all training rows, which take about as long as a trial."""
    study = study_of(32)
    study.tell_time(left(300.0, step=step))
    job = study.next_job()
    assert job is not None
    assert job.stop == stop


def spent(study: Study, seconds: float, *, price: Callable[[Work], Estimate]) -> float:
    """Run a study whose jobs take what they are thought to; return the seconds it took."""
    executor, now = Executor(), 0.0
    while True:
        study.tell_time(TimeLeft(seconds - now, seconds, 10.0, 28.0, (NOTHING,), price))
        if (job := study.next_job()) is None:
            return now
        heavy = sum(one.trial.method != LIGHT for one in job.assignments)
        now += price(Work(heavy, job.stop - job.assignments[0].start, job.splits)).mean
        study.record(executor.run(job))


def test_alone_in_a_space_they_use_the_time_whatever_others_would_take() -> None:
    """A trial that made passes of the model would take longer than there is; there are none."""
    study = study_of(24, only=True)
    assert spent(study, 16.0, price=lambda work: Estimate(0.5 + 400.0 * work.trials)) > 14.0
    assert sum(trial.purpose == "search" for trial in study.trials.values()) > 24


def test_where_no_other_has_time_to_climb_untried_ones_go_on() -> None:
    """Of the others, the first to get to the top and its finals would take longer than is left."""
    study, executor = study_of(200), Executor()
    while LIGHT not in {one.method for one in study._proposals._queue}:
        drive(study, executor, workers=1, stop_after=1)
    heavy = {number for number, trial in study.trials.items() if trial.method != LIGHT}
    assert max(study.results, key=lambda one: (one.trial in heavy, one.step)).step < LAST
    study.tell_time(left(24.0, step=0.05))
    job = study.next_job()
    assert job is not None
    assert {(one.trial.method, one.trial.purpose) for one in job.assignments} == {(LIGHT, "search")}


def test_their_finals_and_jobs_are_no_reason_to_end_a_search() -> None:
    """With finals of the light ones due, another job still fits that would not if they cost what others do."""
    study = study_of(32)
    executor = Executor()
    drive(study, executor, workers=1, stop_after=1)
    study.tell_time(left(15.0, step=0.02))
    job = study.next_job()
    assert job is not None
    assert LIGHT not in {assignment.trial.method for assignment in job.assignments}
    assert job.assignments[0].trial.purpose == "search"


def test_what_they_take_says_nothing_of_what_others_cost() -> None:
    costs, now = JobCosts({"validation": 10, "test": 20}, Expected.of(10.0, batch=16)), [0.0]
    keeper = Timekeeper(costs=costs, workers=1, limit=Limit(600.0), clock=lambda: now[0], light={LIGHT})
    before = costs.price(Work(4, 100))
    study = study_of(32)
    job = study.next_job()
    assert job is not None
    keeper.launched(job)
    ((flight, _),) = keeper.flights
    assert flight.work == Work(0, LAST)
    assert costs.price(flight.work).mean < costs.price(Work(1, LAST)).mean / 10
    now[0] = 90.0
    keeper.returned(Executor().run(job))
    assert costs.price(Work(4, 100)) == before
    assert keeper.free() == (NOTHING,)
    assert costs.price(flight.work).mean == pytest.approx(90.0 - costs.loading.mean)


def test_in_a_limited_time_the_best_of_the_others_climb_before_more_are_tried() -> None:
    """The light ones set the top; once every method was tried, those ahead go there, however few, and new trials come after them."""
    study = study_of(200)
    executor, seen = Executor(), list[Job]()
    while not any(job.stop == LAST and job.assignments[0].trial.method != LIGHT for job in seen):
        study.tell_time(left(3000.0, step=0.05))
        job = study.next_job()
        assert job is not None
        seen.append(job)
        study.record(executor.run(job))
    tried = [assignment.trial.number for job in seen for assignment in job.assignments if assignment.start == 0]
    assert len(tried) <= 16  # every method as it stands, the light one in some variants
    study.tell_time(left(3000.0, step=0.05))
    job = study.next_job()
    assert job is not None
    assert job.assignments[0].start == 0, "then the search goes on in breadth"


class Larger(Curves):
    """The larger the better: nobody is ever left behind."""

    def score(self, trial: Trial, step: int) -> float:
        return math.log10(trial.parameters) / 10 + step / 1000


def test_of_many_that_could_climb_two_go_first_and_the_others_when_these_are_there() -> None:
    study, executor, climbing = study_of(200), Executor(Larger()), list[Job]()
    while not climbing or climbing[-1].stop < LAST:
        study.tell_time(left(3000.0, step=0.05))
        job = study.next_job()
        assert job is not None
        study.record(executor.run(job))
        climbing += [job] if job.assignments[0].start else []
    first = [assignment.trial for assignment in climbing[0].assignments]
    assert [(job.stop, [a.trial for a in job.assignments]) for job in climbing] == [(stop, first) for stop in RUNGS[1:]]
    assert len(first) == SCOUTS < sum(trial.method != LIGHT for trial in study.trials.values())
    assert max(study.trials.values(), key=lambda one: one.parameters * (one.method != LIGHT)) in first, "the best of all is one of them"


def test_where_nobody_else_gets_to_the_top_the_rest_of_the_time_is_used_all_the_same() -> None:
    """All light ones are tried, and others below the top, where they change no curve but are told to the sampler."""
    study, executor, now = study_of(32), Executor(), 0.0
    study.tell_time(left(60.0, step=0.1))
    seen = list[Job]()
    while (job := study.next_job()) is not None:
        seen.append(job)
        now += 0.5 + 0.1 * sum(a.trial.method != LIGHT for a in job.assignments) * (job.stop - job.assignments[0].start)
        study.record(executor.run(job))
        study.tell_time(replace(left(60.0 - now, step=0.1), total=60.0))
    searched = [assignment.trial.method for job in seen for assignment in job.assignments if assignment.trial.purpose == "search"]
    assert searched.count(LIGHT) >= 3
    assert len(searched) > searched.count(LIGHT)
    assert 50.0 <= now <= 60.0
