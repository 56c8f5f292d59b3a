"""The brain as a whole: a plain loop on simulated learning curves, with crashes, losses and failures at any point."""

import math
import random
import statistics
from collections import Counter
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from ulpt_search.dashboards.frontier import frontier
from ulpt_search.dashboards.points import points
from ulpt_search.search.brain.feasibility import assess
from ulpt_search.search.brain.search_space import Proposal, SearchSpace
from ulpt_search.search.brain.study import Study
from ulpt_search.search.brain.time_left import Estimate, TimeLeft
from ulpt_search.spaces.attempts import ANY, LOSSES, LOST, verdict
from ulpt_search.spaces.axes import Choice
from ulpt_search.spaces.errors import WrongInput
from ulpt_search.spaces.records import Job, Outcome, Problem, Result, Trial
from ulpt_search.spaces.space import Space

from .simulated import METHODS, Curves, Executor, count, drive, hypervolume, methods_that_fit, space

BUDGET = 10_000
LAST = 200


def study_of(chosen: Space, *, before: Study | None = None, seed: int = 0, pack: int = 8, problems: list[Problem] | None = None) -> Study:
    """A new study, or one rebuilt from what another knew."""
    trials = list(before.trials.values()) if before else []
    results = list(before.results) if before else []
    methods, known = methods_that_fit(chosen, BUDGET), problems or []
    return Study(
        space=chosen, budget=BUDGET, count=count, methods=methods, trials=trials, results=results, problems=known, seed=seed, pack=pack
    )


def check_whole(study: Study, chosen: Space) -> None:
    """What must be true of every finished study."""
    searched = [trial for trial in study.trials.values() if trial.purpose == "search"]
    assert len(searched) == chosen.trials
    assert len({Proposal.of(trial).identity for trial in searched}) == len(searched)
    assert all(trial.parameters == count(trial.method, trial.hyperparameters) <= BUDGET for trial in searched)
    keys = [(result.trial, result.step, result.split) for result in study.results]
    assert len(keys) == len(set(keys))
    tested = {result.trial for result in study.results if result.split == "test"}
    finals = [trial for trial in study.trials.values() if trial.purpose == "final"]
    assert tested <= {trial.number for trial in finals}
    assert {trial.number for trial in finals} - tested <= study.failed.keys()
    assert sorted(study.trials) == list(range(len(study.trials)))
    curve = frontier(points(study.trials.values(), [r for r in study.results if study.trials[r.trial].purpose == "search"]))
    expected = {(point.trial, seed) for point in curve for seed in range(1000, 1000 + chosen.finalists)}
    assert {(trial.finalist, trial.seed) for trial in finals} == expected


def check_climb(study: Study, rungs: tuple[int, ...]) -> None:
    """Nobody is left at a rung who was beaten there by no trial with as few parameters."""
    scores = {(r.trial, r.step): r.score for r in study.results if r.split == "validation" and study.trials[r.trial].purpose == "search"}
    for low, high in pairwise(rungs):
        here = {n: score for (n, step), score in scores.items() if step == low and n not in study.failed}
        for number, score in here.items():
            mine = study.trials[number].parameters
            beaten = any(study.trials[n].parameters <= mine and s >= score and n != number for n, s in here.items())
            assert beaten or (number, high) in scores


@pytest.mark.parametrize("trials", [1, 5, 32, 90])
def test_a_study_runs_to_its_end(trials: int) -> None:
    """Every trial once, the curve at the last rung, finals on the test split, and then nothing more."""
    chosen = space(trials=trials)
    study = study_of(chosen)
    drive(study, Executor())
    check_whole(study, chosen)
    check_climb(study, chosen.training.rungs)
    assert study.finished
    assert study.next_job() is None
    assert study.progress.planned == study.progress.done == len(study.trials)


def test_a_job_is_one_climb_and_no_larger_than_the_pack() -> None:
    """All trials of a job start and stop together; rungs are climbed one at a time."""
    executor = Executor()
    drive(study_of(space(trials=60), pack=6), executor)
    for job in executor.jobs:
        assert len(job.assignments) <= 6
        starts = {assignment.start for assignment in job.assignments}
        final = job.assignments[0].trial.purpose == "final"
        assert (starts, job.stop) in ([({0}, LAST)] if final else [({0}, 25), ({25}, 50), ({50}, 100), ({100}, LAST)])
        assert job.splits == (("validation", "test") if final else ("validation",))


def test_the_first_trials_cover_every_method() -> None:
    """The start-up share takes the methods in turn."""
    study = study_of(space(trials=16), pack=4)
    drive(study, Executor(), stop_after=1)
    assert {trial.method for trial in study.trials.values()} == set(METHODS)


def test_the_same_seed_and_outcomes_give_the_same_study() -> None:
    """Nothing but the seed and the records decides."""
    runs = []
    for seed in (3, 3, 4):
        study = study_of(space(trials=40), seed=seed)
        drive(study, Executor(), chance=random.Random(1))
        runs.append(list(study.trials.values()))
    assert runs[0] == runs[1] != runs[2]


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(
    cuts=st.lists(st.integers(0, 12), max_size=5),
    seed=st.integers(0, 5),
    workers=st.integers(1, 4),
    trials=st.integers(1, 40),
    pack=st.integers(1, 9),
)
def test_a_study_cut_anywhere_and_rebuilt_goes_on(cuts: list[int], seed: int, workers: int, trials: int, pack: int) -> None:
    """Kill the driver again and again, with jobs in flight: the records alone lead to a whole study."""
    chosen, executor, chance = space(trials=trials), Executor(Curves(seed)), random.Random(seed)
    study = study_of(chosen, seed=seed, pack=pack)
    for cut in cuts:
        drive(study, executor, workers=workers, chance=chance, stop_after=cut)
        study = study_of(chosen, before=study, seed=seed, pack=pack)
    drive(study, executor, workers=workers, chance=chance)
    check_whole(study, chosen)
    check_climb(study, chosen.training.rungs)


@settings(max_examples=25, deadline=None, suppress_health_check=[HealthCheck.too_slow])
@given(seed=st.integers(0, 10_000), losing=st.floats(0, 0.3), failing=st.floats(0, 0.2), fatal=st.booleans(), workers=st.integers(1, 4))
def test_losses_and_failures_end_no_search(seed: int, losing: float, failing: float, fatal: bool, workers: int) -> None:
    """Whatever is lost or fails, every trial is either scored or failed, and the search ends."""
    chance = random.Random(seed)
    problems: list[Problem] = []

    def fail(trial: Trial, step: int) -> Problem | None:
        if chance.random() >= failing:
            return None
        problems.append(Problem(trial.number, f"broke on the way to {step}", fatal))
        return problems[-1]

    chosen = space(trials=24)
    study = study_of(chosen, seed=seed)
    drive(study, Executor(lose=lambda job: chance.random() < losing, fail=fail), workers=workers, chance=chance)
    check_whole(study, chosen)
    check_climb(study, chosen.training.rungs)
    scored = {result.trial for result in study.results}
    assert all(n in scored or n in study.failed for n in study.trials)
    counts = Counter(problem.trial for problem in problems)
    assert all(n in study.failed for n, times in counts.items() if times >= ANY or fatal)  # of fewer, the last need not have been alone
    again = study_of(chosen, before=study, seed=seed, problems=problems)
    assert again.failed.keys() <= study.failed.keys()


def test_a_bad_trial_fails_alone() -> None:
    """A trial that kills its worker every time is given up, and nobody else; the others of its pack are scored."""
    study = study_of(space(trials=24))
    executor = Executor(lose=lambda job: any(a.trial.number == 3 for a in job.assignments))
    drive(study, executor)
    assert study.failed == {3: LOST}
    sizes = [len(job.assignments) for job in executor.jobs if any(a.trial.number == 3 for a in job.assignments)]
    assert sizes[0] > sizes[1] > 1
    assert sizes[2:] == [1] * LOSSES


def test_deaths_of_the_machinery_fail_nobody() -> None:
    """Every job is lost four times, whoever is in it: all are scored in the end, and the next command knows of no problem."""
    lost: Counter[tuple[int, ...]] = Counter()

    def lose(job: Job) -> bool:
        who = tuple(a.trial.number for a in job.assignments)
        lost[who] += 1
        return lost[who] <= LOSSES - 1 and job.stop == 25

    study = study_of(space(trials=8), pack=1)
    drive(study, Executor(lose=lose), workers=1)
    assert study.failed == {}
    check_whole(study, space(trials=8))


def test_what_is_not_its_own_is_forgotten_with_the_command() -> None:
    """A damaged file is tried a few times, and again when the study is continued: it may have been restored."""
    damaged = [Problem(0, "adapter 00: damaged", alone=True, own=False)] * LOSSES
    study = study_of(space(trials=4))
    job = study.next_job()
    assert job is not None
    for _ in range(LOSSES):
        study.record(Outcome(job.number, problems=(damaged[0],)))
        job = study.next_job()
        assert job is not None
    assert study.failed == {0: "adapter 00: damaged"}
    assert study_of(space(trials=4), before=study, problems=damaged).failed == {}


def test_a_strike_is_the_same_error_alone() -> None:
    """In a pack it may be another's doing, and another error is another matter; numbers in it make no difference."""
    errors = [f"IndexError: index {n} is out of range (sites.py:{n})" for n in range(9)]
    packed = [Problem(0, error) for error in errors]
    assert verdict(packed) is None
    assert verdict([*packed[:2], Problem(0, errors[5], alone=True)]) == errors[5]
    assert verdict([*packed[:2], Problem(0, "ValueError: no", alone=True)]) is None
    assert verdict([Problem(0, f"error {'abcdefghijklmn'[n]}", alone=True) for n in range(12)]) == "error l"


def test_an_environment_that_fails_costs_nobody_an_attempt() -> None:
    """What a worker could not even begin is tried again as it was."""
    study, handed = study_of(space(trials=8)), []
    for _ in range(9):
        job = study.next_job()
        assert job is not None
        handed.append(job.assignments)
        study.record(study.judged(Outcome(job.number, unable="the store cannot be written: read-only file system")))
    assert handed == [handed[0]] * 9
    assert not study.failed


def test_a_fatal_problem_is_not_tried_again() -> None:
    """NaN stays NaN."""
    executor = Executor(fail=lambda trial, step: Problem(trial.number, "loss is nan", fatal=True) if trial.number == 2 else None)
    study = study_of(space(trials=12))
    drive(study, executor)
    assert dict(study.failed) == {2: "loss is nan"}
    assert sum(any(a.trial.number == 2 for a in job.assignments) for job in executor.jobs) == 1
    assert study.state(2) == "failed"


def test_a_score_that_is_no_number_fails_its_trial() -> None:
    """Such a score can be compared with nothing."""
    study = study_of(space(trials=4))
    job = study.next_job()
    assert job is not None
    good = Executor().run(job)
    study.record(replace(good, results=(replace(good.results[0], score=float("nan")), *good.results[1:])))
    first = good.results[0].trial
    assert study.failed == {first: "the validation score at step 25 is nan"}


def test_memory_shortage_shrinks_packs_and_blames_nobody() -> None:
    """Packs shrink to what fits, and what does not fit is tried ever less often."""
    executor = Executor(limit=2)
    study = study_of(space(trials=64))
    drive(study, executor)
    assert not study.failed
    sizes = [len(job.assignments) for job in executor.jobs]
    assert sizes[0] == 8
    assert sum(size > 2 for size in sizes[8:]) < len(sizes) / 10
    check_whole(study, space(trials=64))


def test_packs_that_are_lost_in_a_row_become_smaller() -> None:
    """As where the kernel ends workers for want of memory, which leave no word: most packs fit in the end, however many there are."""
    chosen = space(trials=128, methods=["prompt"])
    executor, study = Executor(lose=lambda job: len(job.assignments) > 2), study_of(chosen)
    drive(study, executor)
    assert study.failed == {}
    assert sum(map(executor.lose, executor.jobs)) <= 16
    check_whole(study, chosen)


def test_one_loss_shrinks_nothing() -> None:
    executor, study = Executor(lose=lambda job: job.number == 0), study_of(space(trials=64))
    drive(study, executor)
    sizes = [len(job.assignments) for job in executor.jobs if job.stop == 25]
    assert sizes.count(8) >= 6


def test_a_heavy_method_shrinks_its_own_packs_alone() -> None:
    """The others go on in packs as large as before."""
    chosen = space(trials=64, methods=["prompt", "bitfit"])
    study = study_of(chosen)
    jobs: list[Job] = []
    executor = Executor()

    def run(job: Job) -> Outcome:
        jobs.append(job)
        heavy = [a for a in job.assignments if a.trial.method == "prompt"]
        return Outcome(job.number, pack_limit=1, heavy=("prompt",)) if len(heavy) > 1 else executor.run(job)

    while not study.finished:
        job = study.next_job()
        assert job is not None
        study.record(study.judged(run(job)))
    check_whole(study, chosen)
    after = jobs[len(jobs) // 4 :]
    assert max(len(job.assignments) for job in after if job.assignments[0].trial.method == "bitfit") > 4


def test_an_outcome_may_come_twice_or_late() -> None:
    """A worker thought lost that answers after all changes nothing that is known."""
    study, executor = study_of(space(trials=12)), Executor()
    job = study.next_job()
    assert job is not None
    outcome = executor.run(job)
    study.record(Outcome(job.number))
    again = study.next_job()
    assert again is not None
    study.record(outcome)
    known = list(study.results)
    study.record(executor.run(again))
    study.record(outcome)
    assert list(study.results)[: len(known)] == known
    assert len({(r.trial, r.step) for r in study.results}) == len(study.results)
    drive(study, executor)
    check_whole(study, space(trials=12))


def seconds_left(seconds: float, *, spend: bool = True) -> TimeLeft:
    """Two workers that are ready, and jobs that take a second whatever they hold."""
    ready, second = Estimate(0.0), Estimate(1.0)
    return TimeLeft(seconds, total=10.0, late=0.0, latest=0.0, free=(ready, ready), price=lambda work: second, spend=spend)


def test_short_of_time_only_the_finals_are_handed_out_until_there_is_more() -> None:
    """Finals wait for what is under way; with more time than was thought the search goes on."""
    chosen, executor = space(trials=60), Executor()
    study = study_of(chosen)
    drive(study, executor, workers=1, stop_after=9)
    flying = study.next_job()
    assert flying is not None
    study.tell_time(seconds_left(10.0, spend=False))
    study.record(executor.run(flying))
    before = {n for n, trial in study.trials.items() if trial.purpose == "search"}
    due = math.ceil(len(study.finalists) * chosen.finalists / 8 / 2)
    study.tell_time(seconds_left(due, spend=False))
    job = study.next_job()
    assert job is not None
    assert {assignment.trial.purpose for assignment in job.assignments} == {"final"}
    study.record(executor.run(job))
    study.tell_time(seconds_left(100.0, spend=False))
    again = study.next_job()
    assert again is not None
    assert {assignment.trial.purpose for assignment in again.assignments} == {"search"}
    study.record(executor.run(again))
    study.tell_time(None)
    drive(study, executor)
    assert before < {n for n, trial in study.trials.items() if trial.purpose == "search"}
    assert study.progress.planned == len(study.trials)
    finals = {(trial.finalist, trial.seed) for trial in study.trials.values() if trial.purpose == "final"}
    assert finals >= {(trial.number, seed) for trial in study.finalists for seed in (1000, 1001)}


def test_seeds_beyond_the_plan_are_begun_where_every_finalist_gets_one() -> None:
    """A round of them that time cuts short would count for nobody."""
    tiny = replace(space(finalists=2), seeds=2, methods={"prompt": {"prompt_length": Choice((1, 2, 3)), "lr": 0.03}})
    study = Study(space=tiny, budget=BUDGET, count=count, methods=methods_that_fit(tiny, BUDGET))
    drive(study, Executor(), workers=1)
    assert study.finished
    round_ = len(study.finalists)
    assert round_ > 1
    for seconds, seeds in ((round_ - 0.5, []), (round_ + 0.5, [1002] * round_)):
        study.tell_time(replace(seconds_left(seconds), total=100.0, free=(Estimate(0.0),), price=lambda work: Estimate(float(work.trials))))
        job = study.next_job()
        assert [assignment.trial.seed for assignment in (job.assignments if job else ())] == seeds


def test_no_time_at_all_ends_with_nothing() -> None:
    """There is no curve to retrain."""
    study = study_of(space())
    study.tell_time(seconds_left(0.0))
    assert study.finished
    assert not study.trials


def test_without_a_limit_nothing_is_spent_beyond_the_plan() -> None:
    """A limit that is an upper bound only changes nothing where there is time enough."""
    studies = [study_of(space(trials=24)) for _ in range(2)]
    studies[1].tell_time(seconds_left(1e9, spend=False))
    for study in studies:
        drive(study, Executor())
    assert [sorted(study.trials) for study in studies] == [sorted(studies[0].trials)] * 2


def test_a_space_smaller_than_the_search_ends_when_all_is_tried() -> None:
    """Two seeds of three configurations are six trials, whatever was asked for."""
    tiny = replace(space(trials=50), seeds=2, methods={"prompt": {"prompt_length": Choice((1, 2, 3)), "lr": 0.03}})
    study = study_of(tiny)
    drive(study, Executor())
    assert len([trial for trial in study.trials.values() if trial.purpose == "search"]) == 6
    assert study.finished
    assert study.progress.planned == len(study.trials)


def test_nothing_fits() -> None:
    """The error names every method's way out."""
    with pytest.raises(WrongInput, match=r"no method fits under a budget of 300.*prompt: needs at least 384; raise --budget to 384"):
        methods_that_fit(space(methods=["prompt", "bitfit"]), 300)


def test_states() -> None:
    """Every state is reached."""
    study, executor = study_of(space(trials=32)), Executor()
    assert study.progress.planned == 32
    job = study.next_job()
    assert job is not None
    assert {study.state(a.trial.number) for a in job.assignments} == {"running"}
    assert study.progress.running == len(job.assignments)
    study.record(Outcome(job.number))
    assert study.state(0) == "waiting"
    drive(study, executor)
    assert {study.state(n) for n in study.trials} == {"done", "stopped"}


def test_records_under_other_rungs_are_kept_and_not_compared() -> None:
    """A study continued with other rungs neither loses its results nor mixes steps."""
    old = study_of(space(trials=6, rungs=(30, 60)))
    drive(old, Executor(), stop_after=1)
    kept = list(old.results)
    study = study_of(space(trials=6), before=old)
    drive(study, Executor(), stop_after=3)
    assert list(study.results)[: len(kept)] == kept


def random_search(curves: Curves, *, steps: int, seed: int) -> float:
    """Hypervolume of uniform feasible trials, each trained to the end, in as many trial-steps."""
    domain, chance = SearchSpace(assess(METHODS, budget=BUDGET, count=count), 3), random.Random(seed)
    trials: dict[int, Trial] = {}
    for number in range(steps // LAST):
        drawn = domain.draw(accept=lambda p: count(p.method, p.hyperparameters) <= BUDGET, chance=chance)
        assert drawn is not None
        trials[number] = Trial(number, drawn.method, drawn.hyperparameters, drawn.seed, count(drawn.method, drawn.hyperparameters))
    results = [Result(n, LAST, "validation", curves.score(trial, LAST), 1e-4, 0.0, 0.0, "", 0) for n, trial in trials.items()]
    return hypervolume(trials, results, curves=curves, budget=BUDGET)


def test_better_than_random_search_at_equal_trial_steps() -> None:
    """The curve of 32 trials covers more than that of random search, on average over simulated tasks."""
    ours, theirs = [], []
    for seed in range(12):
        curves = Curves(seed)
        study, executor = study_of(space(finalists=0), seed=seed), Executor(curves)
        drive(study, executor, chance=random.Random(seed))
        ours.append(hypervolume(study.trials, study.results, curves=curves, budget=BUDGET))
        theirs.append(statistics.mean(random_search(curves, steps=executor.trial_steps, seed=10 * seed + k) for k in range(3)))
    assert statistics.mean(ours) > statistics.mean(theirs) + 0.03
    assert sum(a > b for a, b in zip(ours, theirs, strict=True)) >= 9


def test_a_lost_job_continues_from_the_last_rung() -> None:
    """What was trained before the loss is not trained again."""
    executor = Executor()
    executor.lose = lambda job: job.stop == LAST and len(executor.jobs) % 3 == 0
    drive(study_of(space(trials=32)), executor)
    climbs: Counter[tuple[int, int]] = Counter((a.trial.number, a.start) for job in executor.jobs for a in job.assignments)
    retried: list[Job] = [job for job in executor.jobs if any(climbs[a.trial.number, a.start] > 1 for a in job.assignments)]
    assert retried
    assert all(a.start == 100 for job in retried for a in job.assignments if a.trial.purpose == "search")
