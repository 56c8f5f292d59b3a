"""A user's axes, read against the method's own: same kind of value, on the same side of zero, otherwise free."""

import re
from collections.abc import Callable, Mapping
from typing import Annotated, Any, Literal

from pydantic import AllowInfNan, Field, Strict, TypeAdapter

from .axes import Axis, Choice, Float, Int, Value
from .errors import did_you_mean
from .located_yaml import Invalid, KeyPath
from .validation_errors import Section, check, show, unknown

Kind = Literal["int", "float", "bool", "text", "mixed"]

SELECTORS: Mapping[str, tuple[re.Pattern[str], str]] = {
    "layers": (re.compile(r"all|(first|last):[0-9]+%?|[0-9]+( *, *[0-9]+)*"), "all, first:2, last:2, last:50% or numbers such as 0,3"),
    "modules": (re.compile(r"[a-z_]+( *, *[a-z_]+)*"), "all or roles such as q,v"),
}
"""Hyperparameters that name places in the model: any text that `Shape.select` could understand will do, and a list is a comma list."""


_SPOKEN = {"yes": True, "on": True, "no": False, "off": False}
_NOUNS: Mapping[Kind, str] = {"int": "whole numbers", "float": "numbers", "bool": "true or false", "text": "text"}
_VALUES: Mapping[Kind, TypeAdapter[Any]] = {
    "int": TypeAdapter(Annotated[int, Strict()]),
    "float": TypeAdapter(Annotated[float, Strict(), AllowInfNan(False)]),
    "bool": TypeAdapter(Annotated[bool, Strict()]),
    "text": TypeAdapter(Annotated[str, Strict(), Field(min_length=1)]),
}


class IntAxis(Section):
    """`{int: [2, 256], log: true}`: whole numbers, both ends included."""

    title = "an int axis"
    ends: Annotated[list[int], Field(alias="int", min_length=2, max_length=2)]
    log: bool = False


class FloatAxis(Section):
    """`{float: [1e-4, 1e-1], log: true}`: real numbers."""

    title = "a float axis"
    ends: Annotated[list[float], Field(alias="float", min_length=2, max_length=2)]
    log: bool = False


class ChoiceAxis(Section):
    """`{choice: [1, 2, 4]}`: one of some values."""

    title = "a choice"
    options: Annotated[list[Any], Field(alias="choice", min_length=1)]


def kind_of(axis: Axis) -> Kind:
    """The kind of value on an axis; a choice of unlike values is `mixed`."""
    if isinstance(axis, Int | Float):
        return "int" if isinstance(axis, Int) else "float"
    kinds = {_kind_of_value(option) for option in offered(axis)}
    if kinds == {"int", "float"}:
        return "float"
    return kinds.pop() if len(kinds) == 1 else "mixed"


def read_axis(name: str, given: object, own: Axis) -> Axis | Value:
    """Return what a space gives for hyperparameter `name` of a method whose own axis is `own`: an axis or a fixed value.

    None takes `own`. Raises `Invalid` where it is of another kind than `own`, empty, or beyond zero where the method never goes.
    """
    if given is None:
        return own
    if isinstance(given, dict):
        return _READERS[_form(given)](name, given, own)
    return _value(name, given, own)


def enumerated(name: str, own: Axis) -> bool:
    """Whether only the method's own options will do: numbers may be others, texts and mixtures may not."""
    kind = kind_of(own)
    return kind == "mixed" or (kind == "text" and name not in SELECTORS and not (isinstance(own, Choice) and own.also is None))


def offered(own: Axis) -> tuple[Value, ...]:
    """The ends of a range; the options of a choice with what it may be beside them."""
    return (*own.corners(), *((own.also or ()) if isinstance(own, Choice) else ()))


def _kind_of_value(value: Value) -> Kind:
    if isinstance(value, bool):
        return "bool"
    return "int" if isinstance(value, int) else "float" if isinstance(value, float) else "text"


def _form(given: Mapping[str, Any]) -> str:
    forms = [form for form in _READERS if form in given]
    if len(forms) > 1:
        raise Invalid(f"both {forms[0]} and {forms[1]}; keep one of them")
    if not forms and set(given) - {"log"}:
        strange = next(key for key in given if key != "log")
        raise Invalid(unknown("kind of axis", "an axis", strange, _READERS), (strange,))
    if not forms:
        raise Invalid("an axis needs its values; write {int: [1, 8]}, {float: [1e-4, 1e-1], log: true} or {choice: [a, b]}")
    return forms[0]


def _int(name: str, given: object, own: Axis) -> Axis:
    axis = check(TypeAdapter(IntAxis), given, sections=[IntAxis])
    if kind_of(own) not in ("int", "float"):
        raise Invalid(f"{name} takes {_offer(own)}", ("int",))
    return _range(Int, axis.ends, axis.log, own, "int")


def _float(name: str, given: object, own: Axis) -> Axis:
    axis = check(TypeAdapter(FloatAxis), given, sections=[FloatAxis])
    if kind_of(own) != "float":
        raise Invalid(f"{name} takes {_offer(own)}", ("float",))
    return _range(Float, axis.ends, axis.log, own, "float")


def _range(make: Callable[..., Axis], ends: list[Any], log: bool, own: Axis, form: str) -> Axis:
    for number, end in enumerate(ends):
        _same_side(end, own, (form, number))
    try:
        return make(ends[0], ends[1], log=log)
    except ValueError as error:
        raise Invalid(str(error), (form,)) from error


def _choice(name: str, given: object, own: Axis) -> Axis:
    options: list[Value] = []
    for number, option in enumerate(check(TypeAdapter(ChoiceAxis), given, sections=[ChoiceAxis]).options):
        value = _value(name, option, own, ("choice", number))
        if options and Choice(tuple(options)).contains(value):
            raise Invalid(f"{show(value)} is listed twice; keep one", ("choice", number))
        options.append(value)
    return Choice(tuple(options))


_READERS: Mapping[str, Callable[[str, object, Axis], Axis]] = {"int": _int, "float": _float, "choice": _choice}


def _value(name: str, given: object, own: Axis, at: KeyPath = ()) -> Value:
    """A fixed value, or one option of a choice."""
    kind = kind_of(own)
    said = _said(name, given, kind)
    if isinstance(said, list | dict) and said:
        raise Invalid(f"wanted one value, got {show(said)}; {name} takes {_offer(own)}", at)
    if enumerated(name, own):
        return _option(said, own, at)
    try:
        value: Value = check(_VALUES[kind], said)
    except Invalid as invalid:
        raise Invalid(str(invalid), at) from invalid
    _same_side(value, own, at)
    if name in SELECTORS and not SELECTORS[name][0].fullmatch(str(value)):
        raise Invalid(f"wanted {SELECTORS[name][1]}, got {show(value)}", at)
    return value


def _said(name: str, given: object, kind: Kind) -> object:
    """Undo what YAML makes of a text or a boolean: `layers: 0`, `modules: [q, v]`, `shift: no`."""
    if kind == "bool" and isinstance(given, str):
        return _SPOKEN.get(given.lower(), given)
    if kind != "text" or name not in SELECTORS:
        return given
    if isinstance(given, list) and given and all(isinstance(item, int | str) for item in given):
        return ",".join(map(str, given))
    return str(given) if isinstance(given, int) and not isinstance(given, bool) else given


def _option(given: object, own: Axis, at: KeyPath) -> Value:
    options = offered(own)
    for option in options:
        if isinstance(given, int | float | str) and Choice((option,)).contains(given):
            return option
    hint = did_you_mean(str(given), map(str, options))
    raise Invalid(f"wanted one of {', '.join(map(show, options))}, got {show(given)}.{hint}", at)


def _same_side(value: Value, own: Axis, at: KeyPath) -> None:
    """A method whose own axis is all above zero (a rank, a learning rate) means nothing at or below it."""
    if isinstance(value, str) or kind_of(own) not in ("int", "float"):
        return
    lowest = min(float(end) for end in own.corners())
    if value <= 0 < lowest or value < 0 <= lowest:
        raise Invalid(f"wanted {'a number above 0' if lowest > 0 else '0 or more'}, got {show(value)}", at)


def _offer(own: Axis) -> str:
    kind = kind_of(own)
    if kind == "int":
        return "whole numbers: 4, {int: [1, 8]} or {choice: [1, 2, 4]}"
    if kind == "float":
        return "numbers: 0.1, {float: [0.01, 1], log: true} or {choice: [0.1, 1]}"
    options = ", ".join(str(option).lower() if isinstance(option, bool) else str(option) for option in offered(own))
    return f"{_NOUNS.get(kind, 'its own options')}: {{choice: [{options}]}}"
