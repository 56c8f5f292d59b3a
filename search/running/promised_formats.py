"""What of a space can leave as which file, known before anything is trained."""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any

from ...spaces.axes import Hyperparameters
from ...spaces.shape import Shape
from ...spaces.space import Space
from ..brain.feasibility import Feasibility

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

    from ...workers.exports import Forms
    from ...workers.tasks import Task


@dataclass(frozen=True)
class Promise:
    """The formats of one method's configurations under the budget."""

    exact: tuple[str, ...]
    """Those that hold every one of them."""
    some: tuple[str, ...] = ()
    """Those that hold some."""
    why: str = ""
    """What this model or task takes away, and what to take instead; empty where it takes nothing."""

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {key: list(value) if isinstance(value, tuple) else value for key, value in asdict(self).items()}


def promises(
    space: Space, methods: Mapping[str, Feasibility], shape: Shape, task: "Task", *, tokenizer: "Callable[[], PreTrainedTokenizerBase]"
) -> dict[str, Promise]:
    """Return what is promised of every method that fits."""
    from ...workers.exports import forms_of, reading_of

    reading = reading_of(task, shape, max_tokens=space.task.max_tokens, tokenizer=tokenizer)
    fitting = {name: one for name, one in methods.items() if one.feasible}
    return {name: _promise([forms_of(name, values, shape, reading) for values in _samples(one)]) for name, one in fitting.items()}


def _samples(one: Feasibility) -> Iterator[Hyperparameters]:
    """The smallest configuration, and it with every end and option of each axis."""
    yield one.floor
    for name, axis in one.axes.items():
        yield from ({**one.floor, name: value} for value in axis.corners())


def _promise(found: "list[Forms]") -> Promise:
    exact = tuple(style for style in found[0].exact if all(style in forms.exact for forms in found))
    some = tuple(sorted({style for forms in found for style in forms.exact} - set(exact)))
    lost = next(((style, forms) for forms in found for style in sorted(forms.local)), None)
    if lost is None:
        return Promise(exact, some)
    style, forms = lost
    return Promise(exact, some, f"{'not always' if style in some else 'no'} {style} form: {forms.why_not(style)}")
