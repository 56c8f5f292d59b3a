"""A JSON Schema of space files, for editors that complete and check YAML as it is typed."""

from collections.abc import Mapping
from typing import Any

from .axes import Axis, Choice, Int
from .document import SpaceDocument
from .user_axes import SELECTORS, enumerated, kind_of, offered

_TYPES: Mapping[str, str] = {"int": "integer", "float": "number", "bool": "boolean", "text": "string"}


def json_schema(catalogue_axes: Mapping[str, Mapping[str, Axis]]) -> dict[str, Any]:
    """Return the schema for these methods (method -> hyperparameter -> its own axis) and their compositions."""
    schema = SpaceDocument.model_json_schema()
    properties = schema["properties"]
    for key in ("model", "task"):
        properties[key] = {"anyOf": [{"type": "string"}, properties[key], {"type": "null"}], "description": f"a name, or a {key}'s keys"}
    properties["methods"] = _methods(catalogue_axes)
    return {"$schema": "http://json-schema.org/draft-07/schema#", **schema, "title": "ulpt-search space"}


def _methods(axes: Mapping[str, Mapping[str, Axis]]) -> dict[str, Any]:
    names = "|".join(sorted(axes))
    composed = {"description": "several methods in one trial", "type": ["object", "null"]}
    stock = {"description": "a method of PEFT by its own config class", "type": ["object", "null"]}
    return {
        "type": "object",
        "minProperties": 1,
        "description": "method -> hyperparameters; an empty method takes its own axes",
        "properties": {method: _method(own) for method, own in axes.items()},
        "patternProperties": {rf"^({names})(\+({names}))+$": composed, r"^peft:[a-z0-9_]+(\+\w+)?$": stock},
        "additionalProperties": False,
    }


def _method(own: Mapping[str, Axis]) -> dict[str, Any]:
    properties = {name: _hyperparameter(name, axis) for name, axis in own.items()}
    return {"type": ["object", "null"], "properties": properties, "additionalProperties": False}


def _hyperparameter(name: str, own: Axis) -> dict[str, Any]:
    value = _value(name, own)
    axes = [_axis("choice", {"type": "array", "items": value, "minItems": 1, "uniqueItems": True}, log=False)]
    for form in {"int": ("int",), "float": ("int", "float")}.get(kind_of(own), ()):
        ends = {"type": "array", "items": {"type": _TYPES[form]}, "minItems": 2, "maxItems": 2}
        axes.append(_axis(form, ends, log=True))
    return {"anyOf": [value, {"type": "null"}, *axes], "description": f"by default {_describe(own)}"}


def _value(name: str, own: Axis) -> dict[str, Any]:
    if enumerated(name, own):
        return {"enum": list(offered(own))}
    if name in SELECTORS:
        return {"anyOf": [{"type": ["string", "integer"]}, {"type": "array", "items": {"type": ["string", "integer"]}}]}
    return {"type": _TYPES[kind_of(own)]}


def _axis(form: str, values: Mapping[str, Any], *, log: bool) -> dict[str, Any]:
    properties = {form: values, **({"log": {"type": "boolean"}} if log else {})}
    return {"type": "object", "properties": properties, "required": [form], "additionalProperties": False}


def _describe(own: Axis) -> str:
    if isinstance(own, Choice):
        return f"one of {', '.join(map(str, own.options))}"
    kind = "whole numbers" if isinstance(own, Int) else "numbers"
    return f"{kind} from {own.low:g} to {own.high:g}{', in the logarithm' if own.log else ''}"
