"""Tiny multimodal models of real classes, written as folders with a tokenizer, as they lie on a hub."""

import tempfile
from functools import cache
from pathlib import Path
from typing import Any

import torch
from transformers import AutoConfig, AutoModelForImageTextToText

from . import families

TEXT = {
    "hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "num_key_value_heads": 2, "head_dim": 8, "intermediate_size": 48,
    "vocab_size": families.SIZE, "max_position_embeddings": families.POSITIONS, "initializer_range": 0.2, "pad_token_id": 0,
}  # fmt: skip
VISION = {"hidden_size": 16, "num_hidden_layers": 1, "num_attention_heads": 2, "intermediate_size": 16, "image_size": 8, "patch_size": 4}
DEEP = {"depth": 1, "hidden_size": 16, "num_heads": 2, "intermediate_size": 16, "out_hidden_size": 32}
SPARSE = {"linear_num_key_heads": 2, "linear_num_value_heads": 4, "linear_key_head_dim": 8, "linear_value_head_dim": 8}
WHOLES: dict[str, dict[str, Any]] = {
    "gemma3": {
        "text_config": {**TEXT, "layer_types": families.LAYER_TYPES, "sliding_window": 4, "query_pre_attn_scalar": 16},
        "vision_config": VISION,
        "mm_tokens_per_image": 4,
    },
    "mistral3": {
        "text_config": {**TEXT, "model_type": "mistral"},
        "vision_config": {**VISION, "model_type": "pixtral", "head_dim": 8},
    },
    "qwen3_5": {"text_config": {**TEXT, **SPARSE, "layer_types": ["linear_attention", "full_attention"]}, "vision_config": DEEP},
    "llava": {
        "text_config": {**TEXT, "model_type": "llama"},
        "vision_config": {**VISION, "model_type": "clip_vision_model", "projection_dim": 16},
    },
    "idefics3": {"text_config": {**TEXT, "model_type": "llama"}, "vision_config": VISION},
    "internvl": {"text_config": {**TEXT, "model_type": "qwen2"}, "vision_config": {**VISION, "image_size": [8, 8], "patch_size": [4, 4]}},
    "qwen2_5_vl": {"text_config": TEXT, "vision_config": DEEP},
}


@cache
def model(name: str) -> Any:
    """The whole model, weights random and none of them a plain zero or one."""
    torch.manual_seed(0)
    made = AutoModelForImageTextToText.from_config(AutoConfig.for_model(name, **WHOLES[name])).eval()
    with torch.no_grad():
        for parameter in made.parameters():
            parameter.add_(torch.randn_like(parameter) * 0.1)
    return made


@cache
def folder(name: str) -> Path:
    """The whole model and a tokenizer, written once a session."""
    path = Path(tempfile.mkdtemp(prefix=f"ulpt-{name}-"))
    model(name).save_pretrained(path)
    families.tokenizer(families.FAMILIES["llama"]).save_pretrained(path)
    return path
