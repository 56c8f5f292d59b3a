"""The clock of a run: when the search makes way for the finals, and what a view is told."""

from collections import Counter
from collections.abc import Iterator

import pytest

from ulpt_search.dashboards.points import points
from ulpt_search.search.brain.study import Study
from ulpt_search.search.running.watch import Watch, time_for_finals
from ulpt_search.spaces.axes import Float, Hyperparameters, Int
from ulpt_search.spaces.records import Job, Outcome, Problem, Result
from ulpt_search.spaces.space import ModelSpec, Space, TaskSpec, Training

from .simulated import methods_that_fit

SPACE = Space(
    name="x",
    model=ModelSpec(),
    task=TaskSpec(),
    training=Training(steps=40, rungs=(10, 20, 40)),
    methods={"prompt": {"prompt_length": Int(1, 20), "lr": Float(1e-3, 1e-1, log=True)}},
    trials=8,
    finalists=2,
)


def count(method: str, hyperparameters: Hyperparameters) -> int:
    return 10 * int(hyperparameters["prompt_length"])


METHODS = methods_that_fit(SPACE, 150, count)


def answer(job: Job) -> Outcome:
    """Longer prompts score better, so the curve has many points."""
    return Outcome(
        job.number,
        tuple(
            Result(a.trial.number, job.stop, split, a.trial.parameters / 1000 + job.stop / 1e6, 1e-4, 0.5, 1.0, f"{a.trial.number:064d}", 9)
            for a in job.assignments
            for split in job.splits
        ),
    )


class Clock:
    def __init__(self) -> None:
        self.now = 100.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


def watch(study: Study, clock: Clock, *, limit: float | None = None, expected: int = 400) -> Watch:
    return Watch(study, name="x", budget=150, space=SPACE, expected_steps=expected, limit=limit, clock=clock)


def new_study() -> Study:
    return Study(space=SPACE, budget=150, count=count, methods=METHODS, pack=2)


def drive(study: Study, watching: Watch, clock: Clock, *, seconds_per_job: float) -> Iterator[Job]:
    while not study.finished:
        if watching.out_of_time:
            study.close_search()
        job = study.next_job()
        assert job is not None
        watching.launched(job)
        yield job
        clock.now += seconds_per_job
        outcome = answer(job)
        study.record(outcome)
        watching.returned(outcome)


def test_time_for_finals_is_by_the_pace_so_far() -> None:
    assert time_for_finals(steps=300, done=100, elapsed=50.0, longest=7.0) == 7.0 + 150.0


def test_without_a_pace_there_is_nothing_to_wait_for() -> None:
    assert time_for_finals(steps=300, done=0, elapsed=50.0, longest=0.0) == 0.0


def test_without_a_limit_time_never_runs_out(clock: Clock) -> None:
    study = new_study()
    watching = watch(study, clock)
    list(drive(study, watching, clock, seconds_per_job=1000.0))
    assert not watching.out_of_time


@pytest.mark.parametrize("limit", [60.0, 100.0, 200.0])
def test_the_finals_are_over_by_the_limit(clock: Clock, limit: float) -> None:
    """A job takes the same time whatever it holds, so the estimate by steps is a rough one: a job of slack either way."""
    study = new_study()
    watching = watch(study, clock, limit=limit)
    jobs = list(drive(study, watching, clock, seconds_per_job=5.0))
    assert jobs[-1].assignments[0].trial.purpose == "final"
    assert watching.elapsed <= limit + 5.0


def test_a_short_limit_makes_a_short_search(clock: Clock) -> None:
    study = new_study()
    list(drive(study, watch(study, clock, limit=30.0), clock, seconds_per_job=5.0))
    searched = [trial for trial in study.trials.values() if trial.purpose == "search"]
    assert 0 < len(searched) < SPACE.trials


def test_a_view_is_told(clock: Clock) -> None:
    study = new_study()
    watching = watch(study, clock, expected=160)
    driving = drive(study, watching, clock, seconds_per_job=4.0)
    next(driving)
    first = watching.progress()
    assert (first.planned, first.done, first.running, first.failed, first.remaining) == (8, 0, 2, 0, None)
    assert [(job.number, job.description) for job in first.jobs] == [(0, "2 trials to step 10: prompt ×2")]
    next(driving)
    clock.now += 1.0
    second = watching.progress()
    assert (second.done, second.running, second.rungs, second.elapsed) == (0, 2, {10: 2}, 5.0)  # the two go on at once
    assert second.remaining == pytest.approx((160 - 20) * 5.0 / 20)
    assert [job.seconds for job in second.jobs] == [1.0]
    assert {point.trial for point in second.points} == {0, 1}


def test_the_phase_changes_with_the_finals(clock: Clock) -> None:
    study = new_study()
    watching = watch(study, clock)
    phases = [watching.progress().phase for _ in drive(study, watching, clock, seconds_per_job=1.0)]
    assert sorted(set(phases)) == ["finals", "search"]
    assert phases == sorted(phases, reverse=True)
    assert watching.progress().remaining == 0.0


def test_what_was_there_before_does_not_count_for_the_pace(clock: Clock) -> None:
    study = new_study()
    jobs = drive(study, watch(study, clock), clock, seconds_per_job=1.0)
    for _ in range(3):
        next(jobs)
    trials = list(study.trials.values())
    again = Study(space=SPACE, budget=150, count=count, methods=METHODS, pack=2, trials=trials, results=study.results)
    resumed = watch(again, clock, expected=160)
    progress = resumed.progress()
    assert (progress.done_before, progress.elapsed, progress.per_hour) == (progress.done, 0.0, None)


def test_failures_are_kept_in_order(clock: Clock) -> None:
    study = new_study()
    watching = watch(study, clock)
    job = study.next_job()
    assert job is not None
    watching.launched(job)
    problems = tuple(Problem(a.trial.number, "diverged", fatal=True) for a in job.assignments)
    study.record(Outcome(job.number, problems=problems))
    watching.returned(Outcome(job.number, problems=problems))
    assert watching.progress().failures == problems
    assert watching.progress().failed == 2


def test_the_curve_is_that_of_all_results(clock: Clock) -> None:
    """At every moment of a search and its finals, whatever is left out."""
    study = new_study()
    watching = watch(study, clock)
    for _ in drive(study, watching, clock, seconds_per_job=1.0):
        progress = watching.progress()
        assert progress.points == tuple(points(study.trials.values(), study.results))
        assert progress.rungs == Counter(result.step for result in study.results if result.split == "validation")
    assert watching.progress().points == tuple(points(study.trials.values(), study.results))
