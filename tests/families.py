"""The tiny models of `benchmarks/tiny_families.py`, each written and loaded as a user's folder is, once a session."""

from dataclasses import replace
from functools import cache
from pathlib import Path

from ulpt_search.benchmarks.tiny_families import FAMILIES, KNOWN, LAYER_TYPES, POSITIONS, SIZE, model, tokenizer, write
from ulpt_search.spaces.space import ModelSpec
from ulpt_search.workers.model.backbone import Backbone, load

from . import litter

__all__ = ["FAMILIES", "KNOWN", "LAYER_TYPES", "POSITIONS", "SIZE", "backbone", "folder", "model", "tokenizer"]


@cache
def folder(name: str) -> Path:
    """The family's tiny model and its tokenizer as a transformers folder."""
    return write(name, litter.folder(name))


@cache
def backbone(name: str) -> Backbone:
    """The tiny model of a family through the real loader, in float32, with the tokenizer that was made for it, not its name's."""
    return replace(load(ModelSpec(str(folder(name)), dtype="float32", device="cpu")), tokenizer=tokenizer(FAMILIES[name]))
