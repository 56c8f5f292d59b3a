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
from torch.nn.functional import linear, normalize

from ...spaces.errors import WrongInput
from ..tasks import Rows, Task
from .backbone import Backbone
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
        starts = self.offsets[np.asarray(rows)]
        lengths = self.offsets[np.asarray(rows) + 1] - starts
        columns = np.arange(lengths.max())
        places = np.minimum(starts[:, None] + columns, len(self.tokens) - 1)
        ids = np.where(columns < lengths[:, None], self.tokens[places].astype(np.int64), pad)
        made = torch.from_numpy(ids), torch.from_numpy(lengths), torch.tensor([self.targets[row] for row in rows])
        return sent(made[0], device), sent(made[1], device), sent(made[2], device)


def encode(backbone: Backbone, rows: Rows, *, max_tokens: int) -> Encoded:
    """Tokenise a split; pairs are joined the way the family expects, decoders get `Answer:` behind the text."""
    tokenizer, limit = backbone.tokenizer, min(max_tokens, _positions(backbone))
    pairs = zip(rows.texts_a, rows.texts_b, strict=True)
    if backbone.family == "encoder":
        ids = [tokenizer(a, b, truncation=True, max_length=limit)["input_ids"] for a, b in pairs]
    elif backbone.family == "encoder-decoder":
        ids = [tokenizer(_joined(a, b, " "), truncation=True, max_length=limit)["input_ids"] for a, b in pairs]
    else:
        suffix = tokenizer(SUFFIX, add_special_tokens=False)["input_ids"]
        texts = [tokenizer(_joined(a, b, "\n"), truncation=True, max_length=limit - len(suffix))["input_ids"] for a, b in pairs]
        ids = [[*_without_end(text, tokenizer.eos_token_id), *suffix] for text in texts]
    tokens = np.fromiter(chain.from_iterable(ids), dtype=np.int32)
    offsets = np.cumsum([0, *map(len, ids)], dtype=np.int64)
    return Encoded(tokens, offsets, tuple(int(label) for label in rows.labels))


class Verbalizer:
    """Scores a task's labels from what the frozen model computes. Holds no trainable number."""

    def __init__(self, backbone: Backbone, task: Task) -> None:
        if not task.labels:
            raise WrongInput(f"task {task.name}: a {task.kind} task has no labels to choose from; give one with a fixed set of labels")
        self._backbone = backbone
        self.labels = task.labels
        if backbone.family == "encoder":
            self.matrix = _descriptions(backbone, task.descriptions)
        else:
            self.words = _first_tokens(backbone, task)

    def scores(self, embeds: Tensor, *, fronts: Tensor, lengths: Tensor, shifts: Tensor | None = None) -> Tensor:
        """Return label scores (rows, labels), float32 or the double of a double model.

        `embeds` (rows, tokens, width) is laid out `[prompt | text | pad]` with `fronts` (rows,) prompt and `lengths` (rows,)
        text tokens. `shifts` (rows,) moves the positions of rows that have a prefix.
        """
        positions = torch.arange(embeds.shape[1], device=embeds.device)[None]
        mask = (positions < (fronts + lengths)[:, None]).long()
        extra = {} if shifts is None else {"position_ids": positions + shifts[:, None]}
        if self._backbone.family == "encoder":
            hidden = self._backbone.model(inputs_embeds=embeds, attention_mask=mask, **extra).last_hidden_state
            return pooled(hidden, fronts=fronts, lengths=lengths) @ self.matrix.T / TEMPERATURE
        if self._backbone.family == "decoder":
            hidden = _body(self._backbone)(inputs_embeds=embeds, attention_mask=mask, use_cache=False, **extra).last_hidden_state
            last = hidden[torch.arange(len(hidden), device=hidden.device), fronts + lengths - 1]
            return _word_logits(self._backbone, last, self.words)
        start = torch.full((len(embeds), 1), int(self._backbone.model.config.decoder_start_token_id), device=embeds.device)
        logits = self._backbone.model(inputs_embeds=embeds, attention_mask=mask, decoder_input_ids=start, use_cache=False).logits
        return _precise(logits[:, 0, self.words])


def pooled(hidden: Tensor, *, fronts: Tensor, lengths: Tensor) -> Tensor:
    """Mean of the text's hidden states, prompt and padding left out, as unit vectors (rows, width), float32 at least."""
    positions = torch.arange(hidden.shape[1], device=hidden.device)[None]
    text = (positions >= fronts[:, None]) & (positions < (fronts + lengths)[:, None])
    return normalize((_precise(hidden) * text[..., None]).sum(1) / lengths[:, None], dim=-1)


def _precise(x: Tensor) -> Tensor:
    """Scores are float32 at least; a double model's stay double."""
    return x.to(torch.promote_types(x.dtype, torch.float32))


def _descriptions(backbone: Backbone, descriptions: Sequence[str]) -> Tensor:
    batch = backbone.tokenizer(list(descriptions), padding=True, return_tensors="pt").to(backbone.device)
    with torch.no_grad():
        hidden = backbone.model(**batch).last_hidden_state
    lengths = batch["attention_mask"].sum(1)
    return pooled(hidden, fronts=torch.zeros_like(lengths), lengths=lengths)


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


def _word_logits(backbone: Backbone, hidden: Tensor, words: Tensor) -> Tensor:
    head = backbone.model.get_output_embeddings()
    bias = None if getattr(head, "bias", None) is None else head.bias[words]
    return _precise(linear(hidden, head.weight[words], bias))


def _body(backbone: Backbone) -> torch.nn.Module:
    body: torch.nn.Module = backbone.model.base_model
    return body


def _positions(backbone: Backbone) -> int:
    return int(getattr(backbone.model.config, "max_position_embeddings", None) or 1 << 20)


def _joined(a: str, b: str | None, glue: str) -> str:
    return a if b is None else f"{a}{glue}{b}"


def _without_end(ids: Sequence[int], end: int | None) -> Sequence[int]:
    return ids[:-1] if ids and ids[-1] == end else ids
