"""What the ledger remembers of a study, read without a model, without Ray and without writing anything."""

from collections.abc import Callable, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

from ...dashboards.curve import Curve
from ...dashboards.points import RowScores, faint_points, incomplete, points, tables
from ...dashboards.states import problems_by_trial, results_by_trial, states_of
from ...spaces.errors import WrongInput
from ...spaces.metrics import ANYTHING, found
from ...spaces.records import Problem, Result, State, Trial
from ...spaces.references import Reference
from ...spaces.space import Setup, Space
from ...spaces.space_json import space_from_json
from ..home import Home
from .row_scores import row_scores

if TYPE_CHECKING:
    from .ledger import StudyRecord


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
        return Curve(
            study=self.record.name,
            budget=self.record.budget,
            points=tuple(points(self.trials, self.results, self.rows, ends=_ends(self.space.task.metric))),
            ends=_ends(self.space.task.metric),
            metric=_title(self.space.task.metric),
            task=self.space.task.name,
            model=self.space.model.name,
            methods=tuple(self.space.methods),
            faint=tuple(faint_points(self.trials, self.results)),
            trials=_count(self.trials, lambda trial: trial.purpose == "search"),
            failed=list(self.states.values()).count("failed"),
            size=self.space.size,
            tables=tables(self.trials, self.results, self.rows),
            incomplete=incomplete(self.trials, self.results),
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

    def to_json(self, trials: Sequence[Trial] | None = None) -> dict[str, Any]:
        """Return what `show --json` prints: the study with these of its trials, by default all."""
        shown = self.trials if trials is None else trials
        results, problems = results_by_trial(self.results), problems_by_trial(self.problems)
        told = [self._trial(trial, results.get(trial.number, ()), problems.get(trial.number, ())) for trial in shown]
        beside = [reference.to_json() for reference in self.references]
        return {**asdict(self.record), "trials": told, "frontier": [point.trial for point in self.curve.front], "references": beside}

    def _trial(self, trial: Trial, results: Sequence[Result], problems: Sequence[Problem]) -> dict[str, Any]:
        own = {"results": [result.to_json() for result in results], "problems": [problem.error for problem in problems]}
        return {**trial.to_json(), "state": self.state(trial), **own}


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
    if not home.has_ledger:
        raise WrongInput(f"no study {name}: nothing has been searched under {home.root} yet; start with ulpt-search run, or give --home")
    from .ledger import Ledger

    ledger = Ledger.open(home.ledger_url)
    results = ledger.results(name, highest=curve_alone)
    return History(ledger.study(name), ledger.trials(name), results, ledger.problems(name), home.store, ledger.references(name))


def summaries(home: Home) -> list[Summary]:
    """Return one line a study, oldest first."""
    if not home.has_ledger:
        return []
    from .ledger import Ledger

    return [_summary(read_study(home, record.name, curve_alone=True)) for record in Ledger.open(home.ledger_url).studies()]


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


def _summary(history: History) -> Summary:
    record, space = history.record, history.space
    return Summary(
        study=record.name,
        task=space.task.name,
        model=space.model.name,
        budget=record.budget,
        trials=_count(history.trials, lambda trial: trial.purpose == "search"),
        best=max((point.score for point in points(history.trials, history.results)), default=None),
        created=record.created,
    )


def _count(trials: Sequence[Trial], wanted: Callable[[Trial], bool]) -> int:
    return sum(map(wanted, trials))
