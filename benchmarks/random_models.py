"""Models of published sizes with random weights, made in memory: what memory and speed are measured on where nothing is downloaded."""

from collections.abc import Mapping
from dataclasses import replace
from functools import partial
from typing import Any

import torch
from transformers import AutoConfig, PretrainedConfig, PreTrainedModel, PreTrainedTokenizerBase

from ulpt_search.benchmarks.tiny_families import FAMILIES, tokenizer
from ulpt_search.spaces.identity import Content, FrozenSide
from ulpt_search.workers.model.architecture import family_of, read_shape
from ulpt_search.workers.model.attention import attend_by, name_of
from ulpt_search.workers.model.backbone import LOADERS, Backbone
from ulpt_search.workers.model.conventions import positions_of
from ulpt_search.workers.model.handling import handling_of

LLAMA: Mapping[str, Any] = {"rope_theta": 500_000.0, "rms_norm_eps": 1e-5, "bos_token_id": 3, "eos_token_id": 2, "pad_token_id": 0}
SHAPES: Mapping[str, tuple[str, Mapping[str, Any]]] = {
    "tiny": (
        "llama",
        {**LLAMA, "vocab_size": 128, "hidden_size": 64, "intermediate_size": 128, "num_hidden_layers": 2, "num_attention_heads": 4,
         "num_key_value_heads": 2, "head_dim": 16, "max_position_embeddings": 1024},
    ),
    "minilm": (
        "bert",
        {"vocab_size": 30_522, "hidden_size": 384, "num_hidden_layers": 6, "num_attention_heads": 12, "intermediate_size": 1536},
    ),
    "100m": (
        "llama",
        {**LLAMA, "vocab_size": 32_000, "hidden_size": 768, "intermediate_size": 2048, "num_hidden_layers": 12, "num_attention_heads": 12,
         "num_key_value_heads": 4, "head_dim": 64, "tie_word_embeddings": True},
    ),
    "1b": (  # Llama-3.2-1B
        "llama",
        {**LLAMA, "vocab_size": 128_256, "hidden_size": 2048, "intermediate_size": 8192, "num_hidden_layers": 16,
         "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 64, "tie_word_embeddings": True},
    ),
    "8b": (  # Llama-3.1-8B
        "llama",
        {**LLAMA, "vocab_size": 128_256, "hidden_size": 4096, "intermediate_size": 14_336, "num_hidden_layers": 32,
         "num_attention_heads": 32, "num_key_value_heads": 8, "head_dim": 128},
    ),
}  # fmt: skip


def config_of(name: str, *, vocabulary: int | None = None) -> PretrainedConfig:
    """The configuration of a size, with another vocabulary where one is asked for."""
    kind, fields = SHAPES[name]
    made: PretrainedConfig = AutoConfig.for_model(kind, **{**fields, "vocab_size": vocabulary or fields["vocab_size"]})
    return made


def model_of(name: str, *, dtype: torch.dtype, device: torch.device, vocabulary: int | None = None) -> PreTrainedModel:
    """A frozen model with weights N(0, 0.02²), norms of 1, drawn on its device; on the meta device without numbers."""
    config = config_of(name, vocabulary=vocabulary)
    with torch.device("meta"):
        model: PreTrainedModel = LOADERS[family_of(config)].from_config(config, dtype=dtype)
    if device.type != "meta":
        model.to_empty(device=device)
        model.tie_weights()
        _draw(model, config, device)
    model.config.use_cache = False
    model.eval().requires_grad_(False)
    return model


@torch.no_grad()
def _draw(model: PreTrainedModel, config: PretrainedConfig, device: torch.device) -> None:
    torch.manual_seed(0)
    for name, tensor in model.named_parameters():
        if tensor.ndim == 1:
            tensor.fill_(0.0 if name.endswith("bias") else 1.0)
        else:
            tensor.normal_(0.0, 0.02)
    small = type(config).from_dict({**config.to_dict(), "num_hidden_layers": 1, "vocab_size": 8, "intermediate_size": 8})
    with device:
        buffers = dict(type(model.base_model)(small).named_buffers())  # such as rotary frequencies: they follow from the configuration
    for name, buffer in model.base_model.named_buffers():
        buffer.copy_(buffers[name])


def backbone_of(name: str, *, dtype: torch.dtype, device: torch.device, kernel: Any = "auto", source: str = "random") -> Backbone:
    """The frozen model of a size with a tokenizer of a few words, ready for trials."""
    return around(model_of(name, dtype=dtype, device=device), tokenizer(FAMILIES["llama"]), kernel=kernel, source=source)


def around(
    model: PreTrainedModel, words: PreTrainedTokenizerBase, *, kernel: Any = "auto", source: str = "random", mask: str | None = None
) -> Backbone:
    """A frozen model that is nowhere on disk, with its tokenizer, ready for trials; `mask` as `Backbone` has it."""
    shape = replace(read_shape(model), positions=positions_of(model), handling=handling_of(model), words=partial(_words, words))
    attend_by(model, name_of(kernel))
    random = Content("random")
    return Backbone(model, words, shape, FrozenSide(random, random, random), source, mask=mask)


def _words(words: Any, text: str) -> list[int]:
    ids: list[int] = words(text)["input_ids"]
    return ids
