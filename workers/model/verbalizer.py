"""From text to label scores without a trainable head: tokens in, scores (rows, labels) out, one way per model family.

* decoder: the label words' logits behind the last token of `text … answer:`;
* encoder-decoder: the label words' logits at the first decoder position;
* encoder: cosine between the mean-pooled text and each label's description, both by the frozen model, over a fixed temperature.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import chain

import numpy as np
import torch
from torch import Tensor
from torch.nn.functional import normalize

from ...spaces.errors import WrongInput
from ..tasks import Rows, Task
from .backbone import Backbone
from .label_head import LabelHead
from .transfer import sent

TEMPERATURE = 0.05
"""Cosines are divided by this, the scale that sentence encoders such as MiniLM were trained with (1/20)."""
SUFFIX = "\nAnswer:"


@dataclass(frozen=True, eq=False)
class Encoded:
    """A split as token ids, one row behind the other, which a file can hold as it is: row i is `tokens[offsets[i] : offsets[i + 1]]`."""

    tokens: np.ndarray
    """int32, of all rows."""
    offsets: np.ndarray
    """int64, one more than there are rows."""
    targets: tuple[int, ...]
    """The index of each row's label."""
    types: np.ndarray | None = None
    """int8, the token type of each token where the model tells a pair's texts apart by it."""

    @cached_property
    def ids(self) -> tuple[np.ndarray, ...]:
        """Each row's tokens."""
        return tuple(np.split(self.tokens, self.offsets[1:-1])) if self.targets else ()

    @cached_property
    def lengths(self) -> tuple[int, ...]:
        """Each row's number of tokens."""
        return tuple(np.diff(self.offsets).tolist())

    def batch(self, rows: Sequence[int], *, pad: int, device: torch.device) -> tuple[Tensor, Tensor, Tensor]:
        """Return ids (rows, tokens) padded on the right, lengths (rows,) and targets (rows,)."""
        lengths = self.offsets[np.asarray(rows) + 1] - self.offsets[np.asarray(rows)]
        ids = self._padded(self.tokens, rows, pad=pad)
        made = torch.from_numpy(ids), torch.from_numpy(lengths), torch.tensor([self.targets[row] for row in rows])
        return sent(made[0], device), sent(made[1], device), sent(made[2], device)

    def batch_types(self, rows: Sequence[int], *, device: torch.device) -> Tensor | None:
        """Return the token types (rows, tokens) beside `batch`'s ids, 0 where they are padded; None where there are none."""
        return None if self.types is None else sent(torch.from_numpy(self._padded(self.types, rows, pad=0)), device)

    def _padded(self, values: np.ndarray, rows: Sequence[int], *, pad: int) -> np.ndarray:
        starts = self.offsets[np.asarray(rows)]
        lengths = self.offsets[np.asarray(rows) + 1] - starts
        columns = np.arange(lengths.max())
        places = np.minimum(starts[:, None] + columns, len(values) - 1)
        return np.where(columns < lengths[:, None], values[places].astype(np.int64), pad)


def encode(backbone: Backbone, rows: Rows, *, max_tokens: int) -> Encoded:
    """Tokenise a split; pairs are joined the way the family expects, decoders get `Answer:` behind the text."""
    tokenizer, limit = backbone.tokenizer, min(max_tokens, backbone.conventions.room)
    pairs, types = zip(rows.texts_a, rows.texts_b, strict=True), None
    if backbone.family == "encoder":
        read = [tokenizer(a, b, truncation=True, max_length=limit) for a, b in pairs]
        ids = [one["input_ids"] for one in read]
        types = _flat([one["token_type_ids"] for one in read], np.int8) if _typed(backbone) else None
    elif backbone.family == "encoder-decoder":
        ids = [tokenizer(_joined(a, b, " "), truncation=True, max_length=limit)["input_ids"] for a, b in pairs]
    else:
        suffix = tokenizer(SUFFIX, add_special_tokens=False)["input_ids"]
        if limit <= len(suffix) + 1:
            raise WrongInput(f"task.max_tokens: {limit} leave no room for text before the {len(suffix)} of 'Answer:'; raise it")
        texts = [tokenizer(_joined(a, b, "\n"), truncation=True, max_length=limit - len(suffix))["input_ids"] for a, b in pairs]
        ids = [[*_without_end(text, tokenizer.eos_token_id), *suffix] for text in texts]
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Encoded(_flat(ids, np.int32), offsets, tuple(int(label) for label in rows.labels), types)


def _flat(lists: Sequence[Sequence[int]], dtype: type) -> np.ndarray:
    return np.fromiter(chain.from_iterable(lists), dtype=dtype)


def _typed(backbone: Backbone) -> bool:
    """Whether both sides know token types: the tokenizer to say them, the model to make something of them."""
    return backbone.conventions.segments and "token_type_ids" in backbone.tokenizer.model_input_names


class Verbalizer:
    """Scores a task's labels from what the frozen model computes. Holds no trainable number."""

    def __init__(self, backbone: Backbone, task: Task) -> None:
        if not task.labels:
            raise WrongInput(f"task {task.name}: a {task.kind} task has no labels to choose from; give one with a fixed set of labels")
        self._backbone = backbone
        self.labels = task.labels
        if backbone.family == "encoder":
            self.matrix = _descriptions(backbone, task.descriptions)
            return
        self.words = _first_tokens(backbone, task)
        self._head = LabelHead(backbone.model, self.words) if backbone.family == "decoder" else None

    def scores(
        self, embeds: Tensor, *, fronts: Tensor, lengths: Tensor, shifts: Tensor | None = None, types: Tensor | None = None
    ) -> Tensor:
        """Return label scores (rows, labels), float32 or the double of a double model, of embeddings as `Conventions.inputs` gets them."""
        given = self._backbone.conventions.inputs(embeds, fronts=fronts, lengths=lengths, shifts=shifts, types=types)
        model = self._backbone.model
        if self._backbone.family == "encoder":
            return pooled(model(**given).last_hidden_state, fronts=fronts, lengths=lengths) @ self.matrix.T / TEMPERATURE
        if self._head is not None:
            with self._head.at(fronts + lengths - 1):
                return _precise(model(**given, use_cache=False).logits[:, 0])
        start = torch.full((len(embeds), 1), int(model.config.decoder_start_token_id), device=embeds.device)
        return _precise(model(**given, decoder_input_ids=start, use_cache=False).logits[:, 0, self.words])


def pooled(hidden: Tensor, *, fronts: Tensor, lengths: Tensor) -> Tensor:
    """Mean of the text's hidden states, prompt and padding left out, as unit vectors (rows, width), float32 at least."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
    text = (positions >= fronts[:, None]) & (positions < (fronts + lengths)[:, None])
    return normalize((_precise(hidden) * text[..., None]).sum(1) / lengths[:, None], dim=-1)


def _precise(x: Tensor) -> Tensor:
    """Scores are float32 at least; a double model's stay double."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


@torch.no_grad()
def _descriptions(backbone: Backbone, descriptions: Sequence[str]) -> Tensor:
    """Unit vectors (labels, width) of the descriptions, read as the task's own texts are."""
    rows = Rows(tuple(descriptions), (None,) * len(descriptions), (0,) * len(descriptions))
    data, every = encode(backbone, rows, max_tokens=backbone.conventions.room), range(len(descriptions))
    ids, lengths, _ = data.batch(every, pad=int(backbone.tokenizer.pad_token_id or 0), device=backbone.device)
    embeds, fronts = backbone.embed(ids), torch.zeros_like(lengths)
    given = backbone.conventions.inputs(embeds, fronts=fronts, lengths=lengths, types=data.batch_types(every, device=backbone.device))
    return pooled(backbone.model(**given).last_hidden_state, fronts=fronts, lengths=lengths)


def _first_tokens(backbone: Backbone, task: Task) -> Tensor:
    tokenizer, tokens = backbone.tokenizer, []
    for word in task.descriptions:
        spaced = word if backbone.family == "encoder-decoder" else f" {word}"
        tokens.append(tokenizer(spaced, add_special_tokens=False)["input_ids"])
    width = _distinguishing(tokens)
    if width is None:
        raise WrongInput(
            f"task {task.name}: the label words {', '.join(task.descriptions)} cannot be told apart by one token; set task.labels"
        )
    return torch.tensor([ids[width] for ids in tokens], device=backbone.device)


def _distinguishing(tokens: Sequence[Sequence[int]]) -> int | None:
    """The first position at which every label word has a token of its own (a tokenizer may begin all words alike)."""
    shortest = min(len(ids) for ids in tokens)
    return next((i for i in range(shortest) if len({ids[i] for ids in tokens}) == len(tokens)), None)


def _joined(a: str, b: str | None, glue: str) -> str:
    return a if b is None else f"{a}{glue}{b}"


def _without_end(ids: Sequence[int], end: int | None) -> Sequence[int]:
    return ids[:-1] if ids and ids[-1] == end else ids
