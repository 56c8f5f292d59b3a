"""A space as plain JSON values and back, without loss: what the ledger keeps of it."""

from collections.abc import Mapping
from dataclasses import asdict, fields
from typing import Any

from .axes import Axis, Choice, Float, Int, Value
from .space import ModelSpec, Space, TaskSpec, Training


def space_to_json(space: Space) -> dict[str, Any]:
    """Return plain values for JSON, the axes written as in YAML."""
    return {
        "name": space.name,
        "model": asdict(space.model),
        "task": {**asdict(space.task), "labels": dict(space.task.labels)},
        "training": {**asdict(space.training), "rungs": list(space.training.rungs)},
        "methods": {method: {name: axis_to_json(axis) for name, axis in axes.items()} for method, axes in space.methods.items()},
        "trials": space.trials,
        "seeds": space.seeds,
        "finalists": space.finalists,
        "objectives": list(space.objectives),
    }


def space_from_json(values: Mapping[str, Any]) -> Space:
    """Return the space that `space_to_json` wrote; what the ledger keeps beside it is left aside."""
    own = {field.name for field in fields(Space)}
    return Space(
        **{
            **{name: value for name, value in values.items() if name in own},
            "model": ModelSpec(**values["model"]),
            "task": TaskSpec(**values["task"]),
            "training": Training(**{**values["training"], "rungs": tuple(values["training"]["rungs"])}),
            "methods": {method: {name: _from_json(axis) for name, axis in axes.items()} for method, axes in values["methods"].items()},
            "objectives": tuple(values["objectives"]),
        }
    )


def axis_to_json(axis: Axis | Value) -> object:
    """Return an axis as it is written in YAML, a fixed value as it is."""
    if isinstance(axis, Int | Float):
        return {"int" if isinstance(axis, Int) else "float": [axis.low, axis.high], "log": axis.log}
    return {"choice": list(axis.options)} if isinstance(axis, Choice) else axis


def _from_json(value: Value | Mapping[str, Any]) -> Axis | Value:
    if not isinstance(value, Mapping):
        return value
    if "choice" in value:
        return Choice(tuple(value["choice"]))
    make, ends = (Int, value["int"]) if "int" in value else (Float, value["float"])
    return make(ends[0], ends[1], log=value["log"])
