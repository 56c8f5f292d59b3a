"""Which tokens of each row are answers, and which tokens they follow: what training, and perplexity, look at."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

import numpy as np

LOGITS_AT_ONCE = {"cpu": 1 << 26, "cuda": 1 << 28}
"""Logits that a pass may hold of all its rows' answer tokens, by device: a precise copy and the sums' own need a few times their bytes."""


@dataclass(frozen=True, eq=False)
class AnswerTokens:
    """Row i answers with `tokens[offsets[i] : offsets[i + 1]]`, each read behind the token of its text that `places` counts."""

    tokens: np.ndarray
    """int32."""
    places: np.ndarray
    """int32, beside `tokens`; of an encoder-decoder, counted in the answer."""
    offsets: np.ndarray
    """int64, one more than there are rows."""

    @cached_property
    def counts(self) -> np.ndarray:
        """Each row's number of tokens, (rows,)."""
        counts: np.ndarray = np.diff(self.offsets)
        return counts

    @cached_property
    def last(self) -> np.ndarray:
        """Each row's number of tokens of its last answer, (rows,): the earlier ones of a conversation stand apart. No row may have none."""
        begins = np.diff(self.places, prepend=-2) != 1
        begins[self.offsets[:-1]] = True
        starts = np.maximum.accumulate(np.where(begins, np.arange(len(self.places)), 0))
        last: np.ndarray = self.offsets[1:] - starts[self.offsets[1:] - 1]
        return last

    def of(self, rows: Sequence[int]) -> tuple[np.ndarray, np.ndarray]:
        """Tokens and places (rows, most) of some rows, -1 behind their ends."""
        starts, counts = self.offsets[np.asarray(rows)], self.counts[np.asarray(rows)]
        columns = np.arange(max(1, counts.max()))
        index, inside = np.minimum(starts[:, None] + columns, len(self.tokens) - 1), columns < counts[:, None]
        tokens, places = (np.where(inside, values[index].astype(np.int64), -1) for values in (self.tokens, self.places))
        return tokens, places

    def first(self, rows: Sequence[int], *, each: int, device: str) -> int:
        """How many of these rows, from the first on, a pass holds with `each` logits per answer token, padded; one at least."""
        sizes = np.maximum.accumulate(self.counts[np.asarray(rows)]) * np.arange(1, len(rows) + 1)
        return max(1, int(np.searchsorted(sizes, LOGITS_AT_ONCE.get(device, 1 << 28) // each, side="right")))


def answer_tokens(rows: Sequence[tuple[Sequence[int], Sequence[int]]]) -> AnswerTokens:
    """Of each row's answer tokens with their places."""
    tokens, places = (np.fromiter((one for row in rows for one in row[side]), dtype=np.int32) for side in (0, 1))
    return AnswerTokens(tokens, places, np.cumsum([0, *(len(row[0]) for row in rows)], dtype=np.int64))


def told_by(ids: Sequence[int], trained: Sequence[bool]) -> tuple[list[int], list[int]]:
    """A decoder's answer tokens of one row: those marked, but for the first of the row, which follows nothing."""
    chosen = [place for place in range(1, len(ids)) if trained[place]]
    return [ids[place] for place in chosen], [place - 1 for place in chosen]
