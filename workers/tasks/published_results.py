"""What the papers report on the tasks of `published.yaml`, by suite."""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import cache
from importlib.resources import files
from typing import Any

from ...spaces.errors import WrongInput, did_you_mean


@dataclass(frozen=True)
class PublishedRow:
    """One method of a table."""

    method: str
    parameters: int
    scores: Mapping[str, float]
    """Task -> per cent of its metric."""


@dataclass(frozen=True)
class PublishedResults:
    """One suite's table."""

    suite: str
    source: str
    recipe: Mapping[str, Any]
    """How it was trained: keys of a space file where there is one, else words."""
    rows: tuple[PublishedRow, ...]
    space: str = "paper-t5"
    """The shipped space of the paper's set-up."""

    @property
    def tasks(self) -> tuple[str, ...]:
        """The tasks of the table, in its order."""
        return tuple(self.rows[0].scores)


@cache
def published_results() -> Mapping[str, PublishedResults]:
    """Return suite -> table."""
    from ruamel.yaml import YAML  # training machines do without

    values = YAML(typ="safe").load(files(__package__).joinpath("published_results.yaml").read_text(encoding="utf8"))
    return {suite: _results(suite, table) for suite, table in values.items()}


def results_of(suite: str) -> PublishedResults:
    """Return a suite's table; `WrongInput` names the nearest where there is none."""
    known = published_results()
    if suite not in known:
        raise WrongInput(f"{suite}: no suite of published results; there are {', '.join(known)}.{did_you_mean(suite, known)}")
    return known[suite]


def _results(suite: str, table: Mapping[str, Any]) -> PublishedResults:
    rows = (
        PublishedRow(method, cells["parameters"], {task: score for task, score in cells.items() if task != "parameters"})
        for method, cells in table["rows"].items()
    )
    return PublishedResults(suite, table["source"], table["recipe"], tuple(rows), table.get("space", PublishedResults.space))
