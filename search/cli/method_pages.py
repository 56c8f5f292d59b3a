"""`docs/methods.md`: what every method and rule computes, counts, starts from and where it differs from its paper, read off the code."""

import sys
from collections.abc import Iterator
from inspect import cleandoc

from ...spaces.axes import Axis, Choice, Float, Int
from ...workers.catalogue import catalogue, rules
from ...workers.method import Method
from ...workers.optimizer import Optimizer

HEAD = """\
# Methods and training rules

Written by `ulpt-search methods --markdown` from the classes themselves; a test compares this page with what they say now.

Learning rates have no units here (`docs/decisions/0009-rates-without-units.md`): a step moves a tensor by about the rate times its own
unit. A published rate is in the paper's own scale, and is the same number only where the unit is 1. Every method trains with AdamW (or
the rule that is joined to it), without dropout, at the study's schedule, weight decay, β and ε.

Axes of rates are wide enough for small models and large. For decoders of 1 to 8 billion parameters LoRA and its relatives (`lora`,
`melora`, `loretta_rep`) are published at 1e-4 to 5e-4, the low end of their axes, whose defaults suit small encoders and few
steps: there give `lr: {float: [5e-5, 1e-3], log: true}`, with rank 8 to 64 and `alpha` of one to two ranks. Nothing of that size was
trained here.
"""


def markdown() -> str:
    """Return the page."""
    methods = (line for name, cls in catalogue().items() for line in _section(name, cls, cls.build.__doc__))
    own = (line for name, rule in rules().items() for line in _section(name, rule, None))
    return "\n".join([HEAD, "## Methods", "", *methods, "## Training rules", "", *own]).rstrip() + "\n"


def _section(name: str, cls: type[Method] | type[Optimizer], start: str | None) -> Iterator[str]:
    title, equation = _read(sys.modules[cls.__module__].__doc__ or "")
    yield from (f"### `{name}`: {title}", "", *equation, "")
    yield f"- Count: {cls.formula}"
    if start:
        yield f"- Start: {cleandoc(start).partition(chr(10))[0]}"
    yield f"- Axes: {', '.join(f'`{key}` {_axis(axis)}' for key, axis in cls.axes().items()) or 'none'}"
    yield f"- Published rates: {cls.published}"
    yield f"- Deviations: {cls.deviations}"
    yield f"- Source: {cls.citation}"
    yield ""


def _read(docstring: str) -> tuple[str, list[str]]:
    """A module's first line without its last full stop, and the indented lines of its equations as code."""
    title, _, rest = docstring.partition("\n")
    lines = rest.splitlines()
    indented = [number for number, line in enumerate(lines) if line.startswith("    ")]
    block = lines[indented[0] : indented[-1] + 1] if indented else []
    return title.partition(": ")[2].rstrip(".") or title, [line for line in block if line.startswith("    ") or not line]


def _axis(axis: Axis) -> str:
    match axis:
        case Choice(options=("",), also=None):
            return "any text"
        case Choice(options=options):
            return " ∣ ".join(str(option).lower() if isinstance(option, bool) else str(option) for option in options)
        case Int(low=low, high=high) | Float(low=low, high=high):
            return f"{low:g} … {high:g}"
