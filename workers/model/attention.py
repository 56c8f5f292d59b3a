"""The attention that every backbone runs: plain, with an optional prefix of extra keys and values per row.

Registered through transformers' attention interface, so no model family needs code of its own. The function gets queries,
keys and values after rotary embedding, heads split, key heads not repeated.
"""

from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from typing import Any, Literal

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers import AttentionInterface, PreTrainedModel
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from .branches import current

Kernel = Literal["auto", "eager", "sdpa"]
# Some families take other paths when the name contains sdpa, flash or flex_attention.
NAMES: dict[Kernel, str] = {"auto": "ulpt_pack", "eager": "ulpt_pack_plain", "sdpa": "ulpt_pack_fused"}


HARMLESS = frozenset(
    {
        *("sliding_window", "is_causal", "cu_seq_lens_q", "cu_seq_lens_k", "max_length_q", "max_length_k"),  # the mask says it here
        *("position_ids", "cache_position", "position_embeddings", "use_cache", "deterministic"),  # queries and keys hold it
        *("output_attentions", "output_hidden_states", "output_router_logits", "num_items_in_batch", "return_dict", "training"),
    }
)
"""Options that the attention functions of transformers are given and that change nothing here."""


@dataclass(frozen=True)
class Prefix:
    """Extra positions for every row: keys and values (rows, kv_heads, n, head_dim), and which of them a row has (rows, n).

    A row's own positions stand last, next to its text, so that relative positions are those of a row with no others.
    """

    keys: Tensor
    values: Tensor
    present: Tensor
    relative: nn.Module | None = None
    """The module that computes the stack's relative position bias, where the family has one (T5)."""

    def beside(self, query: Tensor) -> "Prefix":
        """The prefix of queries (sequences, …) that may hold several sequences of each row, one behind the other."""
        copies = len(query) // len(self.keys)
        if copies == 1:
            return self
        keys, values, present = (t.repeat_interleave(copies, 0) for t in (self.keys, self.values, self.present))
        return Prefix(keys, values, present, self.relative)


def attention(
    module: nn.Module,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attention_mask: Tensor | None,
    dropout: float = 0.0,
    scaling: float | None = None,
    position_bias: Tensor | None = None,
    softcap: float | None = None,
    s_aux: Tensor | None = None,
    kernel: Kernel = "auto",
    **options: Any,  # transformers hands over options of other kernels
) -> tuple[Tensor, None]:
    """Attend from `query` (rows, heads, tokens, head_dim); returns (rows, tokens, heads, head_dim) and no weights.

    `softcap` bounds the scores, `s_aux` (heads,) are sinks: scores of a place that takes attention and gives nothing. An option
    that would change the result and is not known here is an error.
    """
    _refuse_unknown(module, options)
    prefix: Prefix | None = getattr(module, "ulpt_prefix", None)
    prefix = prefix if prefix is None else prefix.beside(query)
    branches = current()
    if branches is not None:
        branches.attentions += 1
    bias = _add(attention_mask, position_bias)
    if prefix is not None:
        key, value = torch.cat([prefix.keys, key], 2), torch.cat([prefix.values, value], 2)
        bias = _widen(bias, prefix, query)
    repeat = query.shape[1] // key.shape[1]
    if repeat > 1:
        key, value = key.repeat_interleave(repeat, 1), value.repeat_interleave(repeat, 1)
    scale = query.shape[-1] ** -0.5 if scaling is None else scaling
    if softcap is not None or s_aux is not None:
        mixed = _capped(query, key, value, bias, scale, softcap=softcap, sinks=s_aux)
    elif kernel == "eager" or (kernel == "auto" and _prefers_eager(query)):
        mixed = _eager(query, key, value, bias, scale)
    else:
        mixed = _fused(query, key, value, bias, scale)
    return mixed.transpose(1, 2).contiguous(), None  # as transformers' own hand it over: some families view it in another form


def _refuse_unknown(module: nn.Module, options: Mapping[str, Any]) -> None:
    strange = sorted(name for name, value in options.items() if value is not None and name not in HARMLESS)
    if strange:
        raise ValueError(f"the attention of {type(module).__name__} wants {', '.join(strange)}, which is not known here")


def _prefers_eager(query: Tensor) -> bool:
    """PyTorch's fused CPU kernel is several times slower than two products in bfloat16 at the lengths seen here."""
    return query.device.type == "cpu"


def _eager(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    scores = (query * scale) @ key.mT
    scores = scores if bias is None else scores + bias
    return scores.softmax(-1) @ value


def _capped(
    query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float, *, softcap: float | None, sinks: Tensor | None
) -> Tensor:
    scores = (query * scale) @ key.mT
    scores = scores if softcap is None else (scores / softcap).tanh() * softcap
    scores = scores if bias is None else scores + bias
    if sinks is None:
        return scores.softmax(-1) @ value
    aside = sinks.to(scores.dtype).view(1, -1, 1, 1).expand(*scores.shape[:-1], 1)
    return torch.cat([scores, aside], -1).softmax(-1)[..., :-1] @ value


def _fused(query: Tensor, key: Tensor, value: Tensor, bias: Tensor | None, scale: float) -> Tensor:
    return scaled_dot_product_attention(query, key, value, attn_mask=bias, scale=scale)


def _add(mask: Tensor | None, bias: Tensor | None) -> Tensor | None:
    if mask is None or bias is None:
        return bias if mask is None else mask
    return bias + mask[..., : bias.shape[-1]]


def _widen(bias: Tensor | None, prefix: Prefix, query: Tensor) -> Tensor:
    """Put a column in front of the mask for every prefix position; rows without that position may not look at it."""
    rows, n = prefix.present.shape
    closed = torch.finfo(query.dtype).min
    if bias is None:
        raise ValueError(f"a prefix of {n} needs an explicit attention mask, got None")
    front = torch.zeros(rows, 1, 1, n, dtype=query.dtype, device=query.device)
    if prefix.relative is not None:
        tokens, before = query.shape[2], n + bias.shape[-1] - query.shape[2]  # what a cache holds stands between
        table = prefix.relative.compute_bias(tokens, before + tokens, past_seen_tokens=before)  # type: ignore[operator]
        front = front + table.to(front.device)[..., :n]
    front = front.masked_fill(~prefix.present[:, None, None, :], closed).to(bias.dtype)
    return torch.cat([front.expand(rows, *bias.shape[1:3], n), bias.expand(rows, -1, -1, -1)], -1)


def explicit_mask(*args: Any, allow_is_bidirectional_skip: bool = False, **options: Any) -> Tensor | None:
    """Transformers' additive mask, made even where nothing is padded: to find that out, the host would wait for the device."""
    branches = current()
    if branches is not None:
        branches.masks += 1
        options["mask_function"] = branches.rule(options["mask_function"])
    mask: Tensor | None = ALL_MASK_ATTENTION_FUNCTIONS["eager"](*args, allow_is_bidirectional_skip=False, **options)
    return mask


def attend_by(model: PreTrainedModel, name: str) -> None:
    """Let a model attend by a registered function, in every stack of it.

    Transformers 5.17 leaves out a stack that has a copy of the model's own configuration, as T5's have.
    """
    model.set_attn_implementation(name)
    taken = model.config._attn_implementation
    for module in model.modules():
        config = getattr(module, "config", None)
        if type(config) is type(model.config) and config._attn_implementation != taken:
            config._attn_implementation = taken


def name_of(kernel: Kernel) -> str:
    """What transformers knows this attention by."""
    return NAMES[kernel]


for _kernel, _name in NAMES.items():
    AttentionInterface.register(_name, partial(attention, kernel=_kernel))
    AttentionMaskInterface.register(_name, explicit_mask)
