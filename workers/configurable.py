"""Frozen dataclasses whose fields are hyperparameters with axes of their own: what methods and training rules have in common."""

from dataclasses import MISSING, dataclass, fields
from typing import Self

from ..spaces.axes import Axis, Choice, Hyperparameters, Int, Value
from ..spaces.errors import WrongInput, did_you_mean
from ..spaces.shape import Shape


@dataclass(frozen=True)
class Configurable:
    """A class with hyperparameters; its name is its file's."""

    @classmethod
    def axes(cls) -> dict[str, Axis]:
        """Hyperparameter -> the axis it is searched on by default."""
        return {f.name: f.metadata["axis"] for f in fields(cls) if "axis" in f.metadata}

    @classmethod
    def defaults(cls) -> dict[str, Value]:
        """Hyperparameter -> its default value."""
        return {f.name: f.default for f in fields(cls) if "axis" in f.metadata and f.default is not MISSING}

    @classmethod
    def create(cls, hyperparameters: Hyperparameters) -> Self:
        """Return one with these values; `WrongInput` names an unknown one and the nearest that exists, or one of another type."""
        known = cls.axes()
        for name in hyperparameters:
            if name not in known:
                hint = did_you_mean(name, known)
                raise WrongInput(f"{file_name(cls)}.{name}: unknown hyperparameter; it has {', '.join(known)}.{hint}")
        for name, value in hyperparameters.items():
            default = cls.defaults().get(name)
            kinds = _kinds(known[name], default)
            right = isinstance(value, tuple(kinds)) and (bool in kinds or not isinstance(value, bool))
            if not right and value is not default:
                wanted = " or ".join(sorted(kind.__name__ for kind in kinds))
                raise WrongInput(f"{file_name(cls)}.{name}: got {value!r}, of type {type(value).__name__}; wanted {wanted}")
        return cls(**hyperparameters)

    def require_effect(self, shape: Shape) -> None:
        """Raise `WrongInput` where a value has no effect on this model and task: asked of what is begun, never of what exists."""


def _kinds(axis: Axis, default: Value | None) -> set[type]:
    """The types that a hyperparameter's values have; whole numbers are real ones."""
    if isinstance(axis, Choice):
        kinds: set[type] = {type(option) for option in (*axis.options, *(axis.also or ()))}
    else:
        kinds = {int} if isinstance(axis, Int) else {float}
    kinds |= set() if default is None else {type(default)}
    return kinds | ({int} if float in kinds else set())


def file_name(cls: type) -> str:
    """The one name of a method or a training rule: that of its file."""
    return cls.__module__.rpartition(".")[2]
