"""What there is to choose from: methods, spaces and tasks, as values that tables and JSON are made of."""

import sys
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from functools import cache
from pathlib import Path
from types import ModuleType
from typing import TYPE_CHECKING, Any

from ...spaces import plugins
from ...spaces.axes import Axis
from ...spaces.errors import WrongInput
from ...spaces.shape import Shape
from ...spaces.space import ModelSpec, TaskSpec

if TYPE_CHECKING:
    from ...workers.method import Method


@dataclass(frozen=True)
class MethodListing:
    """One method of the catalogue."""

    name: str
    formula: str
    citation: str
    floor: int | None
    """Smallest count over its axes at the model; None where it does not fit, or where the model is not there."""
    axes: Mapping[str, Axis]
    exports: tuple[str, ...]
    packable: bool
    source: str = ""
    """The distribution that brings it, with its version; empty for ours."""

    def to_json(self) -> dict[str, Any]:
        """Return what `methods --json` prints, axes as in a space file."""
        own = {key: getattr(self, key) for key in ("name", "formula", "citation", "floor")}
        return {**own, "axes": _axes_to_json(self.axes), **self._abilities()}

    def _abilities(self) -> dict[str, Any]:
        return {"exports": list(self.exports), "packable": self.packable, "source": self.source}


@dataclass(frozen=True)
class RuleListing:
    """One training rule."""

    name: str
    formula: str
    """How many of a method's N elements it trains."""
    citation: str
    axes: Mapping[str, Axis]

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON, axes as in a space file."""
        return {"name": self.name, "formula": self.formula, "citation": self.citation, "axes": _axes_to_json(self.axes)}


@dataclass(frozen=True)
class Listing:
    """A shipped space or a kind of task."""

    name: str
    about: str
    path: str | None = None

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return asdict(self)


def list_methods(model: str | None) -> list[MethodListing]:
    """Return the catalogue, and what others bring, with floors at `model`; `WrongInput` where a model was named that cannot be used."""
    from ...workers.catalogue import catalogue

    shape = shape_at(model)
    return [_listed(name, cls, shape) for name, cls in catalogue().items()] + [
        _listed(name, cls, shape, source=source) for name, (cls, source) in _brought().items()
    ]


def broken_methods() -> list[str]:
    """Return a line for each method of another distribution that cannot be used."""
    return [str(cls) for cls, _ in _tried().values() if isinstance(cls, WrongInput)]


def _brought() -> "dict[str, tuple[type[Method], str]]":
    return {name: (cls, source) for name, (cls, source) in _tried().items() if not isinstance(cls, WrongInput)}


@cache
def _tried() -> "dict[str, tuple[type[Method] | WrongInput, str]]":
    """Name -> what another distribution brings, or why it cannot be used, and which that is; a name of ours is ours."""
    from ...workers.catalogue import catalogue

    found = plugins.sources(plugins.METHODS)
    return {name: (_method(name), found[name]) for name in plugins.names(plugins.METHODS) if name not in catalogue()}


def _method(name: str) -> "type[Method] | WrongInput":
    from ...workers.catalogue import method

    try:
        return method(name)
    except WrongInput as error:
        return error


def _listed(name: str, cls: "type[Method]", shape: Shape | None, *, source: str = "") -> MethodListing:
    axes = cls.axes()
    return MethodListing(name, cls.formula, cls.citation, _floor(name, axes, shape), axes, _exports(name, cls, shape), cls.packable, source)


def list_stock() -> list[str]:
    """Return the names of the installed PEFT's own methods that can be tried."""
    from ...workers import peft_bridge

    return [f"{peft_bridge.PREFIX}{kind.lower()}" for kind in peft_bridge.usable()]


def list_rules() -> list[RuleListing]:
    """Return the training rules."""
    from ...workers.catalogue import rules

    return [RuleListing(name, cls.formula, cls.citation, cls.axes()) for name, cls in rules().items()]


def list_spaces() -> list[Listing]:
    """Return the shipped spaces; what each is for stands in its file's first line."""
    from ...spaces.schema import shipped_spaces

    return [
        Listing(name, path.read_text(encoding="utf8").splitlines()[0].lstrip("# "), str(path)) for name, path in shipped_spaces().items()
    ]


def list_tasks() -> list[Listing]:
    """Return the built-in tasks, those of the papers, and the two ways to bring one's own."""
    from ...workers.tasks import BUILT_IN
    from ...workers.tasks.published import definitions

    built_in = [Listing(name, _about(sys.modules[load.__module__])) for name, load in BUILT_IN.items()]
    own = Listing("PATH", "A JSONL, CSV or Parquet file, or a folder with train and validation (and test) files of that kind.")
    hub = Listing(
        "OWNER/NAME", "A hub data set; OWNER/NAME:CONFIG takes one of its configurations. --set task.text_a=... names its columns."
    )
    papers = [Listing(name, f"{one.title} of the papers, by {one.metric}: {one.hub} on the hub.") for name, one in definitions().items()]
    return [*built_in, *papers, own, hub]


def schema_for_editors() -> dict[str, Any]:
    """Return the JSON Schema of space files."""
    from ...spaces.schema import json_schema
    from ...workers.catalogue import catalogue

    return json_schema({name: cls.axes() for name, cls in catalogue().items()})


def read_task(text: str) -> TaskSpec:
    """Return the task that `--task` names: a built-in, a file or folder, or a hub data set."""
    from ...spaces.document import TaskSection
    from ...spaces.located_yaml import Invalid
    from ...spaces.specs import task_spec

    try:
        return task_spec(TaskSection(name=text), (Path.cwd(),))
    except Invalid as error:
        raise WrongInput(f"--task {text}: {error}") from error


def _about(module: ModuleType) -> str:
    """The first line of a module's docstring, without the name that it starts with."""
    return (module.__doc__ or "").partition("\n")[0].partition(": ")[2]


def shape_at(model: str | None) -> Shape | None:
    """Return the shape of a model, or of the embedded default where that is there; `WrongInput` where one was named that cannot be used."""
    from ...workers.model.backbone import shape_of

    try:
        return shape_of(ModelSpec(model or ModelSpec.name))
    except WrongInput:
        if model is not None:
            raise
        return None  # the embedded default is an extra; the catalogue can be read without it


def _floor(name: str, axes: Mapping[str, Axis], shape: Shape | None) -> int | None:
    from ...workers.catalogue import count
    from ..brain.counts import ParameterCounts

    return ParameterCounts(axes, count=lambda values: count(name, values, shape)).smallest()[1] if shape else None


def _exports(name: str, cls: "type[Method]", shape: Shape | None) -> tuple[str, ...]:
    """The formats of its default configuration at the model, for texts that are no pairs; of a method that does not fit, of any model."""
    from ...workers.exports import Reading, forms_of

    try:
        return cls.exports if shape is None else forms_of(name, cls.defaults(), shape, Reading()).exact
    except WrongInput:
        return cls.exports


def _axes_to_json(axes: Mapping[str, Axis]) -> dict[str, Any]:
    from ...spaces.space_json import axis_to_json

    return {name: axis_to_json(axis) for name, axis in axes.items()}
