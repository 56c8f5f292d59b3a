"""Which outputs of a fused projection are whose: q, k and v of one linear, a gate and what it multiplies.

Families lay them out in one of a few ways. `tests/test_fused.py` holds every family to what its own class does with the outputs; a family
that is not here keeps its fused linear whole.
"""

from collections.abc import Iterator
from dataclasses import replace

from torch import Tensor
from transformers import PretrainedConfig

from ...spaces.shape import Linear, Share
from .sizes import rms

BLOCKS = ("gpt2", "openai-gpt", "imagegpt", "mpt", "phi3", "modernbert", "dbrx")
"""All of q, then all of k, then all of v."""
HEADS = ("gpt_neox", "gpt_neox_japanese", "bloom", "persimmon", "deberta")
"""q, k and v of the first head, then of the next."""
HALVES = ("phi3", "glm", "glm4", "phi4_multimodal")
"""All of the gate, then all of up."""
CODEGEN_QUARTERS = 4
"""CodeGen was laid out for this many devices: each quarter has its heads' q, then v, then k."""
LATENT = "kv_b_proj"
"""Where attention is latent (DeepSeek, MiniCPM3): what makes of a token's latent each head's key, but for its rotary part, and value.
Queries are those of `q_proj`, or of `q_b_proj`, which reads a latent of its own; the linears that make latents keep their own names."""


def parts_of(config: PretrainedConfig, linear: Linear, weight: Tensor) -> tuple[Linear, ...]:
    """The linears that a fused one holds; `weight` (outputs, inputs) is its own, on the meta device too."""
    shares = dict(_shares(config, linear))
    made = []
    for role, share in shares.items():
        size = rms(weight[share.places()], fallback=Linear.rms)
        made.append(replace(linear, role=role, outputs=share.size, rms=size, share=share))
    return tuple(made)


def _shares(config: PretrainedConfig, linear: Linear) -> Iterator[tuple[str, Share]]:
    kind = config.model_type
    if linear.role == "gate_up" and kind in HALVES:
        half = linear.outputs // 2
        yield from (("gate", Share(0, half)), ("up", Share(half, half)))
    if linear.role == LATENT:
        key, value = int(getattr(config, "qk_nope_head_dim", 0)), int(getattr(config, "v_head_dim", 0))
        if key and value and linear.outputs % (key + value) == 0:
            heads = linear.outputs // (key + value)
            yield from (("k", Share(0, key, key + value, heads)), ("v", Share(key, value, key + value, heads)))
        return
    if linear.role != "qkv":
        return
    heads = int(config.num_attention_heads)
    groups = _groups(config, heads)
    size = linear.outputs // (heads + 2 * groups)
    if kind in BLOCKS or (kind in ("gpt_bigcode", "falcon") and groups == 1):
        q, kv = heads * size, groups * size
        yield from (("q", Share(0, q)), ("k", Share(q, kv)), ("v", Share(q + kv, kv)))
    elif kind in (*HEADS, "gpt_bigcode", "falcon"):
        own = heads // groups
        runs = {"q": (0, own), "k": (own, 1), "v": (own + 1, 1)}
        yield from ((role, Share(first * size, length * size, (own + 2) * size, groups)) for role, (first, length) in runs.items())
    elif kind == "codegen":
        length = linear.outputs // 3 // CODEGEN_QUARTERS
        yield from ((role, Share(place * length, length, 3 * length, CODEGEN_QUARTERS)) for place, role in enumerate(("q", "v", "k")))


def _groups(config: PretrainedConfig, heads: int) -> int:
    """Number of key heads of a fused projection; families say it each in a way of their own."""
    if config.model_type == "falcon":
        return int(config.num_kv_heads) if config.new_decoder_architecture else 1 if config.multi_query else heads
    if config.model_type == "gpt_bigcode":
        return 1 if config.multi_query else heads
    if config.model_type == "dbrx":
        return int(config.attn_config.kv_n_heads)
    return int(getattr(config, "num_key_value_heads", None) or heads)
