"""`python -m ulpt_search.benchmarks.peft_page > docs/peft.md`: every type of the installed PEFT, and what a space may say of it.

Read off PEFT's classes; that each type marked so works is shown by `tests/test_bridge.py`, type by type.
"""

from collections.abc import Iterator
from importlib.metadata import version

import click

from ulpt_search.spaces.axes import Axis, Choice
from ulpt_search.workers import peft_bridge
from ulpt_search.workers.catalogue import axes_of

BEGINNING = """# PEFT's own methods

`peft:NAME` in a space tries a method of the installed PEFT by its own config class. `lr`, `layers` and `modules` are ours; every
other axis is a field of that class, with its kind and its default, and a field that a space does not give stays as PEFT has it.
Sizes that decide the count are searched unless a space fixes them.

```yaml
methods:
  peft:hra: {r: {int: [1, 8]}}
  peft:lora: {r: 2, use_dora: true, init_lora_weights: {choice: [true, orthogonal]}}
```

Counted without memory before anything is launched, trained by PEFT's own modules in a pack of one, exported by PEFT's
`save_pretrained`. Without dropout and sampling: adapters are trained as they are scored. What would change the frozen weights
themselves (`init_lora_weights: pissa`) is refused, since all trials share them. A start that follows from the weights' values is
PEFT's own start on the real model; what is trained is the difference from it.

Not offered: fields that say where the adapter goes (`layers` and `modules` do), `bias` and `modules_to_save` (they train frozen
tensors whole), mappings per module, starts that need a task's texts in a call of their own (`eva`, `corda`, `loftq`).

What PEFT has and we have too (LoRA with rsLoRA, DoRA and LoRA+, VeRA, (IA)³, FourierFT, LN tuning, BEFT, TinyLoRA, Uni-LoRA, prompt,
prefix and P-tuning) trains here as there: same start, same batches, PyTorch's AdamW against ours, the same fifty losses and the same
adapter in float64 (`tests/test_referee.py`). PEFT computes FourierFT in float32 whatever the model's precision; there outputs agree.

PEFT VERSION. Every type of the first table trains, reloads to equal scores, counts as PEFT reports and leaves to stock PEFT with
equal outputs, on a BERT and on a Llama of width 32 (`tests/test_bridge.py`). Where PEFT's default is None, 0 or `none` stands for it.
"""
RULER = "|---|---|---|"


def page() -> str:
    """Return the page for the installed version."""
    works = [f"| `{name}` | {_searched(axes)} | {_other(axes)} |" for name, axes in _methods()]
    refused = [f"| {kind} | {why} |" for kind, why in peft_bridge.refused().items()]
    tables = ["| works | searched | may be given (PEFT's default) |", RULER, *works, "", "| refused | why |", "|---|---|", *refused]
    return "\n".join([BEGINNING.replace("VERSION", version("peft")), *tables, ""])


def _methods() -> Iterator[tuple[str, dict[str, Axis]]]:
    for kind in peft_bridge.usable():
        name = f"{peft_bridge.PREFIX}{kind.lower()}"
        yield name, {key: axis for key, axis in axes_of(name).items() if key not in ("lr", "layers", "modules")}


def _searched(axes: dict[str, Axis]) -> str:
    return "<br>".join(f"`{name}` {_said(axis)}" for name, axis in axes.items() if not _quiet(axis)) or "–"


def _said(axis: Axis) -> str:
    if isinstance(axis, Choice):
        return " or ".join(map(str, axis.options))
    return f"{axis.low} to {axis.high}"


def _other(axes: dict[str, Axis]) -> str:
    return ", ".join(f"`{name}` ({axis.corners()[0]})" for name, axis in axes.items() if _quiet(axis)) or "–"


def _quiet(axis: Axis) -> bool:
    return isinstance(axis, Choice) and axis.quiet


if __name__ == "__main__":
    click.echo(page(), nl=False)
