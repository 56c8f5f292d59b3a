"""Tiny masked language models of real classes, written and loaded as a user's folder is."""

import tempfile
from dataclasses import replace
from functools import cache
from pathlib import Path

import torch
from transformers import AutoConfig, AutoModelForMaskedLM, PreTrainedTokenizerFast

from ulpt_search.spaces.space import ModelSpec, TaskSpec
from ulpt_search.workers.model.backbone import Backbone, load

from . import families

FAMILIES = ("bert", "roberta", "distilbert", "electra", "albert", "modernbert", "deberta", "deberta-v2", "mpnet", "xlm-roberta")
ENDING = str(TaskSpec(readout="mask").mask)


def tokenizer(name: str) -> PreTrainedTokenizerFast:
    """The family's tokenizer of `tests/families.py` with a mask token."""
    made = families.tokenizer(families.FAMILIES[name])
    made.add_special_tokens({"mask_token": "<mask>"})
    return made


@cache
def folder(name: str) -> Path:
    """The family's masked language model with random weights, none of them a plain zero or one."""
    tiny, words = families.FAMILIES[name], tokenizer(name)
    ids = {"pad_token_id": words.pad_token_id, "eos_token_id": words.eos_token_id, "bos_token_id": words.bos_token_id}
    config = AutoConfig.for_model(tiny.kind, **{"vocab_size": families.SIZE, **ids, **tiny.fields})
    torch.manual_seed(0)
    model = AutoModelForMaskedLM.from_config(config)
    with torch.no_grad():
        for parameter in model.parameters():
            parameter.add_(torch.randn_like(parameter) * (0.3 if parameter.ndim == 1 else 0.1))
    path = Path(tempfile.mkdtemp(prefix=f"ulpt-masked-{name}-"))
    model.eval().save_pretrained(path)
    words.save_pretrained(path)
    return path


def spec(name: str, ending: str = ENDING) -> ModelSpec:
    """How a space names it."""
    return ModelSpec(str(folder(name)), dtype="float32", device="cpu", mask=ending)


@cache
def backbone(name: str, ending: str = ENDING) -> Backbone:
    """The same through the real loader, with the tokenizer that was made for it, not its name's."""
    return replace(load(spec(name, ending)), tokenizer=tokenizer(name))
