"""Reading a transformers model: which modules are its layers, linears, norms and attentions, under names common to all families."""

import copy
import inspect
from collections.abc import Collection, Iterator, Sequence
from dataclasses import replace
from functools import partial
from weakref import WeakKeyDictionary

import torch
from torch import nn
from transformers import PretrainedConfig, PreTrainedModel
from transformers.models.auto.modeling_auto import MODEL_FOR_CAUSAL_LM_MAPPING_NAMES, MODEL_FOR_MASKED_LM_MAPPING_NAMES
from transformers.pytorch_utils import Conv1D

from ...spaces.errors import WrongInput
from ...spaces.shape import Attention, Family, Linear, Norm, Shape
from .fused import LATENT, parts_of
from .quantised import dense, is_packed
from .sizes import rms

# Last parts of a module's name -> role in the block. A linear found under no name here keeps its own last part as its role.
ROLES = {
    "self.query": "q", "self.key": "k", "self.value": "v", "attention.output.dense": "o",
    "intermediate.dense": "up", "output.dense": "down",
    "q_proj": "q", "k_proj": "k", "v_proj": "v", "q_b_proj": "q", "o_proj": "o", "gate_proj": "gate", "up_proj": "up", "down_proj": "down",
    "out_proj": "o", "fc1": "up", "fc2": "down",
    "SelfAttention.q": "q", "SelfAttention.k": "k", "SelfAttention.v": "v", "SelfAttention.o": "o",
    "EncDecAttention.q": "cross_q", "EncDecAttention.k": "cross_k", "EncDecAttention.v": "cross_v", "EncDecAttention.o": "cross_o",
    "encoder_attn.q_proj": "cross_q", "encoder_attn.k_proj": "cross_k", "encoder_attn.v_proj": "cross_v",
    "encoder_attn.out_proj": "cross_o",
    "self_attn.gate_proj": "attn_gate", "feed_forward.w1": "gate", "feed_forward.w3": "up", "feed_forward.w2": "down",
    "feed_forward.intermediate": "up", "feed_forward.output": "down",
    "ngram_self_attn.query_proj": "q", "ngram_self_attn.key_proj": "k", "ngram_self_attn.value_proj": "v",
    "self_attn.query_proj": "q", "self_attn.key_proj": "k", "self_attn.value_proj": "v",
    "cross_attn.query_proj": "cross_q", "cross_attn.key_proj": "cross_k", "cross_attn.value_proj": "cross_v",
    "cross_attn.out_proj": "cross_o",
    **{f"{attention}.{part}_proj": f"cross_{part}" for attention in ("cross_attn", "cross_attention") for part in ("q", "k", "v", "o")},
    "cross_attention.out_proj": "cross_o",
    "multi_head_attention.Wq": "q", "multi_head_attention.Wk": "k", "multi_head_attention.Wv": "v", "multi_head_attention.dense": "o",
    "ffn.0": "up", "ffn.2": "down",
    "wi": "up", "wi_0": "gate", "wi_1": "up", "wo": "down",
    "attn.c_attn": "qkv", "attn.c_proj": "o", "mlp.c_fc": "up", "mlp.c_proj": "down",
    "Wqkv": "qkv", "attn.Wo": "o", "mlp.Wi": "up", "mlp.Wo": "down",
    "q_lin": "q", "k_lin": "k", "v_lin": "v", "out_lin": "o", "lin1": "up", "lin2": "down",
    "self.query_proj": "q", "self.key_proj": "k", "self.value_proj": "v", "self.in_proj": "qkv",
    "crossattention.self.query": "cross_q", "crossattention.self.key": "cross_k", "crossattention.self.value": "cross_v",
    "crossattention.output.dense": "cross_o",
    "attention.query_key_value": "qkv", "self_attention.query_key_value": "qkv", "self_attn.query_key_value": "qkv",
    "attention.dense": "o", "self_attention.dense": "o",
    "self_attn.dense": "o", "mlp.dense_h_to_4h": "up", "mlp.dense_4h_to_h": "down", "qkv_proj": "qkv", "gate_up_proj": "gate_up",
    "attn.Wqkv": "qkv", "attn.out_proj": "o", "ffn.up_proj": "up", "ffn.down_proj": "down", "fc_in": "up", "fc_out": "down",
    "attention.query": "q", "attention.key": "k", "attention.value": "v", "ffn": "up", "ffn_output": "down",
    "crossattention.c_attn": "cross_kv", "crossattention.q_attn": "cross_q", "crossattention.c_proj": "cross_o",
}  # fmt: skip


EXPERTS_DIMENSIONS = 3
"""Of a tensor that holds the weights of all experts."""
TOKENS_FIRST = ("xlnet", "fsmt")
"""Families whose blocks see (tokens, rows, width)."""


def family_of(config: PretrainedConfig) -> Family:
    """Say whether a configuration describes an encoder, a decoder or an encoder-decoder."""
    if config.is_encoder_decoder:
        return "encoder-decoder"
    causal = config.model_type in MODEL_FOR_CAUSAL_LM_MAPPING_NAMES
    return "decoder" if causal and config.model_type not in MODEL_FOR_MASKED_LM_MAPPING_NAMES else "encoder"


def name_body(model: PreTrainedModel) -> None:
    """See to it that `base_model` is what makes hidden states, where a class with a head names no such part of its own (Llama 4's)."""
    if model.base_model is model and model.get_output_embeddings() is not None and not model.config.is_encoder_decoder:
        table = model.get_input_embeddings()
        inside = [name for name, part in model.named_children() if part is not table and any(own is table for own in part.modules())]
        model.base_model_prefix = inside[0] if inside else model.base_model_prefix


def read_shape(model: PreTrainedModel) -> Shape:
    """Return the shape of a model; works on the meta device too, where the sizes of weights are what such models start from."""
    table: torch.Tensor = model.get_input_embeddings().weight  # type: ignore[assignment]
    blocks = list(blocks_of(model))
    linears = [tuple(_linears(model, layer, prefix, block)) for layer, (prefix, block) in enumerate(blocks)]
    if model.config.model_type in TOKENS_FIRST:
        raise WrongInput(
            f"model: a {model.config.model_type} computes tokens first, rows second, so trials cannot share it; give another model"
        )
    if getattr(model.config, "hidden_size_per_layer_input", 0):
        raise WrongInput(
            f"model: every layer of a {model.config.model_type} looks token ids up again, which a virtual token has not; give another model"
        )
    if not any(linears):
        looked = "members of an nn.ModuleList that hold an nn.Linear or a Conv1D"
        raise WrongInput(f"model: a {model.config.model_type} has no blocks to adapt (looked for {looked}); give another model")
    return Shape(
        family=family_of(model.config),
        width=table.shape[1],
        layers=len(blocks),
        vocabulary=table.shape[0],
        embedding_rms=rms(table, fallback=getattr(model.config, "initializer_range", 0.02)),
        linears=tuple(linear for own in linears for linear in own),
        norms=tuple(_norms(model, blocks)),
        attentions=tuple(attention for own in linears for attention in _attentions(model, own)),
        hidden=_state_width(model),
        pooler=_has_pooler(model),
        apart=tuple(dict.fromkeys(_apart(model, blocks, {linear.name for own in linears for linear in own}))),
        rows=None if table.device.type == "meta" else partial(_rows, model.get_input_embeddings()),
    )


def _apart(model: PreTrainedModel, blocks: Sequence[tuple[str, nn.Module]], sites: Collection[str]) -> Iterator[str]:
    """Weights of linears that are no sites, and of experts that are kept in one tensor, by the last two parts of their names."""
    for prefix, block in blocks:
        for name, parameter in block.named_parameters():
            module = f"{prefix}.{name}".rpartition(".")[0]
            linear = isinstance(model.get_submodule(module), nn.Linear | Conv1D) and name.endswith(".weight")
            if (linear and module not in sites) or parameter.ndim == EXPERTS_DIMENSIONS:
                parts = [part for part in (module if linear else f"{prefix}.{name}").split(".") if not part.isdigit()]
                yield ".".join(parts[-2:])


def _state_width(model: PreTrainedModel) -> int | None:
    """How wide the states are that a model puts out; OPT brings them back to the width of its embeddings."""
    config = model.config
    return getattr(config, "word_embed_proj_dim", None) or getattr(config, "hidden_size", None)


def _has_pooler(model: PreTrainedModel) -> bool:
    """Whether an encoder has BERT's dense layer over its first hidden state, with numbers in it."""
    pooler = getattr(model, "pooler", None)
    layer = getattr(pooler, "dense", None)
    if not isinstance(layer, nn.Linear) or not hasattr(pooler, "activation"):
        return False
    return layer.weight.device.type == "meta" or bool(dense(layer.weight).any())


def has_rows(model: PreTrainedModel, name: str) -> bool:
    """Whether each trial has its own rows at a module of this name, and something comes of what is changed there.

    Experts see tokens in an order of their own; routers choose, see padding, and give more than one tensor. DeBERTa's projections see
    its table of distances, too; Longformer's attention sees tokens first, rows second; Mamba uses weights without calling their
    linears: `dt_proj`, and in kernels for GPUs `out_proj`, which PEFT refuses, too.
    """
    parent = model.get_submodule(name.rpartition(".")[0])
    if ".experts." in name or ".router." in name or hasattr(parent, "one_sided_attn_window_size"):
        return False
    if hasattr(parent, "A_log") and hasattr(parent, "D") and name.endswith(".out_proj"):
        return False
    shared = ("query_proj", "key_proj") if getattr(model.config, "share_att_key", False) else ()
    return not name.endswith(("pos_proj", "pos_q_proj", ".router", ".gate.wg", "dt_proj", *shared))


def _rows(embeddings: nn.Module, ids: Sequence[int]) -> list[list[float]]:
    """Rows of the table as bfloat16 holds them: the same whatever the model is computed in."""
    table: torch.Tensor = embeddings.weight  # type: ignore[assignment]
    chosen: list[list[float]] = table.detach()[list(ids)].to("cpu", torch.bfloat16).float().tolist()
    return chosen


def weight_of(module: nn.Module, site: Linear | None = None) -> torch.Tensor:
    """The frozen weight of a linear as (outputs, inputs), however the module stores it; of a part of it, its own rows."""
    weight = dense(module.weight)  # type: ignore[arg-type]
    whole = weight.T if isinstance(module, Conv1D) else weight
    own = whole if site is None or site.share is None else whole[site.share.places()]
    if is_packed(module.weight):  # made anew at each call, so what is remembered of it is remembered of what stays
        own.stays = (module.weight, None if site is None else site.share)  # type: ignore[attr-defined]
    return own


def bias_of(module: nn.Module, site: Linear) -> torch.Tensor | None:
    """The frozen bias (outputs,) of a linear, or of a part of it; None without one."""
    bias: torch.Tensor | None = module.bias  # type: ignore[assignment]
    return bias if bias is None or site.share is None else bias[site.share.places()]


def blocks_of(model: nn.Module) -> Iterator[tuple[str, nn.Module]]:
    """The repeated blocks in forward order: members of the outermost module lists that contain a linear."""
    done: list[str] = []
    for name, module in model.named_modules():
        if not isinstance(module, nn.ModuleList) or any(name.startswith(f"{outer}.") for outer in done):
            continue
        if any(isinstance(inner, nn.Linear | Conv1D) for inner in module.modules()):
            done.append(name)
            yield from ((f"{name}.{index}", block) for index, block in enumerate(module))


def _role(name: str) -> str:
    parts = name.split(".")
    for length in (3, 2, 1):
        role = ROLES.get(".".join(parts[-length:]))
        if role is not None:
            return role
    return parts[-1]


def _linears(model: PreTrainedModel, layer: int, prefix: str, block: nn.Module) -> Iterator[Linear]:
    seen: set[str] = set()
    for name, module in block.named_modules():
        if not isinstance(module, nn.Linear | Conv1D) or not has_rows(model, f"{prefix}.{name}"):
            continue
        weight = weight_of(module)
        outputs, inputs = weight.shape
        role = _role(f"{prefix}.{name}")
        role = role if role not in seen else name.replace(".", "_")
        seen.add(role)
        size, turned = rms(weight, fallback=Linear.rms), isinstance(module, Conv1D)
        linear = Linear(f"{prefix}.{name}", layer, role, inputs, outputs, module.bias is not None, size, turned)
        yield replace(linear, parts=parts_of(model.config, linear, weight))


def is_norm(module: nn.Module) -> bool:
    """Whether a module is a LayerNorm or an RMSNorm with a learnt scale.

    One that multiplies by a gate behind it is something else, and Falcon-Mamba has some with a buffer that only kernels read.
    """
    weight = getattr(module, "weight", None)
    if "gate" in inspect.signature(module.forward).parameters:
        return False
    return "norm" in type(module).__name__.lower() and isinstance(weight, nn.Parameter) and weight.ndim == 1


def _norms(model: nn.Module, blocks: list[tuple[str, nn.Module]]) -> Iterator[Norm]:
    for name, module in model.named_modules():
        if is_norm(module) and not _of_a_table(model, name):
            layer = next((i for i, (prefix, _) in enumerate(blocks) if name.startswith(f"{prefix}.")), -1)
            local = name.removeprefix(f"{blocks[layer][0]}.") if layer >= 0 else name
            bias = getattr(module, "bias", None) is not None
            yield Norm(name, layer, local.replace(".", "_"), module.weight.shape[0], bias, _gain(module))


def _of_a_table(model: nn.Module, name: str) -> bool:
    """Whether a norm is that of DeBERTa's table of distances, which has no rows."""
    return hasattr(model.get_submodule(name.rpartition(".")[0]), "rel_embeddings")


def _attentions(model: PreTrainedModel, block: Sequence[Linear]) -> Iterator[Attention]:
    """The self-attention of a block of linears: the module that holds its key (or fused) projection.

    None where keys and values come out of a latent: they are of different widths, and kept as what they come from.
    """
    linears = {part.role: part for linear in block if linear.role != LATENT for part in (linear, *linear.parts)}
    key = linears.get("k") or linears.get("qkv")
    heads = int(getattr(model.config, "num_attention_heads", None) or 0)
    if key is None or not heads:
        return
    kv_heads = int(getattr(model.config, "num_key_value_heads", None) or heads)
    width = key.outputs if key.role == "k" else key.outputs * kv_heads // (heads + 2 * kv_heads)
    kv_heads = kv_heads if key.share is None else width * heads // linears["q"].outputs
    keys, values = (_size(model, linears.get(role, key), part) for role, part in (("k", 1), ("v", 2)))
    name = key.name.rpartition(".")[0]
    extends = _asks_interface(model.get_submodule(name))
    yield Attention(name, key.layer, heads, kv_heads, width // kv_heads, keys, values, extends)


def _size(model: nn.Module, linear: Linear, part: int) -> float:
    """Root mean square of a linear's output for inputs of root mean square 1; of a fused one, of the third that is `part`."""
    module = model.get_submodule(linear.name)
    weight, bias = weight_of(module, linear), bias_of(module, linear)
    if weight.device.type == "meta":
        return 1.0
    if linear.role == "qkv":
        weight, bias = weight.chunk(3)[part], None if bias is None else bias.chunk(3)[part]
    squares = weight.shape[1] * rms(weight, fallback=1.0) ** 2 + (0.0 if bias is None else rms(bias, fallback=0.0) ** 2)
    return float(f"{squares**0.5:.9g}")


@torch.no_grad()
def _gain(module: nn.Module) -> float:
    """Root mean square of a norm's scale, seen in what it does to ±1: families differ in what their weight is added to."""
    weight: torch.Tensor = module.weight  # type: ignore[assignment]
    if weight.device.type == "meta":
        return 1.0
    signs = torch.ones_like(weight)
    signs[::2] = -1
    precise = module if weight.dtype == torch.float32 else copy.deepcopy(module).float()  # the same, whatever its numbers lie in
    signs = signs.float()
    scaled: torch.Tensor = (precise(signs[None]) - precise(-signs[None])) / 2
    return rms(scaled, fallback=1.0)


def _asks_interface(attention: nn.Module) -> bool:
    """Whether a module attends by transformers' attention interface; families such as DeBERTa do not, and would ignore a prefix."""
    return "ALL_ATTENTION_FUNCTIONS" in inspect.unwrap(type(attention).forward).__code__.co_names


def relative_bias(model: nn.Module, attention: str) -> nn.Module | None:
    """The module with the table of relative position biases that the attention of this name reads; None without one.

    In T5 a stack shares that of its first layer, in UMT5 every layer has its own.
    """
    own = model.get_submodule(attention)
    if not hasattr(own, "compute_bias"):
        return None
    stack = model.get_submodule(attention.partition(".")[0])
    return next((module for module in (own, *stack.modules()) if getattr(module, "has_relative_attention_bias", False)), None)


_CENTRES: WeakKeyDictionary[nn.Module, bool] = WeakKeyDictionary()


@torch.no_grad()
def centres(module: nn.Module) -> bool:
    """Whether a norm takes the mean away first: tried, for Cohere's does and has neither a bias nor LayerNorm's name."""
    if module not in _CENTRES:
        weight: torch.Tensor = module.weight  # type: ignore[assignment]
        known = isinstance(module, nn.LayerNorm) or getattr(module, "bias", None) is not None
        _CENTRES[module] = known if known or weight.device.type == "meta" else _forgets_a_shift(module, weight)
    return _CENTRES[module]


def _forgets_a_shift(module: nn.Module, weight: torch.Tensor) -> bool:
    """Whether ±1 and the same with 3 added come to the same, beside anything at all."""
    signs = torch.ones_like(weight)
    signs[::2] = -1
    plain, moved = module.forward(signs[None]), module.forward(signs[None] + 3)
    return bool(plain.any()) and bool((plain - moved).abs().max() < 0.1 * plain.abs().max())


def standardise(module: nn.Module, x: torch.Tensor) -> torch.Tensor:
    """What a norm computes before its scale and shift, in float32: x̂ of the same shape as `x`."""
    eps = float(getattr(module, "eps", None) or getattr(module, "variance_epsilon"))  # noqa: B009 - either name, by family
    centred = x.float()
    if centres(module):
        centred = centred - centred.mean(-1, keepdim=True)
    return centred * torch.rsqrt(centred.square().mean(-1, keepdim=True) + eps)
