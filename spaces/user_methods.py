"""The `methods` of a space file: every hyperparameter of every method, from the file or the method's own axes.

A composition such as `ulpt+bitfit` has hyperparameters with their part's name, written flat (`ulpt.dim: 4`) or nested
(`ulpt: {dim: 4}`).
"""

from collections.abc import Callable, Mapping
from typing import Any

from .axes import Axis, Choice, Value
from .errors import WrongInput
from .located_yaml import Document, Invalid, KeyPath
from .user_axes import read_axis
from .validation_errors import show, unknown

Catalogue = Callable[[str], Mapping[str, Axis]]
"""Method -> hyperparameter -> its own axis; raises `WrongInput` for an unknown method."""


def read_methods(document: Document, catalogue: Catalogue) -> dict[str, dict[str, Axis | Value]]:
    """Return method -> hyperparameter -> axis or fixed value, complete and in the methods' own order."""
    return {method: _read_method(document, method, _own_axes(document, method, catalogue)) for method in document.values["methods"]}


def nested(document: Document) -> Document:
    """Return `document` with every flat `ulpt.dim` under a composition written as `ulpt: {dim: ...}`."""
    methods = document.values.get("methods") if isinstance(document.values, dict) else None
    if not isinstance(methods, dict):
        return document
    values = {method: _nest(document, method, given) if _composed(method, given) else given for method, given in methods.items()}
    places = {_split(path): place for path, place in document.places.items()}
    return Document({**document.values, "methods": values}, places)


def _composed(method: str, given: object) -> bool:
    return "+" in method and isinstance(given, dict)


def _nest(document: Document, method: str, given: Mapping[str, Any]) -> dict[str, Any]:
    values: dict[str, Any] = {part: dict(value) if isinstance(value, dict) else value for part, value in given.items() if "." not in part}
    for key in (key for key in given if "." in key):
        part, _, name = key.partition(".")
        inner = values.get(part) or {}
        if not isinstance(inner, dict) or name in inner:
            raise document.wrong(("methods", method, key), f"given twice, here and under {part}; keep one")
        values[part] = {**inner, name: given[key]}
    return values


def _split(path: KeyPath) -> KeyPath:
    if len(path) > 2 and path[0] == "methods" and "+" in str(path[1]):
        return (*path[:2], *str(path[2]).split(".", 1), *path[3:])
    return path


def _own_axes(document: Document, method: str, catalogue: Catalogue) -> Mapping[str, Axis]:
    try:
        return catalogue(method)
    except WrongInput as error:
        text = str(error)
        for name in (method, *method.split("+")):
            text = text.removeprefix(f"methods.{name}: ")
        raise document.wrong(("methods", method), text) from error


def _read_method(document: Document, method: str, own: Mapping[str, Axis]) -> dict[str, Axis | Value]:
    given = _given(document, method)
    for name, path in given.items():
        if name not in own:
            hint = unknown("hyperparameter", method, name, own)
            raise document.wrong(path, hint)
    kept = {name: axis for name, axis in own.items() if name in given or not (isinstance(axis, Choice) and axis.quiet)}
    return {name: _read(document, given[name], name, axis) if name in given else axis for name, axis in kept.items()}


def _read(document: Document, path: KeyPath, name: str, own: Axis) -> Axis | Value:
    value: Any = document.values
    for key in path:
        value = value[key]
    with document.blame(path):
        return read_axis(name.rpartition(".")[2], value, own)


def _given(document: Document, method: str) -> dict[str, KeyPath]:
    """Hyperparameter -> where the file gives it."""
    at: KeyPath = ("methods", method)
    values = document.values["methods"][method] or {}
    if "+" not in method:
        return {name: (*at, name) for name in values}
    with document.blame(at):
        return {name: (*at, *name.split(".", 1)) for part in values for name in _names(method, part, values[part])}


def _names(method: str, part: str, given: object) -> list[str]:
    if part not in method.split("+") or given is None:
        return [] if given is None else [part]
    if not isinstance(given, dict):
        raise Invalid(f"wanted a mapping of {part}'s hyperparameters, got {show(given)}", (part,))
    return [f"{part}.{name}" for name in given]
