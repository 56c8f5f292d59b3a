"""How a language model is asked for a number: by how likely each of a few numbers is, written as the task's own are.

They are the multiples of one step over the range of the training rows' numbers: of the steps 1, 2 and 5 · 10^k that are no finer than these
numbers are written the finest with which there are no more than `MOST`. Of similarities from 0 to 5 they are those that T5 writes, 0.0,
0.2 … 5.0 (Raffel et al. 2020, arXiv 1910.10683).
"""

import math
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from decimal import Decimal
from itertools import count

from transformers import PreTrainedTokenizerBase

from ....spaces.errors import WrongInput
from ....spaces.shape import Family
from ...tasks import Task
from .label_tokens import ended, label_tokens
from .wording import Wording

MOST = 32
"""Numbers that are weighed against each other at most."""
EXACT = 1e-6
"""What a number may be off by, as a share of it: files keep some as float32."""


@dataclass(frozen=True)
class Grid:
    """`size` multiples of `step`, the first of them `first · step`; two at least."""

    step: Decimal
    first: int
    size: int

    @property
    def texts(self) -> tuple[str, ...]:
        """The numbers as they are written, all with as many decimals."""
        decimals = max(0, -int(self.step.as_tuple().exponent))
        return tuple(f"{(self.first + place) * self.step:.{decimals}f}" for place in range(self.size))

    @property
    def values(self) -> tuple[float, ...]:
        """The numbers, ascending."""
        return tuple(map(float, self.texts))

    def __str__(self) -> str:
        """The first two and the last."""
        one, other, *rest = self.texts
        return f"{one}, {other} … {rest[-1]}" if len(rest) > 1 else ", ".join(self.texts)


def grid_of(numbers: Sequence[float]) -> Grid:
    """Return the grid of a training split's numbers, of which not all are equal."""
    low, high, written = min(numbers), max(numbers), _written(numbers)
    for step in _steps(written):
        first, last = math.floor(low / float(step) + EXACT), math.ceil(high / float(step) - EXACT)
        if last - first < MOST:
            return Grid(step, first, last - first + 1)
    raise AssertionError("steps grow without end")


def _steps(power: int) -> Iterator[Decimal]:
    """1, 2 and 5 · 10^k, ascending from k = power."""
    for k in count(power):
        yield from (Decimal(unit).scaleb(k) for unit in (1, 2, 5))


def _written(numbers: Sequence[float]) -> int:
    """The largest power of ten of which all numbers are multiples, but for what their precision takes or gives."""
    power = math.floor(math.log10(max(map(abs, numbers))))
    while any(abs(number / 10.0**power - round(number / 10.0**power)) > EXACT * max(1.0, abs(number) / 10.0**power) for number in numbers):
        power -= 1
    return power


@dataclass(frozen=True)
class Numbers:
    """Numbers, and the tokens by which each is told."""

    grid: Grid
    wording: Wording

    def trained_tokens(self, text: int) -> int:
        """How many tokens a training step holds for a row of so many, at least."""
        return self.wording.trained_tokens(text)

    @property
    def template(self) -> str:
        """How texts become tokens and outputs become scores, by which a study is recognised."""
        return f"1: the number to be expected of {self.grid}, labels of the nearest one; {self.wording.template}"

    def __str__(self) -> str:
        """For `plan`, one line."""
        return f"number to be expected of {self.grid}, each of which is a label, weighed by the {self.wording}"


def number_wording(tokenizer: PreTrainedTokenizerBase, family: Family, task: Task) -> Numbers:
    """Return how a task's numbers are asked for; `WrongInput` where there are none, or the model writes none."""
    asked = task.reading
    if task.kind != "regression":
        raise WrongInput(f"task.readout: numbers, but {task.name} is a {task.kind.replace('_', '-')} task; take readout: auto")
    if family == "encoder":
        raise WrongInput("task.readout: numbers, but an encoder writes none; give a decoder or an encoder-decoder, or take readout: auto")
    if asked.scoring not in ("auto", "sum"):
        raise WrongInput(f"task.scoring: {asked.scoring}, but numbers are weighed by how likely all of their tokens are; take sum")
    grid = grid_of(task.train.labels)
    whole = label_tokens(tokenizer, family, grid.texts)
    if len(set(whole)) < len(whole):
        raise WrongInput(f"task.readout: numbers, but some of {grid} are the same tokens to this model; take readout: auto")
    tokens = ended(tokenizer, whole, grid.texts)
    return Numbers(grid, Wording("sum", tokens, asked.calibration == "without_text", tokens != whole, family))
