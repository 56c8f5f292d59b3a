"""One tiny model of every family's real class, with random weights: what tests and `benchmarks/families.py` try methods on.

Weights are drawn so that everything a family does differently shows: biases, norms' scales, sinks and position tables are all moved
from their usual zeros and ones, windows are shorter than the texts, and scales differ from one.
"""

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from tokenizers.processors import TemplateProcessing
from transformers import CONFIG_MAPPING, AutoConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerFast

from ulpt_search.workers.model.architecture import family_of
from ulpt_search.workers.model.backbone import LOADERS

WIDTH, LAYERS, HEADS, POSITIONS, PRETRAINED = 32, 2, 4, 64, 48
SPECIAL = ("<pad>", "<unk>", "</s>", "<s>")
SIZE = 80


ROPE = {"rope_type": "default", "rope_theta": 1e4}
LIMIT, SIDES = {"max_position_embeddings": POSITIONS}, ("encoder", "decoder")
CHUNKS = ["chunked_attention", "full_attention"]
LAYER_TYPES = ["sliding_attention", "full_attention"]
EXPERTS = {"num_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "shared_expert_intermediate_size": 16}
GRANITE = {"embedding_multiplier": 3.0, "residual_multiplier": 0.5, "attention_multiplier": 0.3, "logits_scaling": 8.0}
WINDOWS: dict[str, Any] = {"sliding_window": 4, "layer_types": LAYER_TYPES}
MIXED: dict[str, Any] = {"layer_types": ["linear_attention", "full_attention"]}


@dataclass(frozen=True)
class Tiny:
    """What a family's config is called, its fields, and how its tokenizer differs."""

    kind: str
    fields: Mapping[str, Any] = field(default_factory=dict)
    pad: int = 0
    segments: bool = False
    """Whether the tokenizer tells the second text's tokens from the first's."""


def _wide(**more: Any) -> dict[str, Any]:
    sizes = {"hidden_size": WIDTH, "num_hidden_layers": LAYERS, "num_attention_heads": HEADS, "intermediate_size": 48}
    return {**sizes, "max_position_embeddings": POSITIONS, "initializer_range": 0.2, **more}


def _grouped(**more: Any) -> dict[str, Any]:
    return _wide(num_key_value_heads=2, head_dim=8, **more)


def _experts(**more: Any) -> dict[str, Any]:
    return _grouped(num_experts_per_tok=2, moe_intermediate_size=16, **more)


def _both(**more: Any) -> dict[str, Any]:
    sides = {
        f"{side}_{name}": value
        for side in ("encoder", "decoder")
        for name, value in (("layers", 2), ("attention_heads", 4), ("ffn_dim", 48))
    }
    return {"d_model": WIDTH, **sides, "max_position_embeddings": POSITIONS, "init_std": 0.2, "decoder_start_token_id": 2, **more}


def _gpt(**more: Any) -> dict[str, Any]:
    return {"n_embd": WIDTH, "n_layer": 2, "n_head": 4, "n_positions": POSITIONS, **more}


def _latent(**more: Any) -> dict[str, Any]:
    ranks = {"kv_lora_rank": 8, "q_lora_rank": 8, "qk_rope_head_dim": 4, "qk_nope_head_dim": 8, "v_head_dim": 8}
    experts = {"n_routed_experts": 4, "num_experts_per_tok": 2, "moe_intermediate_size": 16, "n_shared_experts": 1}
    return _wide(**{"num_key_value_heads": 4, "first_k_dense_replace": 1, **ranks, **experts, **more})


def _turning(kind: str, **more: Any) -> dict[str, Any]:
    """Rotary positions whose frequencies are others for rows beyond those of pretraining."""
    return {"rope_parameters": {"rope_type": kind, "rope_theta": 1e4, **more}}


def _t5(**more: Any) -> dict[str, Any]:
    sizes = {"d_model": WIDTH, "d_kv": 8, "d_ff": 48, "num_layers": 2, "num_heads": 4}
    return {**sizes, "decoder_start_token_id": 0, **more}


KNOWN: dict[str, Tiny] = {
    "bert": Tiny("bert", _wide(), segments=True),
    "electra": Tiny("electra", _wide(embedding_size=16), segments=True),
    "roberta": Tiny("roberta", _wide(), pad=1),
    "xlm-roberta": Tiny("xlm-roberta", _wide(), pad=1),
    "camembert": Tiny("camembert", _wide(), pad=1),
    "data2vec-text": Tiny("data2vec-text", _wide(), pad=1),
    "mpnet": Tiny("mpnet", _wide(), pad=1),
    "modernbert": Tiny("modernbert", _wide(local_attention=4, global_attn_every_n_layers=2)),
    "distilbert": Tiny("distilbert", {"dim": WIDTH, "n_layers": 2, "n_heads": 4, "hidden_dim": 48, "max_position_embeddings": POSITIONS}),
    "albert": Tiny("albert", _wide(embedding_size=16), segments=True),
    "deberta": Tiny("deberta", _wide(relative_attention=True, pos_att_type=["c2p", "p2c"], type_vocab_size=2), segments=True),
    "deberta-v2": Tiny(
        "deberta-v2",
        _wide(
            relative_attention=True, pos_att_type=["c2p", "p2c"], share_att_key=True, position_biased_input=False, position_buckets=8,
            norm_rel_ebd="layer_norm", type_vocab_size=0,
        ),
    ),
    "rembert": Tiny("rembert", _wide(input_embedding_size=16, output_embedding_size=24), segments=True),
    "roformer": Tiny("roformer", _wide(embedding_size=WIDTH), segments=True),
    "megatron-bert": Tiny("megatron-bert", _wide(), segments=True),
    "convbert": Tiny("convbert", _wide(embedding_size=16, head_ratio=2, conv_kernel_size=3), segments=True),
    "squeezebert": Tiny("squeezebert", _wide(embedding_size=WIDTH), segments=True),
    "nomic_bert": Tiny("nomic_bert", _wide(), segments=True),
    "eurobert": Tiny("eurobert", _grouped()),
    "funnel": Tiny(
        "funnel",
        {"block_sizes": [1, 1], "block_repeats": [1, 1], "architectures": ["FunnelModel"], "d_model": WIDTH, "n_head": 4, "d_head": 8,
         "d_inner": 48, "num_decoder_layers": 1},
        segments=True,
    ),
    "xlnet": Tiny("xlnet", {"d_model": WIDTH, "n_layer": 2, "n_head": 4, "d_inner": 48}),
    "ernie": Tiny("ernie", _wide(), segments=True),
    "big_bird": Tiny("big_bird", _wide(attention_type="original_full"), segments=True),
    "mobilebert": Tiny("mobilebert", _wide(embedding_size=WIDTH, intra_bottleneck_size=16, true_hidden_size=16), segments=True),
    "nystromformer": Tiny("nystromformer", _wide(), segments=True),
    "xlm-roberta-xl": Tiny("xlm-roberta-xl", _wide(), pad=1),
    "roberta-prelayernorm": Tiny("roberta-prelayernorm", _wide(), pad=1),
    "xmod": Tiny("xmod", _wide(languages=["en_XX"], default_language="en_XX"), pad=1),
    "ibert": Tiny("ibert", _wide(), pad=1),
    "fnet": Tiny("fnet", _wide(), segments=True),
    "longformer": Tiny("longformer", _wide(attention_window=4), pad=1),
    "openai-gpt": Tiny("openai-gpt", _gpt()),
    "ctrl": Tiny("ctrl", _gpt(dff=48)),
    "gpt2": Tiny("gpt2", _gpt()),
    "gpt_neo": Tiny(
        "gpt_neo",
        {"hidden_size": WIDTH, "num_layers": 2, "num_heads": 4, "attention_types": [[["global", "local"], 1]], "window_size": 4,
         "max_position_embeddings": POSITIONS, "intermediate_size": 48},
    ),
    "gptj": Tiny("gptj", _gpt(rotary_dim=4, n_inner=48)),
    "gpt_neox": Tiny("gpt_neox", _wide(rotary_pct=0.5)),
    "gpt_neox_japanese": Tiny("gpt_neox_japanese", _wide(intermediate_multiple_size=2)),
    "gpt_bigcode": Tiny("gpt_bigcode", _gpt(multi_query=True)),
    "gpt_bigcode-heads": Tiny("gpt_bigcode", _gpt(multi_query=False)),
    "codegen": Tiny("codegen", _gpt(rotary_dim=4, n_inner=48)),
    "opt": Tiny("opt", _wide(ffn_dim=48, word_embed_proj_dim=16), pad=1),
    "bloom": Tiny("bloom", {"hidden_size": WIDTH, "n_layer": 2, "n_head": 4}, pad=3),
    "falcon": Tiny("falcon", _wide(multi_query=True, parallel_attn=True, alibi=False)),
    "falcon-grouped": Tiny("falcon", _wide(new_decoder_architecture=True, num_kv_heads=2, alibi=False)),
    "falcon-alibi": Tiny("falcon", _wide(multi_query=False, parallel_attn=False, alibi=True, bias=True)),
    "mpt": Tiny("mpt", {"d_model": WIDTH, "n_layers": 2, "n_heads": 4, "expansion_ratio": 2, "max_seq_len": POSITIONS}),
    "llama": Tiny("llama", _grouped()),
    "llama-dynamic": Tiny("llama", _grouped(**_turning("dynamic", factor=4.0), max_position_embeddings=PRETRAINED)),
    "mistral": Tiny("mistral", _grouped(sliding_window=4)),
    "ministral3": Tiny("ministral3", _grouped(sliding_window=4)),
    "llama4_text": Tiny("llama4_text", _grouped(num_local_experts=4, intermediate_size_mlp=48, attention_chunk_size=4, layer_types=CHUNKS)),
    "apertus": Tiny("apertus", _grouped()),
    "arcee": Tiny("arcee", _grouped()),
    "internlm3": Tiny("internlm3", _grouped()),
    "seed_oss": Tiny("seed_oss", _grouped()),
    "bitnet": Tiny("bitnet", _grouped()),
    "hunyuan_v1_dense": Tiny("hunyuan_v1_dense", _grouped()),
    "hunyuan_v1_moe": Tiny("hunyuan_v1_moe", _grouped(num_experts=4, moe_topk=2)),
    "ernie4_5_moe": Tiny("ernie4_5_moe", _grouped(moe_num_experts=4, moe_k=2, moe_intermediate_size=16, moe_num_shared_experts=1)),
    "dots1": Tiny("dots1", _experts(n_routed_experts=4, n_shared_experts=1, n_group=1, topk_group=1, first_k_dense_replace=1)),
    "glm4_moe": Tiny("glm4_moe", _experts(n_routed_experts=4, n_shared_experts=1, n_group=1, topk_group=1, first_k_dense_replace=1)),
    "minimax_m2": Tiny("minimax_m2", _grouped(num_local_experts=4, num_experts_per_tok=2)),
    "afmoe": Tiny("afmoe", _experts(num_experts=4, num_local_experts=4, num_shared_experts=1, num_dense_layers=1, **WINDOWS)),
    "lfm2": Tiny("lfm2", _grouped(layer_types=["conv", "full_attention"])),
    "jamba": Tiny("jamba", _grouped(num_experts=4, num_experts_per_tok=2, attn_layer_period=2, attn_layer_offset=1, mamba_d_state=4)),
    "falcon_mamba": Tiny("falcon_mamba", {"hidden_size": WIDTH, "num_hidden_layers": 2, "state_size": 4}),
    "olmo_hybrid": Tiny(
        "olmo_hybrid",
        _wide(num_key_value_heads=2, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8,
              **MIXED),
    ),
    "modernbert-decoder": Tiny("modernbert-decoder", _wide(local_attention=4, global_attn_every_n_layers=2)),
    "ministral": Tiny("ministral", _grouped(sliding_window=4)),
    "mixtral": Tiny("mixtral", _grouped(num_local_experts=4, num_experts_per_tok=2, sliding_window=4)),
    "qwen2": Tiny("qwen2", _wide(num_key_value_heads=2, use_sliding_window=True, sliding_window=4, max_window_layers=1)),
    "qwen2_moe": Tiny("qwen2_moe", _wide(num_key_value_heads=2, **EXPERTS)),
    "qwen3": Tiny("qwen3", _wide(num_key_value_heads=2, head_dim=12)),
    "qwen3_moe": Tiny("qwen3_moe", _experts(num_experts=4)),
    "qwen3_5_text": Tiny(
        "qwen3_5_text",
        _grouped(linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8, linear_value_head_dim=8, **MIXED),
    ),
    "qwen3_next": Tiny(
        "qwen3_next",
        _experts(num_experts=4, shared_expert_intermediate_size=16, linear_num_key_heads=2, linear_num_value_heads=4, linear_key_head_dim=8,
                 linear_value_head_dim=8, layer_types=["linear_attention", "full_attention"]),
    ),
    "gemma": Tiny("gemma", _grouped()),
    "gemma2": Tiny("gemma2", _grouped(sliding_window=4, attn_logit_softcapping=1.0, final_logit_softcapping=3.0, query_pre_attn_scalar=16)),
    "gemma3_text": Tiny("gemma3_text", _grouped(sliding_window=4, query_pre_attn_scalar=16, layer_types=LAYER_TYPES)),
    "gemma3n_text": Tiny(
        "gemma3n_text",
        _grouped(sliding_window=4, vocab_size_per_layer_input=SIZE, hidden_size_per_layer_input=8, num_kv_shared_layers=0, laurel_rank=4,
                 layer_types=LAYER_TYPES, activation_sparsity_pattern=[0.0, 0.0], altup_num_inputs=2),
    ),
    "gemma4_text": Tiny(
        "gemma4_text",
        _grouped(sliding_window=4, layer_types=LAYER_TYPES, hidden_size_per_layer_input=0, num_kv_shared_layers=0, global_head_dim=8,
                 vocab_size_per_layer_input=SIZE),
    ),
    "gemma4_text-layers": Tiny(
        "gemma4_text",
        _grouped(sliding_window=4, layer_types=LAYER_TYPES, hidden_size_per_layer_input=8, num_kv_shared_layers=0, global_head_dim=8,
                 vocab_size_per_layer_input=SIZE),
    ),
    "phi": Tiny("phi", _wide(partial_rotary_factor=0.5)),
    "phi3": Tiny("phi3", _wide(num_key_value_heads=2, sliding_window=4)),
    "phi3-longrope": Tiny(
        "phi3",
        _wide(num_key_value_heads=2, **_turning("longrope", short_factor=[1.0] * 4, long_factor=[3.0] * 4),
              original_max_position_embeddings=PRETRAINED),
    ),
    "phimoe": Tiny("phimoe", _grouped(num_local_experts=4, num_experts_per_tok=2)),
    "stablelm": Tiny("stablelm", _wide(num_key_value_heads=2)),
    "starcoder2": Tiny("starcoder2", _wide(num_key_value_heads=2, sliding_window=4)),
    "olmo": Tiny("olmo", _wide(num_key_value_heads=2, clip_qkv=1.0)),
    "olmo2": Tiny("olmo2", _wide(num_key_value_heads=2)),
    "olmo3": Tiny("olmo3", _wide(num_key_value_heads=2, **WINDOWS)),
    "olmoe": Tiny("olmoe", _wide(num_key_value_heads=2, num_experts=4, num_experts_per_tok=2)),
    "smollm3": Tiny("smollm3", _wide(num_key_value_heads=2)),
    "granite": Tiny("granite", _wide(num_key_value_heads=2, **GRANITE)),
    "granitemoe": Tiny("granitemoe", _wide(num_key_value_heads=2, num_local_experts=4, num_experts_per_tok=2, **GRANITE)),
    "cohere": Tiny("cohere", _wide(num_key_value_heads=2, logit_scale=0.0625, use_qk_norm=True)),
    "cohere2": Tiny("cohere2", _wide(num_key_value_heads=2, logit_scale=0.25, **WINDOWS)),
    "deepseek_v2": Tiny("deepseek_v2", _latent(head_dim=4)),
    "deepseek_v3": Tiny("deepseek_v3", _latent(n_group=2, topk_group=1)),
    "minicpm3": Tiny("minicpm3", _latent(rope_parameters=ROPE)),
    "glm4_moe_lite": Tiny("glm4_moe_lite", _latent(head_dim=4, n_group=2, topk_group=1)),
    "youtu": Tiny("youtu", _latent(head_dim=4)),
    "mistral4": Tiny("mistral4", _latent(qk_nope_head_dim=12)),
    "deepseek_v32": Tiny("deepseek_v32", _latent(n_group=2, topk_group=1, index_n_heads=2, index_head_dim=8, index_topk=4)),
    "kimi_linear": Tiny("kimi_linear", _latent(q_lora_rank=None, linear_head_dim=8, linear_num_heads=4, **MIXED)),
    "gpt_oss": Tiny("gpt_oss", _grouped(num_local_experts=4, num_experts_per_tok=2, **WINDOWS)),
    "glm": Tiny("glm", _grouped()),
    "glm4": Tiny("glm4", _grouped()),
    "nemotron": Tiny("nemotron", _grouped()),
    "persimmon": Tiny("persimmon", _wide()),
    "ernie4_5": Tiny("ernie4_5", _grouped()),
    "exaone4": Tiny("exaone4", _wide(num_key_value_heads=2, **WINDOWS)),
    "helium": Tiny("helium", _grouped()),
    "mamba": Tiny("mamba", {"hidden_size": WIDTH, "num_hidden_layers": 2, "state_size": 4}),
    "mamba2": Tiny("mamba2", {"hidden_size": WIDTH, "num_hidden_layers": 2, "state_size": 4, "num_heads": 8, "head_dim": 8, "n_groups": 1}),
    "falcon_h1": Tiny(
        "falcon_h1",
        _grouped(embedding_multiplier=3.0, mamba_d_ssm=32, mamba_n_heads=4, mamba_d_head=8, mamba_d_state=4, mamba_n_groups=1),
    ),
    "rwkv": Tiny("rwkv", {"hidden_size": WIDTH, "num_hidden_layers": 2, "attention_hidden_size": WIDTH, "context_length": POSITIONS}),
    "xglm": Tiny("xglm", {"d_model": WIDTH, "num_layers": 2, "attention_heads": 4, "ffn_dim": 48, **LIMIT}, pad=1),
    "biogpt": Tiny("biogpt", _wide(), pad=1),
    "t5": Tiny("t5", _t5()),
    "mt5": Tiny("mt5", _t5(d_kv=12, feed_forward_proj="gated-gelu", tie_word_embeddings=False)),
    "umt5": Tiny("umt5", _t5()),
    "longt5": Tiny("longt5", _t5(local_radius=3, encoder_attention_type="local")),
    "switch_transformers": Tiny(
        "switch_transformers",
        _t5(num_decoder_layers=2, num_experts=4, expert_capacity=2, **{f"num_sparse_{side}_layers": 1 for side in SIDES}),
    ),
    "bart": Tiny("bart", _both(scale_embedding=True), pad=1),
    "mbart": Tiny("mbart", _both(scale_embedding=True), pad=1),
    "pegasus": Tiny("pegasus", _both(scale_embedding=True, encoder_layerdrop=0.5)),
    "marian": Tiny("marian", _both(scale_embedding=True)),
    "blenderbot": Tiny("blenderbot", _both()),
    "plbart": Tiny("plbart", _both(scale_embedding=True), pad=1),
    "mvp": Tiny("mvp", _both(), pad=1),
    "nllb-moe": Tiny("nllb-moe", _both(num_experts=4, encoder_sparse_step=2, decoder_sparse_step=2), pad=1),
    "t5gemma": Tiny(
        "t5gemma",
        {"decoder_start_token_id": 2, **{side: {**_grouped(**WINDOWS), "vocab_size": SIZE} for side in SIDES}},
    ),
    "blenderbot-small": Tiny("blenderbot-small", _both()),
    "m2m_100": Tiny("m2m_100", _both(), pad=1),
    "led": Tiny("led", _both(attention_window=[4, 4], **{f"max_{side}_position_embeddings": POSITIONS for side in SIDES})),
    "bigbird_pegasus": Tiny("bigbird_pegasus", _both(attention_type="original_full")),
    "prophetnet": Tiny(
        "prophetnet",
        {"hidden_size": WIDTH, "decoder_start_token_id": 2, **LIMIT,
         **{f"num_{side}_{part}": 2 for side in SIDES for part in ("layers", "attention_heads")},
         **{f"{side}_ffn_dim": 48 for side in SIDES}},
    ),
}  # fmt: skip
"""Of the latest transformers that this project is tried with."""
FAMILIES = {name: tiny for name, tiny in KNOWN.items() if tiny.kind in CONFIG_MAPPING}
"""Those that the installed transformers has."""


def tokenizer(tiny: Tiny) -> PreTrainedTokenizerFast:
    """A word-level tokenizer over the toy task's words; pairs are joined as BERT's, with segments where the family has them."""
    special = [token for token in SPECIAL if token != "<pad>"]
    special.insert(tiny.pad, "<pad>")
    words = [*special, "red", "green", "blue", "Answer", ":", *(f"w{i}" for i in range(64))]
    core = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = Whitespace()  # type: ignore[assignment, unused-ignore]
    second = "$B:1 </s>:1" if tiny.segments else "$B </s>"
    ends = [(token, words.index(token)) for token in ("<s>", "</s>")]
    core.post_processor = TemplateProcessing(single="<s> $A </s>", pair=f"<s> $A </s> {second}", special_tokens=ends)  # type: ignore[assignment, unused-ignore]
    inputs = ["input_ids", "token_type_ids", "attention_mask"] if tiny.segments else ["input_ids", "attention_mask"]
    named = {"pad_token": "<pad>", "unk_token": "<unk>", "eos_token": "</s>", "bos_token": "<s>"}
    return PreTrainedTokenizerFast(tokenizer_object=core, model_input_names=inputs, **named)


def config(name: str) -> PretrainedConfig:
    """The tiny model's configuration."""
    tiny = FAMILIES[name]
    words = tokenizer(tiny)
    ids = {"pad_token_id": words.pad_token_id, "eos_token_id": words.eos_token_id, "bos_token_id": words.bos_token_id}
    made: PretrainedConfig = AutoConfig.for_model(tiny.kind, **{"vocab_size": SIZE, **ids, **tiny.fields})
    return made


def empty(name: str) -> PreTrainedModel:
    """The family's own class without weights."""
    of = config(name)
    with torch.device("meta"):
        made: PreTrainedModel = LOADERS[family_of(of)].from_config(of)
    return made


def model(name: str, *, masked: bool = False) -> PreTrainedModel:
    """The family's own class with random weights, none of them a plain zero or one; its masked language model where asked for."""
    of = config(name)
    torch.manual_seed(0)
    made: PreTrainedModel = LOADERS["masked" if masked else family_of(of)].from_config(of)
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.3 if parameter.ndim == 1 else 0.1))
    made.eval()
    return made


def write(name: str, folder: Path) -> Path:
    """Write a family's tiny model and its tokenizer as a transformers folder; returns it."""
    model(name).save_pretrained(folder)
    tokenizer(FAMILIES[name]).save_pretrained(folder)
    return folder
