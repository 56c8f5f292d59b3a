"""How much memory a training step takes, on paper: a step of the model without numbers, every tensor counted while it lives.

Frozen weights, what a trial trains and its optimiser's moments are sums of sizes. Activations are those of a forward and a backward pass
through the real model and the real method on PyTorch's meta device, where tensors have sizes but no memory: what autograd keeps, and
the largest moment in between, are the family's own, whatever it is. Families that look at numbers while they run (experts that gather
their tokens) are estimated by their linears instead. Nothing here needs weights.
"""

import weakref
from collections.abc import Iterable, Sequence
from contextlib import nullcontext
from dataclasses import asdict, dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves
from transformers import PreTrainedModel

from ...spaces.shape import Shape
from ..method import Method
from ..model.attention import attend_by, name_of
from ..model.checkpointing import checkpointed
from ..model.pack import Pack, build_parts
from ..model.sites import Sites

ELEMENT = 40
"""Bytes of a trained element beside its moments: value, gradient, unit and rate, whose it is and where, and a step's own copies."""
MOMENTS = 8
"""Bytes of its two moments."""
LOGIT = 16
"""Bytes of an answer token's logit in a step: itself and its gradient in the model's dtype, both in float32, and the sum's exponential."""


@dataclass(frozen=True)
class Memory:
    """Bytes; beside them, Python and its libraries take some hundred megabytes a process."""

    base: int
    """Frozen weights and buffers."""
    adapters: int
    """What the trials of the pack train, and the tensors that their seeds regenerate."""
    optimiser: int
    """Moments of what is trained."""
    activations: int
    """Largest sum of a pass's own tensors, forward and backward."""
    counted: bool = True
    """False where activations are estimated by the linears: the family looks at numbers while it runs."""

    @property
    def total(self) -> int:
        """All of it."""
        return self.base + self.adapters + self.optimiser + self.activations

    def to_json(self) -> dict[str, Any]:
        """Return plain values for JSON."""
        return {**asdict(self), "total": self.total}


@dataclass(frozen=True)
class Pass:
    """The size of one pass: rows of each trial, tokens of a row, trials; whether blocks are computed again in backward."""

    rows: int
    tokens: int
    trials: int = 1
    checkpointing: bool = False
    logits: int = 0
    """Of a row's written answer: tokens times vocabulary."""


def memory_of(model: PreTrainedModel, shape: Shape, methods: Sequence[Method], size: Pass, *, kernel: Any = "eager") -> Memory:
    """Return what training a pack of equal trials takes; `model` is on the meta device, in the dtype that it will be used in."""
    pack = Pack([build_parts(trial, methods, shape, trial) for trial in range(size.trials)], device=torch.device("cpu"))
    frozen = sum(tensor.nbytes for group in pack.groups for tensor in group.frozen.values())
    elements = pack.flat.numel()
    attend_by(model, name_of(kernel))
    try:
        activations, counted = _activations(model, shape, pack, size), True
    except (RuntimeError, NotImplementedError, ValueError, IndexError):
        activations, counted = _estimated(model, shape, size), False
    activations += LOGIT * size.rows * size.trials * size.logits
    return Memory(bytes_of(model), ELEMENT * elements + frozen, MOMENTS * elements, activations, counted)


def bytes_of(model: nn.Module) -> int:
    """Bytes of a model's parameters and buffers, tied ones once."""
    return sum(tensor.nbytes for tensor in (*model.parameters(), *model.buffers()))


def _activations(model: PreTrainedModel, shape: Shape, pack: Pack, size: Pass) -> int:
    meta, rows = torch.device("meta"), size.rows * size.trials
    flat = torch.zeros(pack.flat.shape, device=meta, requires_grad=True)
    frozen = [{name: tensor.to(meta) for name, tensor in group.frozen.items()} for group in pack.groups]
    held = (flat, *(tensor for own in frozen for tensor in own.values()))
    living = Living(outside=(*model.parameters(), *model.buffers(), *held))
    with living, Sites(model, shape, pack.groups, trials=size.trials) as sites:
        values = [{**own, **held} for own, held in zip(pack.unflatten(flat), frozen, strict=True)]
        embedded = torch.zeros(size.trials, size.rows, size.tokens, shape.width, dtype=model.dtype, device=meta)
        again = checkpointed(model, sites.again) if size.checkpointing else nullcontext()
        with sites.bind(values, rows=size.rows), again:
            embeds, _ = sites.prompts(embedded)
            mask = torch.ones(rows, embeds.shape[2], dtype=torch.long, device=meta)
            loss = _read(model, {"inputs_embeds": embeds.flatten(0, 1), "attention_mask": mask}).float().mean()
        torch.autograd.grad(loss, flat, allow_unused=True)
    return living.peak


def _read(model: PreTrainedModel, given: dict[str, Tensor]) -> Tensor:
    """What labels are read off: hidden states, or an encoder-decoder's logits at its first position."""
    if model.config.is_encoder_decoder:
        start = torch.zeros(len(given["attention_mask"]), 1, dtype=torch.long, device="meta")
        logits: Tensor = model(**given, decoder_input_ids=start, use_cache=False).logits
        return logits
    cached = {} if model.base_model is model else {"use_cache": False}
    hidden: Tensor = model.base_model(**given, **cached)[0]
    return hidden


def _estimated(model: PreTrainedModel, shape: Shape, size: Pass) -> int:
    """By the linears: each one's output and as much again, the states around a block four times, and two tables of attention scores."""
    tokens = size.rows * size.trials * size.tokens
    wide = sum(2 * linear.outputs for linear in shape.linears) + 4 * shape.layers * shape.state_width
    scores = sum(2 * attention.heads for attention in shape.attentions) * tokens * size.tokens
    kept = model.dtype.itemsize * (tokens * wide + scores)
    return (
        kept if not size.checkpointing else kept // max(1, shape.layers) + shape.layers * tokens * shape.state_width * model.dtype.itemsize
    )


class Living(TorchDispatchMode):
    """Adds up the bytes of tensors that are made while it is on, for as long as they live; `peak` is the most that lived at once."""

    def __init__(self, *, outside: Iterable[Tensor] = ()) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.now, self.peak = 0, 0
        self._known = {tensor.untyped_storage()._cdata for tensor in outside}  # views of these take no memory

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        made = func(*args, **(kwargs or {}))
        for tensor in tree_leaves(made):
            if isinstance(tensor, Tensor):
                self._note(tensor.untyped_storage())
        return made

    def _note(self, storage: torch.UntypedStorage) -> None:
        key, size = storage._cdata, storage.nbytes()
        if key in self._known:
            return
        self._known.add(key)
        self.now += size
        self.peak = max(self.peak, self.now)
        weakref.finalize(storage, self._gone, key, size)

    def _gone(self, key: int, size: int) -> None:
        self._known.discard(key)
        self.now -= size
