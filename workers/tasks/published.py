"""The tasks of the papers by name: what `published.yaml` says of each, put where the user says nothing."""

from collections.abc import Mapping
from dataclasses import dataclass, replace
from functools import cache
from importlib.resources import files
from typing import Any

from ...spaces.errors import WrongInput, did_you_mean
from ...spaces.metrics import Kind
from ...spaces.space import TaskSpec
from .build import Known
from .composed import text_columns

COLUMNS = ("text_a", "text_b", "label", "group", "answer", "passage")
"""Keys of a definition that name columns of the hub's data set."""


@dataclass(frozen=True)
class Definition:
    """One task, as the papers read it."""

    name: str
    title: str
    """What the papers' tables call it."""
    suite: str
    hub: str
    text_a: str
    metric: str
    kind: Kind = "classification"
    text_b: str | None = None
    label: str = TaskSpec.label
    labels: tuple[str, ...] = ()
    """In the order of their numbers; none for numbers."""
    metrics: tuple[str, ...] = ()
    group: str | None = None
    answer: str | None = None
    """Where a text is answered by a text."""
    passage: str | None = None

    def filled(self, spec: TaskSpec) -> TaskSpec:
        """Return a task's spec with what it leaves open. The columns are the hub's: rows of a folder may have their own, see `named`."""
        mine = replace(spec, metrics=spec.metrics or self.metrics)
        return mine if spec.path is not None else replace(self.named(mine), hub=spec.hub or self.hub)

    def named(self, spec: TaskSpec) -> TaskSpec:
        """Return a task's spec with the hub's columns where it names none."""
        mine: dict[str, Any] = {key: getattr(self, key) for key in COLUMNS if getattr(spec, key) == getattr(TaskSpec, key)}
        return replace(spec, **mine)

    @property
    def known(self) -> Known:
        """What is known of it before its rows are read."""
        return Known(self.kind, self.labels or None, self.metric)

    @property
    def columns(self) -> tuple[str, ...]:
        """The hub's columns that it reads, each once."""
        return tuple(
            dict.fromkeys((*text_columns(self.text_a, self.text_b), self.answer or self.label, *([self.group] if self.group else [])))
        )


@cache
def definitions() -> Mapping[str, Definition]:
    """Return name -> definition, in the file's order."""
    from ruamel.yaml import YAML  # training machines that are told rows and columns do without

    text = files(__package__).joinpath("published.yaml").read_text(encoding="utf8")
    return {name: _definition(name, values) for name, values in YAML(typ="safe").load(text).items()}


def definition(name: str) -> Definition:
    """Return a definition; `WrongInput` names the nearest where there is none."""
    known = definitions()
    if name not in known:
        raise WrongInput(f"task.definition: no {name}; there are {', '.join(known)}.{did_you_mean(name, known)}")
    return known[name]


def suites() -> Mapping[str, tuple[Definition, ...]]:
    """Return suite -> its tasks."""
    found: dict[str, tuple[Definition, ...]] = {}
    for one in definitions().values():
        found[one.suite] = (*found.get(one.suite, ()), one)
    return found


def _definition(name: str, values: Mapping[str, Any]) -> Definition:
    given: dict[str, Any] = {key: tuple(value) if isinstance(value, list) else value for key, value in values.items()}
    return Definition(name=name, **given)
