"""What the ledger remembers of a study, read without a model, without Ray and without writing anything."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...dashboards.curve import Curve
from ...dashboards.points import Plan, RowScores, faint_points, incomplete, points, tables
from ...dashboards.states import results_by_trial, states_of
from ...spaces.errors import WrongInput
from ...spaces.metrics import ANYTHING, found
from ...spaces.records import Problem, Result, State, Trial
from ...spaces.references import Reference
from ...spaces.space import Setup, Space
from ...spaces.space_json import space_from_json
from ..home import Home
from .row_scores import row_scores

if TYPE_CHECKING:
    from .ledger import Ledger, StudyRecord


@dataclass(frozen=True)
class History:
    """Everything that the ledger holds of one study."""

    record: "StudyRecord"
    trials: Sequence[Trial]
    results: Sequence[Result]
    problems: Sequence[Problem]
    store: str = ""
    """Where its adapters are; without it the rows of the finals are not looked at."""
    references: Sequence[Reference] = ()
    """What was measured beside its trials."""

    @cached_property
    def space(self) -> Space:
        """What was searched."""
        return space_from_json(self.record.space)

    @cached_property
    def curve(self) -> Curve:
        """The trade-off curve."""
        plan = Plan(self.space.finalists, {number for number, state in self.states.items() if state == "failed"})
        return Curve(
            study=self.record.name,
            budget=self.record.budget,
            points=tuple(points(self.trials, self.results, self.rows, ends=_ends(self.space.task.metric), plan=plan)),
            ends=_ends(self.space.task.metric),
            metric=_title(self.space.task.metric),
            task=self.space.task.name,
            model=self.space.model.name,
            methods=tuple(self.space.methods),
            faint=tuple(faint_points(self.trials, self.results, plan=plan)),
            trials=_count(self.trials, lambda trial: trial.purpose == "search"),
            failed=list(self.states.values()).count("failed"),
            size=self.space.size,
            tables=tables(self.trials, self.results, self.rows, plan=plan),
            incomplete=incomplete(self.trials, self.results, plan=plan),
            remarks=self.record.task_notes,
            references=tuple(self.references),
        )

    @cached_property
    def rows(self) -> RowScores:
        """What each row added to the scores of the finals, as far as it was kept and the store can be read."""
        finals = {trial.number for trial in self.trials if trial.purpose == "final"}
        scored = [result for result in self.results if result.trial in finals]
        return row_scores(self.store, scored) if self.store and scored else {}

    @cached_property
    def states(self) -> dict[int, State]:
        """Trial -> where it stands, as far as records can tell."""
        return states_of(self.trials, self.results, self.problems, last_step=self.space.training.steps)

    def setup(self, store: str) -> Setup:
        """Return what a worker is told of this study."""
        return Setup(self.space.model, self.space.task, self.space.training, store, identity=self.record.known)

    @cached_property
    def latest_results(self) -> dict[int, Result]:
        """Trial -> its result at its highest step, for those that have one."""
        return {trial: max(own, key=lambda result: result.step) for trial, own in results_by_trial(self.results).items()}

    def latest(self, trial: int) -> Result | None:
        """Return a trial's result at its highest step."""
        return self.latest_results.get(trial)

    def state(self, trial: Trial) -> State:
        """Return where a trial stands, as far as records can tell."""
        return self.states[trial.number]


@dataclass(frozen=True)
class Summary:
    """One line of `studies`."""

    study: str
    task: str
    model: str
    budget: int
    trials: int
    best: float | None
    """Highest validation score at the highest step."""
    created: str

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def read_study(home: Home, name: str, *, curve_alone: bool = False) -> History:
    """Return a study's history; `WrongInput` names the nearest where there is none of that name.

    `curve_alone`: without the results that no curve is made of, which in a long search are most of them.
    """
    ledger = open_ledger(home, name)
    results = ledger.results(name, highest=curve_alone)
    return History(ledger.study(name), ledger.trials(name), results, ledger.problems(name), home.store, ledger.references(name))


def read_front(home: Home, name: str) -> Curve:
    """Return a study's curve without the points that are not on its frontier: these are counted, and never read.

    `WrongInput` names the nearest where there is no study of that name.
    """
    return front_of(open_ledger(home, name), name, home.store)


def front_of(ledger: "Ledger", name: str, store: str) -> Curve:
    """Return the same of a study in this ledger, whose adapters are in `store`."""
    record = ledger.study(name)
    front, problems = ledger.front(name, size=space_from_json(record.space).size), ledger.problems(name)
    here = {trial.number for trial in front.trials}
    met = [problem for problem in problems if problem.trial in here]
    curve = History(record, front.trials, front.results, met, store, ledger.references(name)).curve
    failed = list(states_in(ledger, record, problems).values()).count("failed")
    compared = 0 if curve.has_finals else front.compared
    return replace(curve, faint=(), trials=front.searched, failed=failed, compared=compared, scored=front.scored)


def states_in(ledger: "Ledger", record: "StudyRecord", problems: Sequence[Problem]) -> dict[int, State]:
    """Return where those trials stand that `problems` met: all that may have failed."""
    met = list(ledger.pages(record.name, sorted({problem.trial for problem in problems})))
    last = space_from_json(record.space).training.steps
    return {number: state for page in met for number, state in states_of(page.trials, page.results, page.problems, last_step=last).items()}


def open_ledger(home: Home, name: str) -> "Ledger":
    """Open the ledger that the study `name` should be in. Raises `WrongInput` where there is none yet."""
    if not home.has_ledger:
        raise WrongInput(f"no study {name}: nothing has been searched under {home.root} yet; start with ulpt-search run, or give --home")
    from .ledger import Ledger

    return Ledger.open(home.ledger_url)


def summaries(home: Home) -> list[Summary]:
    """Return one line a study, oldest first."""
    if not home.has_ledger:
        return []
    from .ledger import Ledger

    ledger = Ledger.open(home.ledger_url)
    return [_summary(record, front_of(ledger, record.name, "")) for record in ledger.studies()]


def choose(history: History, *, best: bool, trial: int | None, max_parameters: int | None) -> tuple[Trial, Result]:
    """Return the trial that the options of `export` name, with the result whose adapter is meant; by default the best of the curve."""
    options = {"--best": best or None, "--trial": trial, "--max-parameters": max_parameters}
    given = [name for name, value in options.items() if value is not None]
    if len(given) > 1:
        raise WrongInput(f"{' and '.join(given)} choose differently; give one of them")
    known = {each.number: each for each in history.trials}
    number = _on_curve(history, max_parameters) if trial is None else trial
    if number not in known:
        name = history.record.name
        raise WrongInput(f"--trial {number}: {name} has trials {_span(list(known))}; see `ulpt-search show {name}`")
    result = history.latest(number)
    if result is None:
        raise WrongInput(f"--trial {number}: it has no result yet; see `ulpt-search show {history.record.name}`")
    return known[number], result


def _title(name: str | None) -> str:
    """What the scores of a study are called; a metric that this installation does not know keeps its name."""
    known = found(name)
    return known.title if known else name or "score"


def _ends(name: str | None) -> tuple[float, float]:
    known = found(name)
    return known.ends if known else ANYTHING


def _on_curve(history: History, limit: int | None) -> int:
    front = history.curve.front
    if not front:
        raise WrongInput(f"{history.record.name}: no trial has been scored yet; run the study again to continue it")
    fitting = [point for point in front if limit is None or point.trainable_parameters <= limit]
    if not fitting:
        least = front[0].trainable_parameters
        raise WrongInput(f"--max-parameters {limit}: the smallest adapter of the curve has {least}; give at least that")
    return fitting[-1].exported


def _span(numbers: list[int]) -> str:
    return f"{min(numbers)} to {max(numbers)}" if numbers else "none yet"


def _summary(record: "StudyRecord", curve: Curve) -> Summary:
    best = max((point.score for point in curve.front), default=None)
    return Summary(record.name, curve.task, curve.model, record.budget, curve.trials, best, record.created)


def _count(trials: Sequence[Trial], wanted: Callable[[Trial], bool]) -> int:
    return sum(map(wanted, trials))
