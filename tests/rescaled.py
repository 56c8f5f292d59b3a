"""Tiny models that compute what those of `zoo` do, with some weights multiplied and what reads their output divided."""

from dataclasses import replace
from typing import Any

from torch import nn

from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.architecture import read_shape
from ulpt_search.workers.model.backbone import Backbone, load

from . import zoo


def fresh(family: str) -> Backbone:
    """A double copy of a family's model that may be changed."""
    loaded = load(ModelSpec(zoo.saved(family), dtype="float32", device="cpu"))
    loaded.model.double()
    return loaded


def measured(backbone: Backbone) -> Backbone:
    """The same after its weights were changed."""
    return replace(backbone, shape=replace(read_shape(backbone.model), labels=3))


def embeddings(family: str, size: float) -> Backbone:
    """Token embeddings times `size`, divided where they enter the model; BERT's positions and types grow alike, under its norm."""
    backbone = fresh(family)
    model: Any = backbone.model
    if family == "encoder":
        for table in (m for m in model.embeddings.modules() if isinstance(m, nn.Embedding)):
            table.weight.mul_(size)
        return measured(backbone)
    own, grown = model.get_input_embeddings(), nn.Embedding.from_pretrained(model.get_input_embeddings().weight * size)
    model.set_input_embeddings(grown)
    entry = model.base_model
    if family == "encoder-decoder":
        entry, model.decoder.embed_tokens = model.encoder, own
    entry.register_forward_pre_hook(
        lambda _, args, given: (args, {**given, "inputs_embeds": given["inputs_embeds"] / size}), with_kwargs=True
    )
    return measured(backbone)


PAIRS = {
    "decoder": (("v_proj", "o_proj"), ("k_proj", "q_proj"), ("up_proj", "down_proj")),
    "encoder": (("self.value", "attention.output.dense"), ("self.key", "self.query")),
}
"""Linears of a family, and those that multiply their outputs."""


def linears(family: str, size: float) -> Backbone:
    """Values, keys and a Llama's inner activations times `size`, divided in what they are multiplied by."""
    backbone = fresh(family)
    for grown, shrunk in PAIRS[family]:
        for name, parameter in backbone.model.named_parameters():
            if name.endswith((f"{grown}.weight", f"{grown}.bias")):
                parameter.mul_(size)
            if name.endswith((f"{shrunk}.weight", "self.query.bias" if shrunk == "self.query" else "-")):
                parameter.div_(size)
    return measured(backbone)


def norms(size: float) -> Backbone:
    """A Llama whose norms put out `size` times as much, divided in what reads them."""
    backbone = fresh("decoder")
    model: Any = backbone.model
    model.lm_head.weight = nn.Parameter(model.lm_head.weight / size, requires_grad=False)
    model.model.norm.weight.mul_(size)
    for layer in model.model.layers:
        layer.input_layernorm.weight.mul_(size)
        layer.post_attention_layernorm.weight.mul_(size)
        attention, mlp = layer.self_attn, layer.mlp
        for reader in (attention.q_proj, attention.k_proj, attention.v_proj, mlp.gate_proj, mlp.up_proj):
            reader.weight.div_(size)
    return measured(backbone)
