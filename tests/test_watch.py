"""A run from outside: what a view is told, and what the clock makes of the jobs."""

from collections import Counter
from collections.abc import Iterator

import pytest

from ulpt_search.dashboards.points import points
from ulpt_search.search.brain.result_table import ResultTable
from ulpt_search.search.brain.study import Study
from ulpt_search.search.brain.time_left import Work
from ulpt_search.search.running.job_costs import JobCosts
from ulpt_search.search.running.timekeeper import Limit, Timekeeper
from ulpt_search.search.running.watch import CurveResults, Watch
from ulpt_search.spaces.axes import Float, Hyperparameters, Int
from ulpt_search.spaces.records import Job, Outcome, Problem, Result
from ulpt_search.spaces.references import Reference
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


def watch(study: Study, clock: Clock, *, limit: Limit | None = None, workers: int = 1) -> Watch:
    time = Timekeeper(costs=JobCosts({"validation": 10, "test": 20}), workers=workers, limit=limit, clock=clock)
    return Watch(study, name="x", budget=150, space=SPACE, pack=2, time=time)


def new_study() -> Study:
    return Study(space=SPACE, budget=150, count=count, methods=METHODS, pack=2)


def drive(study: Study, watching: Watch, clock: Clock, *, seconds_per_job: float) -> Iterator[Job]:
    while not study.finished:
        study.tell_time(watching.time.time_left())
        job = study.next_job()
        if job is None:
            return
        watching.launched(job)
        yield job
        clock.now += seconds_per_job
        outcome = answer(job)
        study.record(outcome)
        watching.returned(outcome)


def test_of_a_long_study_only_what_the_curve_shows_is_made(clock: Clock, monkeypatch: pytest.MonkeyPatch) -> None:
    study = new_study()
    for _ in drive(study, watch(study, clock), clock, seconds_per_job=1.0):
        pass
    made, at = list[int](), ResultTable.at
    monkeypatch.setattr(ResultTable, "at", lambda table, rows: made.extend(rows.tolist()) or at(table, rows))  # type: ignore[func-returns-value]
    again = Study(space=SPACE, budget=150, count=count, methods=METHODS, pack=2, trials=[*study.trials.values()], results=study.results)
    table = list(again.results)
    made.clear()
    curve = CurveResults(again)
    finals = {trial.number for trial in again.trials.values() if trial.purpose == "final"}
    shown = [one for one in table if one.trial in finals or (one.split == "validation" and one.step == SPACE.training.steps)]
    assert sorted(map(str, curve.results)) == sorted(map(str, shown))
    assert curve.rungs == dict(sorted(Counter(one.step for one in table if one.split == "validation").items()))
    assert 0 < len(made) == len(shown) < len(table)
    assert finals


def test_without_a_limit_no_time_is_told(clock: Clock) -> None:
    assert watch(new_study(), clock).time.time_left() is None


def test_the_time_left_counts_from_the_command_and_keeps_some_for_the_end(clock: Clock) -> None:
    costs = JobCosts({"validation": 10, "test": 20})
    time = Timekeeper(costs=costs, workers=2, limit=Limit(60.0, ending=10.0), clock=clock, began=clock.now - 5)
    left = time.time_left()
    assert left is not None
    assert (time.elapsed, left.seconds, left.free) == (5.0, 45.0, (costs.loading, costs.loading))


def test_workers_are_cold_once_and_again_when_they_were_lost(clock: Clock) -> None:
    study, time = new_study(), watch(new_study(), clock, workers=2).time
    jobs = [study.next_job() for _ in range(2)]
    assert jobs[0] is not None
    assert jobs[1] is not None
    time.launched(jobs[0])
    time.launched(jobs[1])
    assert [flight.cold for flight, _ in time.flights] == [True, True]
    clock.now += 30
    time.returned(answer(jobs[0]))
    assert [one.mean for one in time.free()][-1] == 0.0
    time.launched(jobs[0])
    assert [flight.cold for flight, _ in time.flights] == [True, False]
    time.returned(Outcome(jobs[0].number))
    time.returned(answer(jobs[1]))
    assert [one.mean for one in time.free()] == [0.0, time.costs.loading.mean]


def test_references_occupy_a_worker_and_leave_it_warm(clock: Clock) -> None:
    study, watching = new_study(), watch(new_study(), clock, workers=2)
    time, beside, job = watching.time, Job(-1, (), 0, references=("frozen", "probe")), study.next_job()
    assert job is not None
    watching.launched(beside)
    assert [running.description for running in watching.progress().jobs] == ["references: frozen, probe"]
    busy, other = time.free()
    assert busy.mean > other.mean == time.costs.loading.mean
    watching.launched(job)
    clock.now += 20
    measured = Reference("frozen", "x", 0, 0.5, 0.0, 0.5, 0.0, 1.0, "cpu")
    before = time.costs.price(Work(1, 10))
    watching.returned(Outcome(beside.number, references=(measured,)))
    assert time.costs.price(Work(1, 10)) == before
    assert [one.mean for one in time.free()][-1] == 0.0
    watching.launched(beside)
    assert [flight.cold for flight, _ in time.flights] == [True, False]
    assert watching.progress().phase == "search"


def test_a_view_is_told(clock: Clock) -> None:
    study = new_study()
    watching = watch(study, clock)
    driving = drive(study, watching, clock, seconds_per_job=4.0)
    next(driving)
    first = watching.progress()
    assert (first.planned, first.done, first.running, first.failed, first.remaining) == (8, 0, 2, 0, None)
    assert [(job.number, job.description) for job in first.jobs] == [(0, "2 trials to step 10: prompt ×2")]
    next(driving)
    assert [(job.number, job.description) for job in watching.progress().jobs] == [(1, "2 trials to step 20: prompt ×2")]
    next(driving)
    clock.now += 1.0
    second = watching.progress()
    assert (second.done, second.running, second.rungs, second.elapsed) == (0, 2, {10: 2, 20: 2}, 9.0)  # both go on
    assert second.remaining is not None
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
    resumed = watch(again, clock)
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
    assert watching.progress().failed == len(problems) == 2  # the one entry of the space as it stands, and a draw beside it


def test_the_curve_is_that_of_all_results(clock: Clock) -> None:
    """At every moment of a search and its finals, whatever is left out."""
    study = new_study()
    watching = watch(study, clock)
    for _ in drive(study, watching, clock, seconds_per_job=1.0):
        progress = watching.progress()
        assert progress.points == tuple(points(study.trials.values(), study.results))
        assert progress.rungs == Counter(result.step for result in study.results if result.split == "validation")
    assert watching.progress().points == tuple(points(study.trials.values(), study.results))
