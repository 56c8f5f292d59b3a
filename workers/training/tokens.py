"""A task's splits as tokens, tokenised once on a machine however many workers ask."""

import json
from pathlib import Path

import torch
from transformers import PreTrainedTokenizerBase

from ...spaces.hashing import sha256_of_json
from ..model.backbone import Backbone
from ..model.node_cache import Tensors, once
from ..model.verbalizer import Encoded, encode
from ..tasks import Rows, Task

FORMAT = 2
"""Counted up whenever `encode` comes to other tokens for the same text."""


def encoded(backbone: Backbone, task: Task, *, max_tokens: int, folder: Path | None) -> dict[str, Encoded]:
    """Return the task's train, validation and test splits, kept in `folder`/tokens for other workers, or made anew without a folder."""
    rows = {"train": task.train, "validation": task.validation, "test": task.test}
    if folder is None:
        return {split: encode(backbone, data, max_tokens=max_tokens) for split, data in rows.items()}
    key = _key(backbone, task, max_tokens)
    paths = {split: folder / "tokens" / f"{key}-{split}.safetensors" for split in rows}
    return {split: _split(backbone, data, max_tokens, paths[split]) for split, data in rows.items()}


def _split(backbone: Backbone, rows: Rows, max_tokens: int, path: Path) -> Encoded:
    kept = once(path, lambda: _tensors(encode(backbone, rows, max_tokens=max_tokens)))
    types = kept["types"].numpy() if "types" in kept else None
    return Encoded(kept["tokens"].numpy(), kept["offsets"].numpy(), tuple(kept["targets"].tolist()), types)


def _tensors(data: Encoded) -> Tensors:
    tokens, offsets = torch.from_numpy(data.tokens), torch.from_numpy(data.offsets)
    made = {"tokens": tokens, "offsets": offsets, "targets": torch.tensor(data.targets)}
    return made if data.types is None else {**made, "types": torch.from_numpy(data.types)}


def _key(backbone: Backbone, task: Task, max_tokens: int) -> str:
    """sha256 of all that the tokens depend on."""
    ways = [backbone.conventions.room, backbone.conventions.segments]
    return sha256_of_json([FORMAT, task.digest, backbone.family, max_tokens, ways, _identity(backbone.tokenizer)])


def _identity(tokenizer: PreTrainedTokenizerBase) -> list[object]:
    """What tells a tokenizer from others: its own file and special tokens, or its vocabulary where it has no such file."""
    special = sorted((name, str(token)) for name, token in tokenizer.special_tokens_map.items())
    core = getattr(tokenizer, "backend_tokenizer", None)
    if core is None:
        return [type(tokenizer).__name__, special, sorted(tokenizer.get_vocab().items())]
    said = json.loads(core.to_str())
    # these two are left behind by the latest call, not part of the tokenizer
    return [special, {name: part for name, part in said.items() if name not in ("truncation", "padding")}]
