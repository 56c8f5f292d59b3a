"""Tiny models of real classes, made from a seed: an encoder, a decoder with grouped-query attention, an encoder-decoder, a GPT-2."""

from dataclasses import replace
from functools import cache
from pathlib import Path
from typing import Any

import torch
from tokenizers import Tokenizer
from tokenizers.models import WordLevel
from tokenizers.pre_tokenizers import Whitespace
from transformers import (
    BertConfig,
    BertModel,
    GPT2Config,
    GPT2LMHeadModel,
    LlamaConfig,
    LlamaForCausalLM,
    PreTrainedModel,
    PreTrainedTokenizerFast,
    T5Config,
    T5ForConditionalGeneration,
)

from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.backbone import Backbone, load

from . import litter

WORDS = 64
FAMILIES = ("encoder", "decoder", "encoder-decoder", "gpt2")


def tokenizer() -> PreTrainedTokenizerFast:
    """A word-level tokenizer over `w0 … w63` and the label words red, green, blue."""
    words = ["<pad>", "<unk>", "</s>", "red", "green", "blue", "Answer", ":", *(f"w{i}" for i in range(WORDS))]
    core = Tokenizer(WordLevel({word: index for index, word in enumerate(words)}, unk_token="<unk>"))
    core.pre_tokenizer = Whitespace()
    return PreTrainedTokenizerFast(tokenizer_object=core, pad_token="<pad>", unk_token="<unk>", eos_token="</s>")


def model(family: str) -> PreTrainedModel:
    """A random model of width 32 with two layers (T5: two and two), weights large enough that adapters matter."""
    torch.manual_seed(0)
    size = len(tokenizer())
    common: dict[str, Any] = {
        "vocab_size": size,
        "hidden_size": 32,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "intermediate_size": 48,
    }
    if family == "encoder":
        return BertModel(BertConfig(**common, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0))
    if family == "decoder":
        config = LlamaConfig(
            **common, num_key_value_heads=2, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0, eos_token_id=2
        )
        return LlamaForCausalLM(config)
    if family == "gpt2":
        return GPT2LMHeadModel(GPT2Config(vocab_size=size, n_embd=32, n_layer=2, n_head=4, n_positions=64, initializer_range=0.2))
    t5 = T5Config(vocab_size=size, d_model=32, d_kv=8, d_ff=48, num_layers=2, num_heads=4, pad_token_id=0)
    t5.decoder_start_token_id = 0
    return T5ForConditionalGeneration(t5)


def save(family: str, folder: Path) -> Path:
    """Write a tiny model and its tokenizer as a transformers folder."""
    model(family).save_pretrained(folder)
    tokenizer().save_pretrained(folder)
    return folder


@cache
def saved(family: str) -> str:
    """Folder of a tiny model, written once a session."""
    return str(save(family, litter.folder(family)))


@cache
def backbone(family: str, dtype: str = "float64") -> Backbone:
    """The tiny model of a family through the real loader, for a task of three labels."""
    loaded = load(ModelSpec(saved(family), dtype="float32", device="cpu"))
    loaded.model.to(getattr(torch, dtype))
    return replace(loaded, shape=replace(loaded.shape, labels=3))
