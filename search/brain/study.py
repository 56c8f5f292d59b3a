"""The brain of a search: a pure state machine that hands out jobs and takes in what came of them.

It is driven alike by Ray, by a plain loop and by simulated learning curves. It holds no files, no clock and no processes; all it knows
are the records it was built from and the outcomes it was told since, so it can be rebuilt from the ledger at any moment.

What is handed out, in this order: trials whose job was lost (often: last of all); promotions that fill a pack, from the longest rung
down; new trials, while the space asks for more; promotions that fill less than a pack; and when none of these is left and nothing of
the search is under way, the finals.

Told of a time limit (`tell_time`), it hands out what still leaves time for what must follow (`timetable.py`), and spends what is left
when its plan is done: on more trials than the space plans, or where the time is too short for these, on more seeds of the finals.
"""

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import replace

from ...spaces.attempts import LOST
from ...spaces.records import Assignment, Job, Outcome, Problem, Result, State, Trial
from ...spaces.space import Space
from . import finals, schedule
from .blame import Blame
from .feasibility import Count, Feasibility
from .pack_limits import PackLimits
from .promotion import ladder, refill, rungs_of
from .proposals import Proposals
from .result_table import ResultTable
from .schedule import PlannedJob, Situation
from .search_space import SearchSpace
from .time_left import TimeLeft
from .timetable import Timetable
from .trial_records import Progress, TrialRecords


class Study:
    """One search, from its records to its end.

    `methods` are those of the space that fit under `budget`, at least one (`require_feasible`). `count` gives a configuration's
    trainable elements and raises `WrongInput` where it does not fit the model. `pack` is the largest number of trials in a job.
    """

    def __init__(
        self,
        *,
        space: Space,
        budget: int,
        count: Count,
        methods: Mapping[str, Feasibility],
        trials: Sequence[Trial] = (),
        results: Sequence[Result] = (),
        problems: Sequence[Problem] = (),
        seed: int = 0,
        pack: int = 8,
    ) -> None:
        self._space = space
        self._rungs = rungs_of(space.training)
        self._ladder = ladder(self._rungs)
        within = SearchSpace(methods, space.seeds)
        self._records, self._light, self._heavy = TrialRecords(within.tried), within.light, bool(within.heavy.methods)
        self._proposals = Proposals(space=space, search_space=within, budget=budget, count=count, seed=seed, steps=self._rungs)
        self._pack, self._limits, self._blame = max(1, pack), PackLimits(pack), Blame()
        self._time: TimeLeft | None = None
        self._finishing = False  # whether the last job handed out was one of the finals
        self._jobs: dict[int, Job] = {}
        self._launched = 0
        self._running: dict[int, int] = {}  # trial -> the job it is in
        self._lost: dict[int, int] = {}  # search trial that lost its job -> the step it was on its way to
        self._plan: PlannedJob | None = None
        self._planned = False  # whether `_plan` is up to date
        self._finalists: tuple[int, list[Trial]] = (-1, [])  # as of so many results
        self._restore(trials, results, problems)

    @property
    def trials(self) -> Mapping[int, Trial]:
        """Every trial by its number, finals included."""
        return self._records.trials

    @property
    def results(self) -> ResultTable:
        """Every result once, in the order they came, as far as `ResultTable` keeps them."""
        return self._records.results

    @property
    def failed(self) -> Mapping[int, str]:
        """Failed trials, and why."""
        return self._records.failed

    @property
    def rungs(self) -> tuple[int, ...]:
        """The steps at which trials are compared, ascending."""
        return self._rungs

    @property
    def arrived(self) -> Mapping[int, int]:
        """Rung -> search trials with a result at it, those that failed later left out."""
        return {step: len(rung) for step, rung in self._ladder.items()}

    @property
    def finalists(self) -> Sequence[Trial]:
        """The search trials that are to be retrained, as of now; smallest first."""
        size, known = self._space.size, len(self._records.results)
        if self._finalists[0] != known:
            self._finalists = (known, finals.finalists(self.trials, self._records.front(size=size), size=size))
        return self._finalists[1]

    @property
    def coming(self) -> int:
        """Trials that have no number yet: those of the plan before the finals, and in the finals what is left of them."""
        if not self._finishing:
            return 0 if self._proposals.exhausted else max(0, self._space.trials - self._records.search_trials)
        return sum(trial.number == finals.UNNUMBERED for trial in self._due_finals(self._situation()))

    @property
    def finishing(self) -> bool:
        """Whether the last job handed out was one of the finals."""
        return self._finishing

    @property
    def finished(self) -> bool:
        """Whether nothing is under way and nothing is left to do."""
        return not self._jobs and self._next_plan() is None

    @property
    def progress(self) -> Progress:
        """How far the study is."""
        records = self._records
        busy = sum(number in records.latest for number in self._running.keys() | records.failed.keys())
        running = len(self._running.keys() - records.failed.keys())
        return Progress(len(records.trials) + self.coming, len(records.latest) - busy, running, len(records.failed))

    def state(self, number: int) -> State:
        """Return where a trial stands. A stopped one may go on later, when its rung has filled up."""
        if number in self._records.failed:
            return "failed"
        if number in self._running:
            return "running"
        step = self._records.step(number)
        if step == self._rungs[-1]:
            return "done"
        return "stopped" if step and number not in self._lost else "waiting"

    def next_job(self) -> Job | None:
        """Return the next job, None when nothing can be handed out right now.

        New trials in it must be written down before it is launched.
        """
        plan = self._next_plan()
        if plan is None:
            return None
        self._planned = False
        job = Job(self._launched, tuple(self._assignment(trial) for trial in plan.trials), plan.stop, plan.splits)
        self._launched += 1
        self._jobs[job.number] = job
        self._finishing = plan.trials[0].purpose == "final"
        self._proposals.remove(trial for trial in plan.trials if trial.number not in self.trials)
        for trial in plan.trials:
            self._start(trial, job.number)
        return job

    def give_back(self, job: Job) -> None:
        """Take back the last job, which was never launched, so that what it was for is decided anew; nobody has failed in it."""
        self._planned, self._launched = False, job.number
        del self._jobs[job.number]
        for trial in (assignment.trial for assignment in job.assignments):
            del self._running[trial.number]
            if trial.purpose == "search" and trial.number not in self._records.failed:
                self._lost[trial.number] = job.stop

    def record(self, outcome: Outcome) -> None:
        """Take in what came of a job. Results that are known already are ignored, so an outcome may come twice."""
        self._planned = False
        for result in outcome.results:
            self._take_result(result)
        if job := self._jobs.pop(outcome.job, None):
            for problem in outcome.problems:
                self._take_problem(problem)
            for assignment in job.assignments:
                self._settle(assignment.trial, job, outcome)
            self._limits.note(job, outcome)

    def judged(self, outcome: Outcome) -> Outcome:
        """Return an outcome, once, as it is to be written down: with what a lost job says of its trials."""
        return self._blame.judged(outcome, self._jobs.get(outcome.job))

    def tell_time(self, time: TimeLeft | None) -> None:
        """Say how much time is left from now on; None, as at the beginning, sets no limit. To be told before each question."""
        self._time, self._planned = time, False

    def _restore(self, trials: Iterable[Trial], results: Iterable[Result], problems: Iterable[Problem]) -> None:
        for trial in trials:
            self._records.add_trial(trial)
        for problem in problems:
            if problem.own:  # what was not is held against nobody for longer than a command
                self._take_problem(problem)
        self._take_all(results)
        begun = self._records.latest.keys() | self._records.failed.keys()
        lost = [trial for trial in self.trials.values() if trial.number not in begun and trial.purpose == "search"]
        self._lost |= {trial.number: self._rungs[-1 if trial.method in self._light else 0] for trial in lost}

    def _next_plan(self) -> PlannedJob | None:
        if not self._planned:
            self._plan, self._planned = self._choose(), True
        return self._plan

    def _choose(self) -> PlannedJob | None:
        """What to do next, the first of these that there is; None when something has to come back before."""
        if self._time is not None:
            return self._choose_within(self._time)
        now = self._situation()
        return self._search_job(now) or (None if self._searching() else schedule.final_trials(self._due_finals(now), now))

    def _choose_within(self, time: TimeLeft) -> PlannedJob | None:
        """The same as far as it fits into the time that is left, and then what else is worth it."""
        now = self._situation(time)
        due = self._due_finals(now)
        table = self._timetable(now, time, due=due)
        pressed = replace(now, short=table.short)
        fitting = schedule.first_fitting([self._search_job(pressed, worth=table.worth_starting, deep=table.scouting)], table.search)
        if not fitting and pressed.short and table.worth_starting():  # light trials fit where a promotion does not
            fitting = schedule.first_fitting([self._new_trials(pressed)], table.search)
        if fitting or self._searching():
            return fitting
        if due:
            return schedule.first_fitting([schedule.seed_by_seed(due, now)], table.final)
        return self._spend(now, time) if time.spend else None

    def _spend(self, now: Situation, time: TimeLeft) -> PlannedJob | None:
        """What can be done with time that is too short for the search to go on: promotions, more seeds, promotions below the curve."""
        due = self._further_finals(now)
        table = self._timetable(now, time, due=[])
        return (
            schedule.first_fitting(schedule.promotions(now), table.search)
            or schedule.first_fitting([schedule.seed_by_seed(due, now)], replace(table, due=due).further)
            or schedule.first_fitting(schedule.promotions(now), table.fill)
            or schedule.first_fitting([self._new_trials(replace(now, rushed=True)) if table.worth_filling() else None], table.fill)
        )

    def _search_job(self, now: Situation, *, worth: Callable[[], bool] = lambda: True, deep: bool = False) -> PlannedJob | None:
        """The next job of the search: the same whatever time is left, so that a longer search begins as a shorter one does.

        New trials cost a proposal: `worth` is asked before. `deep`: a few promotions come first, but for the opening.
        """
        left = self._proposals.opening_left(self._records.tried, heavy=now.rushed)
        opening = self._new_trials(now) if left and now.missing and worth() else None
        job = schedule.lost_trials(now, often=False) or opening or (schedule.scouts(now) if deep else schedule.full_promotion(now))
        if job := job or (next(schedule.promotions(now), None) if now.planned else None):
            return job
        if now.missing:
            job = self._new_trials(now) if worth() else None
            if job or not self._proposals.exhausted:
                return job or schedule.lost_trials(now, often=True)
        return next(schedule.promotions(now), None) or schedule.lost_trials(now, often=True)

    def _situation(self, time: TimeLeft | None = None) -> Situation:
        records, rushed = self._records, self._heavy and time is not None and time.rushed(self._rungs[-1])
        own = self._space, records, self._ladder, self._lost, self._running.keys(), self._pack
        now = Situation(*own, wanted=self._space.trials, limits=self._limits, light=self._light, rushed=rushed)
        return replace(now, wanted=records.search_trials + now.share) if time is not None and time.spend and now.planned else now

    def _timetable(self, now: Situation, time: TimeLeft, *, due: Sequence[Trial]) -> Timetable:
        table, highest = self._records.results, self._records.highest()
        under_way = [job for job in self._jobs.values() if job.assignments[0].trial.purpose == "search"]
        top = max([int(table.column("step")[highest].max(initial=0)), *(job.stop for job in under_way)])
        return Timetable(
            now=now,
            time=time,
            finalists=self.finalists,
            due=due,
            top=top,
            arrived=now.heavy(self.trials[number] for number in table.column("trial")[highest].tolist()),
            climbing=now.heavy(a.trial for job in under_way if job.stop == top for a in job.assignments),
            launched=self._launched,
            finishing=self._finishing and now.heavy(self.finalists) > 0,
        )

    def _new_trials(self, now: Situation) -> PlannedJob | None:
        tried, light = self._records.tried, self._records.tried_of(self._light)
        queue = self._proposals.upcoming(now.missing, tried=tried, light=light, busy=now.busy(), heavy=now.rushed)
        return schedule.new_trials([self._proposals.trial(one) for one in schedule.next_proposals(queue, now)], now)

    def _due_finals(self, now: Situation, *, more: int = 0) -> list[Trial]:
        return schedule.due_finals(self.finalists, now, seeds=finals.fresh_seeds(self._space, more=more), whole=more > 0)

    def _further_finals(self, now: Situation) -> list[Trial]:
        """The finalists under the next fresh seed, for intervals that are narrower than the space asks for."""
        most = finals.MOST_SEEDS - self._space.finalists if self._space.finalists else 0
        return next((due for more in range(1, most + 1) if (due := self._due_finals(now, more=more))), [])

    def _searching(self) -> bool:
        return any(self.trials[number].purpose == "search" for number in self._running)

    def _assignment(self, trial: Trial) -> Assignment:
        step = self._records.step(trial.number)
        return Assignment(trial, step, self._records.results.adapter(trial.number)) if step else Assignment(trial)

    def _start(self, trial: Trial, job: int) -> None:
        self._records.add_trial(trial)
        self._running[trial.number] = job
        self._lost.pop(trial.number, None)
        if step := self._records.step(trial.number):
            self._ladder[step].take(trial.number)

    def _take_result(self, result: Result) -> None:
        change = self._records.add_result(result)
        if change.failed:
            self._give_up(result.trial)
        if change.scored:
            self._compare(self.trials[result.trial], result)

    def _take_all(self, results: Iterable[Result]) -> None:
        """Take in the results of earlier commands: as one after the other, but the rungs are made when all are known."""
        scored, size = self._records.load(ResultTable.of(results), steps=self._rungs), self._space.size
        for step in reversed(self._rungs):  # what is modelled is the highest one
            for result in self._records.results.at(scored[step]) if self._proposals.learns(step) else ():
                self._proposals.learn(self.trials[result.trial], result)
        refill(self._ladder, {step: self._records.places(rows, size=size) for step, rows in scored.items()}, failed=self.failed)

    def _take_problem(self, problem: Problem) -> None:
        if self._records.add_problem(problem).failed:
            self._give_up(problem.trial)

    def _settle(self, trial: Trial, job: Job, outcome: Outcome) -> None:
        """See to a trial of a job that is over: where it has no result, it is tried again or given up."""
        if self._running.get(trial.number) == job.number:
            del self._running[trial.number]
        if all(self._records.has(trial.number, job.stop, split) for split in job.splits):
            return
        explained = outcome.unable or outcome.pack_limit or any(problem.trial == trial.number for problem in outcome.problems)
        if not explained:
            self._take_problem(Problem(trial.number, LOST, alone=len(job.assignments) == 1, own=False))
        if trial.number not in self._records.failed and trial.purpose == "search":
            self._lost[trial.number] = job.stop

    def _compare(self, trial: Trial, result: Result) -> None:
        """Enter a search trial's result where it meets the others: at its rung, and in what the sampler learns from."""
        if self._lost.get(trial.number, math.inf) <= result.step:
            del self._lost[trial.number]
        if result.step not in self._ladder:  # the rungs were others when this was trained
            return
        self._proposals.learn(trial, result)
        if trial.number not in self._records.failed:
            size = result.bytes if self._space.size == "bytes" else trial.parameters
            self._ladder[result.step].add(trial.number, size=size, score=result.score)
        for step in [step for step in self._rungs if step < self._records.step(trial.number)]:
            self._ladder[step].take(trial.number)

    def _give_up(self, trial: int) -> None:
        self._lost.pop(trial, None)
        for rung in self._ladder.values():
            rung.withdraw(trial)
