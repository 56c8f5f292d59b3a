"""The catalogue of methods, derived from the files in `methods/`, and what can be said of a configuration on paper."""

import importlib
import pkgutil
from functools import cache

from ..spaces.axes import Axis, Hyperparameters, Value
from ..spaces.errors import WrongInput, did_you_mean
from ..spaces.shape import Shape
from . import methods
from .method import Method, method_name


@cache
def catalogue() -> dict[str, type[Method]]:
    """Method name (its file's) -> class, in alphabetical order."""
    return {name: _class_in(name) for name in sorted(info.name for info in pkgutil.iter_modules(methods.__path__))}


def method(name: str) -> type[Method]:
    """Return one method's class; `WrongInput` names the nearest where there is none."""
    known = catalogue()
    if name not in known:
        raise WrongInput(f"methods.{name}: unknown method; there are {', '.join(known)}.{did_you_mean(name, known)}")
    return known[name]


def axes_of(name: str) -> dict[str, Axis]:
    """Hyperparameter -> default axis of a method, or of a composition `a+b` with its part in front: `a.rank`."""
    parts = name.split("+")
    if len(parts) == 1:
        return method(name).axes()
    if len(set(parts)) != len(parts):
        raise WrongInput(f"methods.{name}: a composition names every method once")
    return {f"{part}.{key}": axis for part in parts for key, axis in method(part).axes().items()}


def parts(name: str, hyperparameters: Hyperparameters) -> tuple[Method, ...]:
    """Return the methods of a configuration with their hyperparameters filled in; those left out take their defaults."""
    names = name.split("+")
    if len(names) == 1:
        return (method(name).create(hyperparameters),)
    return tuple(method(part).create(_own(part, hyperparameters)) for part in names)


def count(name: str, hyperparameters: Hyperparameters, shape: Shape) -> int:
    """Trainable elements of a configuration on a model of this shape; `WrongInput` where it does not fit."""
    return sum(part.parameters(shape) for part in parts(name, hyperparameters))


def _own(part: str, hyperparameters: Hyperparameters) -> dict[str, Value]:
    start = f"{part}."
    return {key.removeprefix(start): value for key, value in hyperparameters.items() if key.startswith(start)}


def _class_in(name: str) -> type[Method]:
    module = importlib.import_module(f".{name}", methods.__name__)
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, Method) and value.__module__ == module.__name__ and method_name(value) == name
    )
