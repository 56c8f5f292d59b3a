"""What the frozen blocks below a pack's first site compute, once for every row instead of once for every trial and step.

Below the first module that any trial of a pack touches, the model is the same for all of them and never changes. The hidden
states that leave those blocks are kept row by row, without padding, and later passes start from them: the blocks are stood in for by
stubs while the model runs, so no family needs a forward pass of its own.
"""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from .architecture import blocks_of
from .backbone import Backbone
from .readouts.encoding import Encoded

ROOM = {"cpu": 512 << 20, "cuda": 4 << 30}
"""Bytes of hidden states that are kept, by device; rows beyond are computed each time."""


@dataclass
class Kept:
    """Hidden states of one split's rows behind one block, each (tokens, width)."""

    data: Encoded
    rows: dict[int, Tensor] = field(default_factory=dict)


class LowerBlocks:
    """The lower blocks of one backbone. Encoder-decoders, whose blocks pass more than hidden states on, always run whole."""

    def __init__(self, backbone: Backbone) -> None:
        self._backbone, self._model = backbone, backbone.model
        self._names = [name for name, _ in blocks_of(backbone.model)]
        self.possible = backbone.family != "encoder-decoder" and len(self._names) == backbone.shape.layers
        self._kept: dict[tuple[int, int], Kept] = {}
        self._outputs = 0  # length of the tuple that a block returns; 0 where it returns a tensor
        self._room = ROOM.get(backbone.device.type, ROOM["cpu"])

    @torch.no_grad()
    def hidden(self, data: Encoded, rows: Sequence[int], *, blocks: int, pad: int) -> Tensor:
        """Return what leaves the first `blocks` blocks for these rows of a split: (rows, tokens, width), padded with zeros."""
        kept = self._kept.setdefault((id(data), blocks), Kept(data)).rows
        missing = sorted({row for row in rows if row not in kept}, key=lambda row: data.lengths[row])
        fresh = self._compute(data, missing, blocks=blocks, pad=pad) if missing else {}
        for row, hidden in fresh.items():
            size = hidden.numel() * hidden.element_size()
            if size <= self._room:
                self._room -= size
                kept[row] = hidden.clone()
        padded = nn.utils.rnn.pad_sequence([fresh[row] if row in fresh else kept[row] for row in rows], batch_first=True)
        return padded.to(self._model.device)  # from where the last of them lies, if the base lies on several devices

    @contextmanager
    def replaced(self, hidden: Tensor, *, blocks: int) -> Iterator[Tensor]:
        """Let the model run with `hidden` as what leaves its first `blocks` blocks, which do nothing; yields embeddings to run it on.

        Nothing comes of those but their size, which in some families is not that of the hidden states.
        """
        real = [self._model.get_submodule(name) for name in self._names[:blocks]]
        try:
            for position, (name, block) in enumerate(zip(self._names, real, strict=False)):
                self._put(name, _Stub(block, hidden if position == blocks - 1 else None, outputs=self._outputs))
            yield hidden.new_zeros(1, 1, 1).expand(*hidden.shape[:2], self._backbone.shape.width)
        finally:
            for name, block in zip(self._names, real, strict=False):
                self._put(name, block)

    def _put(self, name: str, block: nn.Module) -> None:
        parent, _, index = name.rpartition(".")
        self._model.get_submodule(parent)._modules[index] = block

    def _compute(self, data: Encoded, rows: Sequence[int], *, blocks: int, pad: int) -> dict[int, Tensor]:
        ids, lengths, _ = data.batch(rows, pad=pad, device=self._model.device)
        embeds, types = self._backbone.embed(ids), data.batch_types(rows, device=self._model.device)
        fronts = torch.zeros_like(lengths)
        given = self._backbone.conventions.inputs(embeds, fronts=fronts, lengths=lengths, types=types)
        hidden = self._run_to(blocks - 1, given)
        return {row: hidden[position, : data.lengths[row]] for position, row in enumerate(rows)}

    def _run_to(self, last: int, given: dict[str, Tensor]) -> Tensor:
        def stop(_: nn.Module, __: Any, output: Any) -> None:
            self._outputs = len(output) if isinstance(output, tuple) else 0
            raise _Reached(output[0] if self._outputs else output)

        handle = self._model.get_submodule(self._names[last]).register_forward_hook(stop)
        try:
            self._model(**given)
        except _Reached as reached:
            return reached.hidden
        finally:
            handle.remove()
        raise RuntimeError(f"{self._names[last]} was not reached by a forward pass of {type(self._model).__name__}")


class _Reached(Exception):
    """A forward pass has come as far as it should."""

    def __init__(self, hidden: Tensor) -> None:
        super().__init__()
        self.hidden = hidden


class _Stub(nn.Module):
    """Stands where a block stood: passes on what it gets, or what it was given instead; its other attributes are the block's."""

    def __init__(self, block: nn.Module, hidden: Tensor | None, *, outputs: int) -> None:
        super().__init__()
        object.__setattr__(self, "_block", block)
        self._hidden, self._outputs = hidden, outputs

    def forward(self, hidden_states: Tensor, *_: Any, **__: Any) -> Any:
        """Return the hidden states, in the form in which the block would."""
        hidden = hidden_states if self._hidden is None else self._hidden
        return (hidden, *[None] * (self._outputs - 1)) if self._outputs else hidden

    def __getattr__(self, name: str) -> Any:
        return getattr(self.__dict__["_block"], name)
