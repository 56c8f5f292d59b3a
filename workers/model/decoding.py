"""Answers in writing, greedily: the rows of all trials of a pack advance together, each with its own adapter.

    y_t = argmax P(y | prompt, y_1 … y_{t-1})        until a stop token, a stop text or the limit

Nothing of a model's own settings for generation is used but its end tokens. Where a family's cache cannot be driven, or a method
changes the texts' own embeddings, all is read anew for every token: slower, the same answer.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from functools import cached_property

import torch
from torch import Tensor

from ...spaces.errors import Failure
from ..method import SoftPrompt
from .backbone import Backbone
from .bond import Values
from .continuing import Cached, Prompts, Whole
from .pack import Pack
from .readouts.readout import precise
from .sites import Sites

ROWS_AT_ONCE = {"cpu": 64, "cuda": 256}
"""Rows of one pass over all trials of a pack, by device."""
TOKENS_AT_ONCE = {"cpu": 1 << 15, "cuda": 1 << 17}
"""Tokens, prompts and answers to come together, of the same: what a cache of keys and values grows with."""
PROBE = ((5, 9, 4, 7, 3, 8, 6, 2, 9), (7, 3, 8, 5))
"""Two made-up prompts of unequal length, on which the cache must give what whole passes give, for `STEPS` tokens."""
STEPS = 4
AGREEMENT = {torch.float64: 1e-9, torch.float32: 1e-4, torch.bfloat16: 5e-2}
"""Largest difference of logits there, relative to the largest."""
UNUSABLE = (RuntimeError, ValueError, TypeError, KeyError, IndexError, AttributeError, NotImplementedError)
"""What a family raises whose cache is not driven as most are."""

Follow = Callable[[Sequence[Tensor]], Tensor]


@dataclass(frozen=True)
class Limits:
    """Where an answer ends."""

    tokens: int
    """After so many new tokens, the stop token among them."""
    stops: frozenset[int]
    """With one of these, which is no part of the answer's text."""
    texts: tuple[str, ...] = ()
    """With one of these, likewise."""


class Decoder:
    """Writes answers of one frozen model."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone = backbone

    @torch.no_grad()
    def write(self, pack: Pack, values: Values, prompts: Sequence[Sequence[int]], limits: Limits) -> list[list[list[int]]]:
        """Return the new tokens (trials, rows, …) behind every prompt, the one that stopped them included.

        `values` are the pack's tensors as `Sites.bind` takes them. Raises `Failure` where a prompt leaves no room for an answer.
        """
        answers: list[list[list[int]]] = [[[] for _ in prompts] for _ in range(pack.size)]
        way = Cached if self.caches and not any(_changes_texts(group.method) for group in pack.groups) else Whole
        with Sites(self._backbone.model, self._backbone.shape, pack.groups, trials=pack.size) as sites:
            for chosen in self._portions(prompts, limits, pack.size):
                with sites.bind(values, rows=len(chosen)):
                    asked = Prompts(self._backbone, sites, pack.size, [prompts[row] for row in chosen])
                    self._require_room(asked, limits)
                    found = self._greedy(way(asked), len(asked.ids), limits)
                for place, tokens in enumerate(found):
                    answers[place // len(chosen)][chosen[place % len(chosen)]] = tokens
        return answers

    def _portions(self, prompts: Sequence[Sequence[int]], limits: Limits, trials: int) -> Iterator[list[int]]:
        """Rows of similar length, fewer at once the longer they may get."""
        device = self._backbone.device.type
        size, tokens = max(1, ROWS_AT_ONCE.get(device, 256) // trials), TOKENS_AT_ONCE.get(device, 1 << 17) // trials
        order = sorted(range(len(prompts)), key=lambda row: len(prompts[row]))
        while order:
            longest = len(prompts[order[min(size, len(order)) - 1]]) + limits.tokens
            count = max(1, min(size, tokens // longest))
            yield order[:count]
            order = order[count:]

    def _greedy(self, follow: Follow, rows: int, limits: Limits) -> list[list[int]]:
        device, filler = self._backbone.device, int(self._backbone.tokenizer.pad_token_id or 0)
        stops = torch.tensor(sorted(limits.stops), dtype=torch.long, device=device)
        done, written = torch.zeros(rows, dtype=torch.bool, device=device), list[Tensor]()
        sizes = torch.zeros(rows, dtype=torch.long, device=device)
        for _ in range(limits.tokens):
            best = precise(follow(written)).argmax(-1).masked_fill(done, filler)
            written.append(best)
            sizes += ~done
            done = done | torch.isin(best, stops) | self._said(written, limits.texts)
            if bool(done.all()):
                break
        return [row[:size] for row, size in zip(torch.stack(written, 1).tolist(), sizes.tolist(), strict=True)]

    def _said(self, written: Sequence[Tensor], texts: Sequence[str]) -> Tensor:
        """Whether each row has written one of the texts, (rows,)."""
        if not texts:
            return torch.zeros_like(written[-1], dtype=torch.bool)
        rows = torch.stack(list(written), 1).tolist()
        said = [any(text in self._backbone.tokenizer.decode(row) for text in texts) for row in rows]
        return torch.tensor(said, device=self._backbone.device)

    def _require_room(self, asked: Prompts, limits: Limits) -> None:
        room, longest = self._backbone.conventions.room, int(asked.texts.ends.max())
        needed = longest + limits.tokens if self._backbone.family == "decoder" else max(longest, limits.tokens)
        if needed > room:
            raise Failure(
                f"decoding: a prompt of {longest} tokens, virtual ones included, and {limits.tokens} new ones do not fit the model's "
                f"{room} positions; lower task.max_new_tokens, or leave such rows out"
            )

    @cached_property
    def caches(self) -> bool:
        """Whether the family's cache gives, token by token, what passes over the whole row give: tried once, on the frozen model."""
        size, nothing = self._backbone.shape.vocabulary, Pack([[]], device=self._backbone.device)
        prompts = [[token % size for token in prompt] for prompt in PROBE]
        with torch.no_grad(), Sites(self._backbone.model, self._backbone.shape, nothing.groups, trials=1) as sites, sites.bind((), rows=2):
            asked = Prompts(self._backbone, sites, 1, prompts)
            return self._same(Whole(asked), Cached(asked))

    def _same(self, wanted: Follow, found: Follow) -> bool:
        written = list[Tensor]()
        for _ in range(STEPS):
            logits = precise(wanted(written))
            try:
                far = float((precise(found(written)) - logits).abs().max())
            except UNUSABLE:
                return False
            if not far <= AGREEMENT[self._backbone.dtype] * float(logits.abs().max()):
                return False
            written.append(logits.argmax(-1))
        return True


def _changes_texts(method: object) -> bool:
    return isinstance(method, SoftPrompt) and type(method).embeddings is not SoftPrompt.embeddings
