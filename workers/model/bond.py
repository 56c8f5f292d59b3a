"""What one pass of a pack is bound to."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from torch import Tensor

from .attention import Prefix
from .branches import Branches

Values = Sequence[dict[str, Tensor]]
"""Tensors of each group, (trials, ...) each."""


@dataclass(frozen=True)
class Bond:
    """What the hooks of a pass are bound to: the trials' tensors, rows in all, sequences of a row at most, prefixes by attention."""

    values: Values
    rows: int
    copies: int
    prefixes: Mapping[str, Prefix]
    branches: Branches | None
    """What a pass that is computed again was told of its continuations."""
