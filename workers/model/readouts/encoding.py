"""A split as token ids, the way a family reads a text or a pair of texts."""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor

from ....spaces.errors import WrongInput
from ...tasks import Rows, Target
from ..backbone import Backbone
from ..cutting import pair_ids
from ..transfer import sent
from .answer_tokens import AnswerTokens
from .in_context import SUFFIX
from .masking import gap_of, unmasked, with_gap
from .row_choices import RowChoices, row_choices
from .written_rows import written_rows

__all__ = ["SUFFIX", "Encoded", "encode"]


@dataclass(frozen=True, eq=False)
class Encoded:
    """A split as token ids, one sequence behind the other, which a file can hold as it is.

    Sequence i is `tokens[offsets[i] : offsets[i + 1]]`. A row is one sequence, or where a pair's texts are read each by itself, `per_row`
    of them that follow each other.
    """

    tokens: np.ndarray
    """int32, of all rows."""
    offsets: np.ndarray
    """int64, one more than there are sequences."""
    targets: tuple[Target, ...]
    """What each row's answer should be: `Rows.targets`."""
    types: np.ndarray | None = None
    """int8, the token type of each token where the model tells a pair's texts apart by it."""
    choices: RowChoices | None = None
    """Where each row has its own."""
    answers: AnswerTokens | None = None
    """Where rows are answered in writing."""
    per_row: int = 1

    @cached_property
    def single(self) -> "Encoded":
        """The same with every sequence as a row of its own, whose target says nothing."""
        return self if self.per_row == 1 else Encoded(self.tokens, self.offsets, (0,) * (len(self.offsets) - 1), self.types)

    def sequences(self, rows: Sequence[int] | np.ndarray) -> np.ndarray:
        """Numbers of the sequences of these rows, (rows · per_row,)."""
        return (np.asarray(rows)[:, None] * self.per_row + np.arange(self.per_row)).ravel()

    @cached_property
    def ids(self) -> tuple[np.ndarray, ...]:
        """Each sequence's tokens."""
        return tuple(np.split(self.tokens, self.offsets[1:-1])) if self.targets else ()

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Each row's number of tokens, in its longest sequence."""
        return tuple(np.diff(self.offsets).reshape(-1, self.per_row).max(1).tolist())

    @property
    def longest(self) -> int:
        """Tokens of the longest row."""
        return max(self.lengths)

    @property
    def longest_answer(self) -> int:
        """Answer tokens of the row that has most; 0 where none is answered in writing."""
        return 0 if self.answers is None else int(self.answers.counts.max())

    def batch(self, rows: Sequence[int], *, pad: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids (sequences, tokens) padded on the right, lengths (sequences,) and targets (rows,) or (rows, labels)."""
        numbers = self.sequences(rows)
        lengths = self.offsets[numbers + 1] - self.offsets[numbers]
        ids = self._padded(self.tokens, numbers, pad=pad)
        made = torch.from_numpy(ids), torch.from_numpy(lengths), torch.tensor([self.targets[row] for row in rows])
        return sent(made[0], device), sent(made[1], device), sent(made[2], device)

    def batch_types(self, rows: Sequence[int], *, device: torch.device) -> Tensor | None:
        """Return the token types (sequences, tokens) beside `batch`'s ids, 0 where they are padded; None where there are none."""
        return None if self.types is None else sent(torch.from_numpy(self._padded(self.types, self.sequences(rows), pad=0)), device)

    def batch_choices(self, rows: Sequence[int], *, device: torch.device) -> Tensor | None:
        """Return these rows' own choices (rows, choices, tokens), as `RowChoices.of` has them; None where there are none."""
        return None if self.choices is None else sent(torch.from_numpy(self.choices.of(rows)), device)

    def batch_answers(self, rows: Sequence[int], *, device: torch.device) -> tuple[Tensor, Tensor] | None:
        """Return these rows' answer tokens and places (rows, most), as `AnswerTokens.of` has them; None where there are none."""
        if self.answers is None:
            return None
        tokens, places = map(torch.from_numpy, self.answers.of(rows))
        return sent(tokens, device), sent(places, device)

    def _padded(self, values: np.ndarray, numbers: np.ndarray, *, pad: int) -> np.ndarray:
        starts = self.offsets[numbers]
        lengths = self.offsets[numbers + 1] - starts
        columns = np.arange(lengths.max())
        places = np.minimum(starts[:, None] + columns, len(values) - 1)
        return np.where(columns < lengths[:, None], values[places].astype(np.int64), pad)


def encode(backbone: Backbone, rows: Rows, *, max_tokens: int, template: str = "auto") -> Encoded:
    """Tokenise a split; pairs are joined the way the family expects unless read apart, decoders get `Answer:` behind the text.

    Conversations become text by `template` and are never cut.
    """
    asked = backbone.shape.answers
    targets = rows.targets(asked.kind, backbone.shape.labels)
    if rows.conversations:
        ids, answers = written_rows(backbone, rows.conversations, template)
        return _encoded(ids, targets, answers=answers)
    if asked.apart:
        return replace(_texts(backbone, _parted(rows), (0,), max_tokens=max_tokens), targets=targets, per_row=2)
    return _texts(backbone, rows, targets, max_tokens=max_tokens)


def _parted(rows: Rows) -> Rows:
    """Both texts of every pair, each as a row of its own; `WrongInput` where there is no second."""
    lone = rows.texts_b.index(None) + 1 if None in rows.texts_b else 0
    if lone:
        raise WrongInput(f"task.pairs: apart, but row {lone} has one text; give every row two, or take joined")
    texts = tuple(str(text) for pair in zip(rows.texts_a, rows.texts_b, strict=True) for text in pair)
    return Rows(texts, (None,) * len(texts), (0,) * len(texts))


def _texts(backbone: Backbone, rows: Rows, targets: Sequence[Target], *, max_tokens: int) -> Encoded:
    tokenizer, limit = backbone.tokenizer, min(max_tokens, backbone.conventions.room)
    pairs, types = zip(rows.texts_a, rows.texts_b, strict=True), None
    if backbone.mask is not None:
        ids, types = _masked(backbone, rows, limit)
    elif backbone.family == "encoder":
        read = [tokenizer(a, b, truncation=True, max_length=limit) for a, b in pairs]
        ids = [one["input_ids"] for one in read]
        types = _flat([one["token_type_ids"] for one in read], np.int8) if _typed(backbone) else None
    elif backbone.family == "encoder-decoder":
        ids = [pair_ids(tokenizer, a, b, " ", room=limit) for a, b in pairs]
    else:
        suffix = tokenizer(SUFFIX, add_special_tokens=False)["input_ids"]
        if limit <= len(suffix) + 1:
            raise WrongInput(f"task.max_tokens: {limit} leave no room for text before the {len(suffix)} of 'Answer:'; raise it")
        texts = [pair_ids(tokenizer, a, b, "\n", room=limit - len(suffix)) for a, b in pairs]
        ids = [[*_without_end(text, tokenizer.eos_token_id), *suffix] for text in texts]
    return _encoded(ids, targets, types, row_choices(backbone.tokenizer, backbone.family, rows.choices) if rows.choices else None)


def _encoded(
    ids: Sequence[Sequence[int]],
    targets: Sequence[Target],
    types: np.ndarray | None = None,
    choices: RowChoices | None = None,
    answers: AnswerTokens | None = None,
) -> Encoded:
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Encoded(_flat(ids, np.int32), offsets, tuple(targets), types, choices, answers)


def _masked(backbone: Backbone, rows: Rows, limit: int) -> tuple[list[list[int]], np.ndarray | None]:
    """Texts, or pairs as the tokenizer joins them, cut to leave room for the gap behind them; and their token types."""
    tokenizer, gap = backbone.tokenizer, gap_of(backbone.tokenizer, str(backbone.mask))
    if limit <= len(gap.tokens) + 3:
        raise WrongInput(f"task.max_tokens: {limit} leave no room for text before the {len(gap.tokens)} of task.mask_text; raise it")
    pairs = [(unmasked(tokenizer, a), b if b is None else unmasked(tokenizer, b)) for a, b in zip(rows.texts_a, rows.texts_b, strict=True)]
    read = [tokenizer(a, b, truncation=True, max_length=limit - len(gap.tokens)) for a, b in pairs]
    ids = [with_gap(one["input_ids"], gap.tokens, gap) for one in read]
    if not _typed(backbone):
        return ids, None
    types = [with_gap(one["token_type_ids"], one["token_type_ids"][-1:] * len(gap.tokens), gap) for one in read]
    return ids, _flat(types, np.int8)


def _flat(lists: Sequence[Sequence[int]], dtype: type) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), dtype=dtype)


def _typed(backbone: Backbone) -> bool:
    """Whether both sides know token types: the tokenizer to say them, the model to make something of them."""
    return backbone.conventions.segments and "token_type_ids" in backbone.tokenizer.model_input_names


def _without_end(ids: Sequence[int], end: int | None) -> Sequence[int]:
    return ids[:-1] if ids and ids[-1] == end else ids
