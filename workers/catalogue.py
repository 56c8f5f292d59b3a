"""The catalogue of methods and training rules, derived from their files, and what can be said of a configuration on paper.

A configuration's name is a method's, or several joined by `+`: methods stack, and at most one part is a training rule
(`ulpt+bitfit`, `lora+subzero`). Without a rule it is trained by AdamW. `peft:NAME` stands for a method of PEFT (`peft_bridge/`).
"""

import importlib
import pkgutil
from collections.abc import Sequence
from functools import cache
from types import ModuleType
from typing import TYPE_CHECKING, TypeVar

from ..spaces import plugins
from ..spaces.axes import Axis, Hyperparameters, Value
from ..spaces.errors import WrongInput, did_you_mean
from ..spaces.records import Trial
from ..spaces.shape import Shape
from ..spaces.space import Space
from . import methods
from . import optimizers as updates
from . import peft_bridge as bridge
from .configurable import file_name
from .method import KeysValues, Method, Pooled, SoftPrompt
from .optimizer import Optimizer

if TYPE_CHECKING:
    from ..spaces.schema import Catalogue

Kind = TypeVar("Kind")


@cache
def catalogue() -> dict[str, type[Method]]:
    """Method name (its file's) -> class, in alphabetical order."""
    return {name: _class_in(methods, name, Method) for name in _files(methods)}  # type: ignore[type-abstract]


@cache
def rules() -> dict[str, type[Optimizer]]:
    """Training rule's name (its file's) -> class, in alphabetical order."""
    return {name: _class_in(updates, name, Optimizer) for name in _files(updates)}  # type: ignore[type-abstract]


def method(name: str) -> type[Method]:
    """Return one method's class; `WrongInput` names the nearest where there is none."""
    known = catalogue()
    if name in rules():
        raise WrongInput(f"methods.{name}: a training rule, not a method; join it to one, such as lora+{name}")
    if bridge.is_peft(name):
        return bridge.tuner(name)
    if name not in known and (brought := plugins.load(plugins.METHODS, name)) is not None:
        return _brought(name, brought)
    if name not in known:
        raise WrongInput(
            f"methods.{name}: unknown method; there are {', '.join(known)}.{did_you_mean(name, [*known, *plugins.names(plugins.METHODS)])}"
        )
    return known[name]


def _brought(name: str, part: object) -> type[Method]:
    """A method of another distribution, by its entry point's name."""
    if not (isinstance(part, type) and issubclass(part, Method)):
        whose = plugins.sources(plugins.METHODS)[name]
        raise WrongInput(f"methods.{name}: {whose} brings {part!r}, wanted a class under an effect of ulpt_search.workers.method")
    return part


def axes_of(name: str) -> dict[str, Axis]:
    """Hyperparameter -> default axis of a method, or of a composition `a+b` with its part in front: `a.rank`."""
    joined = _joined(name)
    if len(joined) == 1:
        return method(name).axes()
    return {f"{part}.{key}": axis for part in joined for key, axis in (rules().get(part) or method(part)).axes().items()}


def defaults_of(name: str) -> dict[str, Value]:
    """Hyperparameter -> default value of a method or a composition, named as in `axes_of`; those that have none are left out."""
    joined = _joined(name)
    if len(joined) == 1:
        return method(name).defaults()
    return {f"{part}.{key}": value for part in joined for key, value in (rules().get(part) or method(part)).defaults().items()}


def load_space(source: str, *, catalogue: "Catalogue" = axes_of, overrides: Sequence[str] = ()) -> Space:
    """Return the space at `source`, a path or a shipped name such as `smoke`, its methods' axes filled in from this catalogue.

    `overrides` are dotted `key=value` texts laid over the file. Raises `WrongInput`, one line, for whatever cannot be used.
    """
    from ..spaces.schema import load_space as read_space  # YAML, which who trains or exports does without

    return read_space(source, catalogue=catalogue, overrides=overrides)


def parts(name: str, hyperparameters: Hyperparameters) -> tuple[Method, ...]:
    """Return the methods of a configuration with their hyperparameters filled in; those left out take their defaults."""
    joined = _joined(name)
    if len(joined) == 1:
        return (method(name).create(hyperparameters),)
    made = tuple(method(part).create(_own(part, hyperparameters)) for part in joined if part not in rules())
    if sum(isinstance(part, Pooled) for part in made) > 1:
        raise WrongInput(f"methods.{name}: a trial's labels are read once; keep one of its heads")
    return made


def has_prefix(name: str) -> bool:
    """Whether a method, or a part of a composition, puts keys and values in front, beside which positions are said."""
    return any(issubclass(method(part), KeysValues) for part in _joined(name) if part not in rules())


def is_head(name: str) -> bool:
    """Whether a configuration of this name trains a head and nothing else: on kept states of the frozen model."""
    return all(issubclass(method(part), Pooled) for part in _joined(name) if part not in rules())


def rule(name: str, hyperparameters: Hyperparameters) -> Optimizer:
    """Return the training rule of a configuration with its hyperparameters filled in; AdamW where it names none."""
    chosen = next((part for part in _joined(name) if part in rules()), "adamw")
    return rules()[chosen].create(_own(chosen, hyperparameters))


def count(name: str, hyperparameters: Hyperparameters, shape: Shape, *, text: int = 1) -> int:
    """Trainable elements of a configuration on a model of this shape; `WrongInput` where it does not fit, also beside `text` tokens."""
    chosen = parts(name, hyperparameters)
    if shape.answers.needs_head and not any(isinstance(part, Pooled) for part in chosen):
        raise WrongInput(f"{name}: {shape.answers.needs_head}; use head or {name}+head")
    _require_room(name, sum(part.length for part in chosen if isinstance(part, SoftPrompt | KeysValues)), shape, text=text)
    return rule(name, hyperparameters).trainable(sum(part.parameters(shape) for part in chosen))


def count_to_begin(name: str, hyperparameters: Hyperparameters, shape: Shape, *, text: int = 1) -> int:
    """Return the `count` of a configuration that is yet to be tried; `WrongInput` also where one of its values has no effect here."""
    for part in parts(name, hyperparameters):
        part.require_effect(shape)
    return count(name, hyperparameters, shape, text=text)


def require_same_count(what: str, trial: Trial, today: int) -> None:
    """Raise `WrongInput` where a trial was begun when its hyperparameters meant another number of elements than `today`'s."""
    if trial.parameters != today:
        raise WrongInput(
            f"{what}: trial {trial.number} ({trial.method}) was begun as {trial.parameters:,} parameters, would be {today:,} today: what "
            "its hyperparameters mean on this model has changed since, as of q, k, v of a fused projection; start another --study"
        )


def _require_room(name: str, front: int, shape: Shape, *, text: int) -> None:
    """What stands in front of a text has positions, too."""
    if not front or shape.positions is None or front + min(text, shape.positions) <= shape.positions:
        return
    left = shape.positions - front
    way_out = f"set task.max_tokens to {left} or less" if left > 0 else f"choose fewer than {shape.positions}"
    raise WrongInput(f"{name}: {front} virtual tokens and texts of {text} do not fit the model's {shape.positions} positions; {way_out}")


@cache
def _joined(name: str) -> tuple[str, ...]:
    joined = tuple(name.split("+"))
    own = [part for part in joined if part in rules()]
    if len(set(joined)) != len(joined):
        raise WrongInput(f"methods.{name}: a composition names every method once")
    if len(own) > 1:
        raise WrongInput(f"methods.{name}: a trial has one training rule; choose {' or '.join(own)}")
    if any(bridge.is_peft(part) for part in joined) and len(joined) > 1 + len(own):
        raise WrongInput(f"methods.{name}: PEFT's tuners wrap the modules that other methods look for; use them alone")
    if len(own) == len(joined):
        method(name)
    return joined


def _own(part: str, hyperparameters: Hyperparameters) -> dict[str, Value]:
    start = f"{part}."
    return {key.removeprefix(start): value for key, value in hyperparameters.items() if key.startswith(start)}


def _files(package: ModuleType) -> list[str]:
    return sorted(info.name for info in pkgutil.iter_modules(package.__path__) if not info.ispkg)


def _class_in(package: ModuleType, name: str, kind: type[Kind]) -> type[Kind]:
    module = importlib.import_module(f".{name}", package.__name__)
    return next(
        value
        for value in vars(module).values()
        if isinstance(value, type) and issubclass(value, kind) and value.__module__ == module.__name__ and file_name(value) == name
    )
