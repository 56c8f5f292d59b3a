"""Each row's own choices as tokens."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
from transformers import PreTrainedTokenizerBase

from ....spaces.shape import Family
from .label_tokens import label_tokens


@dataclass(frozen=True, eq=False)
class RowChoices:
    """Choice number c of all is `tokens[offsets[c] : offsets[c + 1]]`; row i has `counts[i]` of them, in the order of the rows."""

    tokens: np.ndarray
    """int32."""
    offsets: np.ndarray
    """int64, one more than there are choices."""
    counts: np.ndarray
    """int64."""

    @cached_property
    def most(self) -> int:
        """The largest number of choices of a row."""
        return int(self.counts.max())

    @cached_property
    def _firsts(self) -> np.ndarray:
        firsts: np.ndarray = np.cumsum(self.counts) - self.counts
        return firsts

    def of(self, rows: Sequence[int]) -> np.ndarray:
        """Tokens (rows, most, longest of them) of some rows' choices, -1 behind their ends and where a row has fewer."""
        numbers = [range(self._firsts[row], self._firsts[row] + self.counts[row]) for row in rows]
        longest = max(self.offsets[number + 1] - self.offsets[number] for own in numbers for number in own)
        made = np.full((len(rows), self.most, longest), -1, dtype=np.int64)
        for place, own in enumerate(numbers):
            for choice, number in enumerate(own):
                tokens = self.tokens[self.offsets[number] : self.offsets[number + 1]]
                made[place, choice, : len(tokens)] = tokens
        return made


def row_choices(tokenizer: PreTrainedTokenizerBase, family: Family, choices: Sequence[Sequence[str]]) -> RowChoices:
    """Return the choices as a language model would answer with them; `WrongInput` for one of no tokens."""
    tokens = label_tokens(tokenizer, family, [text for own in choices for text in own])
    counts = np.fromiter(map(len, choices), dtype=np.int64)
    flat = np.fromiter(chain.from_iterable(tokens), dtype=np.int32)
    return RowChoices(flat, np.cumsum([0, *map(len, tokens)], dtype=np.int64), counts)
