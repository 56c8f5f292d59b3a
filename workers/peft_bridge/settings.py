"""A config class of PEFT read as hyperparameters: which of its fields a space may give, of what kind, and where they start.

A field is offered where its type is a number, a boolean, a text or one of some named values; what says where the adapter goes is
said by `layers` and `modules`, and what would train, drop or save something else is left alone (`LEFT`). The few that decide the count
are searched on the axes of `SIZES`; the others stay as PEFT has them unless a space gives them.
"""

import sys
import types
from collections.abc import Iterator, Mapping
from dataclasses import MISSING, Field, dataclass, fields
from enum import Enum
from functools import cache
from typing import Any, Literal, Union, get_args, get_origin, get_type_hints

from ...spaces.axes import Axis, Choice, Float, Int, Value

SIZES: Mapping[str, Axis] = {
    "r": Int(1, 16, log=True),
    "u": Int(1, 256, log=True),
    "n_frequency": Int(10, 2000, log=True),
    "theta_d_length": Int(16, 4096, log=True),
    "oft_block_size": Choice((4, 8, 16)),
    "block_size": Choice((8, 16, 4)),
    "group_size": Choice((4, 8, 16)),
    "num_vectors": Int(16, 256, log=True),
    "vector_length": Choice((4, 8, 16)),
    "mini_r": Choice((1, 2)),
    "num_subspaces": Int(1, 5),
    "sparsity": Float(0.5, 0.999),
}
"""Fields that decide a count -> the axis they are searched on, at sizes that fit under small budgets."""

LEFT = {
    *("target_modules", "exclude_modules", "modules_to_save", "layers_to_transform", "layers_pattern", "layer_replication"),
    *("bias", "fan_in_fan_out", "megatron_core", "feedforward_modules", "tokenizer_name_or_path", "progressbar", "ensure_weight_tying"),
    *("sample_at_inference", "generator_seed"),
    *("peft_type", "task_type", "inference_mode", "revision", "base_model_name_or_path", "peft_version"),
}
"""Fields that are ours to fill, or that reach beyond the adapter: `bias` trains frozen biases, sampling draws from no seed of ours."""
LEFT_PARTS = ("dropout", "save_", "runtime_", "trainable_token")
"""Parts of names alike: adapters are trained as they are scored, without dropout, and are saved whole."""

NEED_DATA = ("eva", "corda", "lora_ga", "loftq")
"""Starts that PEFT computes from a task's texts or quantised weights, in calls of their own: without them they are silently plain ones."""


@dataclass(frozen=True)
class Setting:
    """One field of a config."""

    name: str
    default: Value
    """PEFT's own; where that is None, 0 or `none` stands for it."""
    optional: bool
    axis: Axis

    def given(self, value: Value) -> bool:
        """Whether a value says something else than PEFT's default."""
        return value != self.default or isinstance(value, bool) is not isinstance(self.default, bool)


@cache
def settings(config: type) -> Mapping[str, Setting]:
    """Name -> setting of a config class, in the class's own order."""
    found = (_setting(field, config) for field in fields(config) if not _left(field.name))
    return {setting.name: setting for setting in found if setting is not None}


def _left(name: str) -> bool:
    return name in LEFT or any(part in name for part in LEFT_PARTS)


def _setting(field: "Field[Any]", config: type) -> Setting | None:
    members = list(_members(_annotation(field, config)))
    default = field.default.value if isinstance(field.default, Enum) else field.default
    if default is MISSING or not (default is None or isinstance(default, int | float | str)):
        return None
    named = tuple(member for member in members if isinstance(member, str) and "[" not in member and member not in NEED_DATA)
    order = (bool, float, int, str) if isinstance(default, bool) else (float, int, str, bool)
    plain = next((kind for kind in order if kind in members), None)
    if plain is None and not named:
        return None
    return _filled(field.name, default, named=named, switch=bool in members, plain=plain)


def _filled(name: str, default: Value | None, *, named: tuple[str, ...], switch: bool, plain: type | None) -> Setting:
    if named:
        start: Value = "none" if default is None else default
        others = (*((True, False) if switch else ()), *named)
        also = tuple(one for one in others if not Choice((start,)).contains(one))
        return Setting(name, start, default is None, Choice((start,), also=also, quiet=True))
    assert plain is not None
    empty: Value = "none" if plain is str else 0
    start = plain(empty if default is None else default)
    if name in SIZES and start:
        return Setting(name, start, default is None, SIZES[name])
    return Setting(name, start, default is None, Choice((start,), also=None if plain is str else (), quiet=True))


def _members(hint: Any) -> Iterator[Any]:
    """What an annotation may be: scalar types, and the named values of literals and enumerations."""
    origin = get_origin(hint)
    if origin in (Union, types.UnionType):
        for part in get_args(hint):
            yield from _members(part)
    elif origin is Literal:
        yield from (value for value in get_args(hint) if isinstance(value, str))
    elif isinstance(hint, type) and issubclass(hint, Enum):
        yield from (str(member.value) for member in hint)
    elif hint in (int, float, bool, str):
        yield hint


def _annotation(field: "Field[Any]", config: type) -> Any:
    """A field's type; None where it names something that its module imports for type checkers only."""
    if not isinstance(field.type, str):
        return field.type
    owner = next(cls for cls in config.__mro__ if field.name in vars(cls).get("__annotations__", {}))
    try:
        return get_type_hints(types.SimpleNamespace(__annotations__={"it": field.type}), vars(sys.modules[owner.__module__]))["it"]
    except NameError:
        return None
