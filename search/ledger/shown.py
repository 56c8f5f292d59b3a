"""A study as `show` shows it: all of its trials in outline, and as many of them as are asked for in full, a page at a time."""

from collections.abc import Iterator, Sequence
from dataclasses import asdict, dataclass
from functools import cached_property
from itertools import chain
from typing import TYPE_CHECKING, Any

from ...dashboards.states import problems_by_trial, results_by_trial, state_of
from ...spaces.records import Problem, Result, State, Trial
from ...spaces.space import Space
from ...spaces.space_json import space_from_json
from ..home import Home
from .outlines import Outline, TrialPage
from .reading import front_of, open_ledger, states_in

if TYPE_CHECKING:
    from .ledger import Ledger, StudyRecord


@dataclass(frozen=True)
class Shown:
    """One study, read from its ledger as far as somebody looks."""

    ledger: "Ledger"
    record: "StudyRecord"

    @cached_property
    def space(self) -> Space:
        """What was searched."""
        return space_from_json(self.record.space)

    @cached_property
    def outlines(self) -> list[Outline]:
        """Every trial in outline, by number."""
        return self.ledger.outlines(self.record.name)

    @cached_property
    def states(self) -> dict[int, State]:
        """Trial -> where it stands, as far as records can tell."""
        known = states_in(self.ledger, self.record, self.ledger.problems(self.record.name))
        return {one.number: known.get(one.number) or self._state(one) for one in self.outlines}

    def page(self, numbers: Sequence[int]) -> TrialPage:
        """Return the first of these trials, in this order: as many as are read together."""
        return next(self.ledger.pages(self.record.name, numbers), TrialPage([], [], []))

    def head(self) -> dict[str, Any]:
        """Return what programs are told of the study before its trials."""
        return asdict(self.record)

    def told(self, numbers: Sequence[int]) -> Iterator[dict[str, Any]]:
        """Yield what programs are told of each of these trials; never more than a page of them is in memory."""
        return chain.from_iterable(map(self._told, self.ledger.pages(self.record.name, numbers)))

    def tail(self) -> dict[str, Any]:
        """Return what programs are told of the study after its trials."""
        front = front_of(self.ledger, self.record.name, "").front
        references = [reference.to_json() for reference in self.ledger.references(self.record.name)]
        return {"frontier": [point.trial for point in front], "references": references}

    def _told(self, page: TrialPage) -> Iterator[dict[str, Any]]:
        results, problems = results_by_trial(page.results), problems_by_trial(page.problems)
        return (self._trial(one, results.get(one.number, ()), problems.get(one.number, ())) for one in page.trials)

    def _trial(self, trial: Trial, results: Sequence[Result], problems: Sequence[Problem]) -> dict[str, Any]:
        state = state_of(trial, results, problems, last_step=self.space.training.steps)
        own = {"results": [result.to_json() for result in results], "problems": [problem.error for problem in problems]}
        return {**trial.to_json(), "state": state, **own}

    def _state(self, one: Outline) -> State:
        """Of a trial that no problem met."""
        if one.step is None:
            return "waiting"
        return "done" if one.step >= self.space.training.steps else "stopped"


def open_study(home: Home, name: str) -> Shown:
    """Return a study of a home; `WrongInput` names the nearest where there is none of that name."""
    ledger = open_ledger(home, name)
    return Shown(ledger, ledger.study(name))
