"""Several continuations of one text in one sequence: attention by positions, and each continuation by itself.

Behind the padded text stand the continuations' tokens, at columns that say nothing about where they belong. What a token may look at
follows from its position (that is what windows are counted in) and from its ancestry: the text, and its own continuation up to it.
"""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass

from torch import Tensor

Rule = Callable[[Tensor, Tensor, Tensor, Tensor], Tensor]
"""Transformers' mask functions: of row, head, query and key as column numbers, whether the query may look at the key."""


@dataclass
class Branches:
    """How the columns of a pass belong together; counts the attentions that were told so."""

    positions: Tensor
    """(rows, columns)."""
    visible: Tensor
    """(columns, columns) bool: whether the first, as a query, belongs to a continuation of the second, or to the text, or is it."""
    masks: int = 0
    attentions: int = 0

    def rule(self, original: Rule) -> Rule:
        """The mask function `original` on positions in the place of columns, and within a continuation only."""

        def allowed(row: Tensor, head: Tensor, query: Tensor, key: Tensor) -> Tensor:
            by_position = original(row, head, self.positions[row, query], self.positions[row, key])
            return by_position & self.visible[query, key]

        return allowed


_CURRENT: ContextVar[Branches | None] = ContextVar("branches", default=None)


def current() -> Branches | None:
    """The branches of the pass that is under way."""
    return _CURRENT.get()


@contextmanager
def branching(branches: Branches) -> Iterator[Branches]:
    """Let passes of models that attend by our attention function be of these branches."""
    token = _CURRENT.set(branches)
    try:
        yield branches
    finally:
        _CURRENT.reset(token)
