"""What is wrong with a value, in one line: what was wanted, what was given, the nearest right answer."""

import json
from collections.abc import Collection, Iterable, Mapping
from typing import ClassVar, TypeVar

from pydantic import BaseModel, ConfigDict, TypeAdapter, ValidationError
from pydantic_core import ErrorDetails

from .errors import did_you_mean
from .located_yaml import Invalid, KeyPath

T = TypeVar("T")

_WANTED: Mapping[str, str] = {
    "int_type": "a whole number",
    "int_from_float": "a whole number",
    "float_type": "a number",
    "finite_number": "a finite number",
    "bool_type": "true or false",
    "string_type": "text",
    "string_too_short": "some text",
    "string_pattern_mismatch": "a text with {{mask}} in it, once and no other braces",
    "list_type": "a list",
    "dict_type": "a mapping of keys to values",
    "greater_than": "a number above {gt:g}",
    "greater_than_equal": "{ge:g} or more",
    "less_than_equal": "{le:g} or less",
    "literal_error": "{expected}",
    "too_short": "{min_length} or more entries",
    "too_long": "{max_length} entries at most",
}


class Section(BaseModel):
    """A mapping whose keys are all known and whose values are taken as they are: no text for numbers, no `true` for 1."""

    model_config = ConfigDict(extra="forbid", strict=True, frozen=True, allow_inf_nan=False)

    title: ClassVar[str]
    """What an error calls it; the key it stands under, unless it is the outermost."""
    wanted: ClassVar[str] = "a mapping of keys to values"
    """What an error asks for where something else stands."""

    @classmethod
    def keys(cls) -> tuple[str, ...]:
        """The keys it has in YAML."""
        return tuple(field.alias or name for name, field in cls.model_fields.items())

    @classmethod
    def example(cls, key: str) -> str:
        """What could stand under a key that must be there."""
        field = next(field for name, field in cls.model_fields.items() if key in (name, field.alias))
        return f"{field.examples[0]}" if field.examples else "..."


def check(adapter: TypeAdapter[T], value: object, *, sections: Collection[type[Section]] = (), tags: Collection[str] = ()) -> T:
    """Return `value` as a `T`; raise `Invalid` for the first thing in it that is wrong, unknown keys before all.

    `sections` are the mappings that may occur in it; `tags` the names of a union's alternatives, which pydantic puts into its locations.
    """
    try:
        return adapter.validate_python(value)
    except ValidationError as error:
        details = min(error.errors(include_url=False), key=lambda found: found["type"] != "extra_forbidden")
        at = tuple(key for key in details["loc"] if key not in tags)
        raise Invalid(_message(details, at, {section.title: section for section in sections}), at) from error


def show(value: object) -> str:
    """A value as it would stand in YAML, on one line and never long."""
    text = f"{value}" if isinstance(value, float) else "nothing" if value is None else json.dumps(value, default=str, ensure_ascii=False)
    return text if len(text) <= 60 else f"{text[:57]}..."


def unknown(noun: str, owner: str, given: str, known: Iterable[str]) -> str:
    """The text for a name that nothing knows: those that exist, and the nearest of them."""
    options = list(known)
    return f"unknown {noun}; {owner} has {', '.join(options)}.{did_you_mean(given, options)}"


def _message(details: ErrorDetails, at: KeyPath, sections: Mapping[str, type[Section]]) -> str:
    kind, value = details["type"], details["input"]
    if kind == "extra_forbidden":
        section = _section(at[:-1], sections)
        return unknown("key", section.title, str(at[-1]), section.keys())
    if kind == "missing":
        section = _section(at[:-1], sections)
        return f"missing; {section.title} needs it, such as {at[-1]}: {section.example(str(at[-1]))}"
    if value is None:
        return "empty; give it a value, or delete the key"
    if kind in ("model_type", "model_attributes_type"):
        return f"wanted {_section(at, sections).wanted}, got {show(value)}"
    return f"wanted {_wanted(details)}, got {show(value)}{_way_out(kind, value, details)}"


def _section(at: KeyPath, sections: Mapping[str, type[Section]]) -> type[Section]:
    """A section is titled by its key; the outermost has the first title."""
    return sections.get(str(at[-1]) if at else "", next(iter(sections.values())))


def _wanted(details: ErrorDetails) -> str:
    template = _WANTED.get(details["type"])
    return template.format(**details.get("ctx", {})) if template else details["msg"].split("\n")[0]


def _way_out(kind: str, value: object, details: ErrorDetails) -> str:
    if kind == "string_type" and not isinstance(value, list | dict):
        return f'; put it in quotes: "{show(value)}"'
    if kind.startswith("int") and isinstance(value, float) and value.is_integer():
        return f"; write {int(value)}"
    if kind == "literal_error":
        options = details["ctx"]["expected"].replace(" or ", ", ").replace("'", "").split(", ")
        return f".{did_you_mean(str(value), options)}"
    return ""
