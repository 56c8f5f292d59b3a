"""A task's splits as tokens, tokenised once on a machine however many workers ask."""

from pathlib import Path

import torch

from ...spaces.hashing import sha256_of_json
from ..model.backbone import Backbone
from ..model.identity import TEMPLATES
from ..model.node_cache import Tensors, once
from ..model.readouts.encoding import Encoded, encode
from ..model.readouts.row_choices import RowChoices
from ..tasks import Rows, Task

CHOICES = ("choices", "choice_offsets", "choice_counts")
"""What a file calls the parts of `RowChoices`."""


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
    own = [kept[name].numpy() for name in CHOICES if name in kept]
    choices = RowChoices(*own) if own else None
    return Encoded(kept["tokens"].numpy(), kept["offsets"].numpy(), tuple(kept["targets"].tolist()), types, choices)


def _tensors(data: Encoded) -> Tensors:
    tokens, offsets = torch.from_numpy(data.tokens), torch.from_numpy(data.offsets)
    made = {"tokens": tokens, "offsets": offsets, "targets": torch.tensor(data.targets)}
    if data.types is not None:
        made["types"] = torch.from_numpy(data.types)
    if data.choices is None:
        return made
    own = (data.choices.tokens, data.choices.offsets, data.choices.counts)
    return {**made, **{name: torch.from_numpy(values) for name, values in zip(CHOICES, own, strict=True)}}


def _key(backbone: Backbone, task: Task, max_tokens: int) -> str:
    """sha256 of all that the tokens depend on."""
    ways = [backbone.conventions.room, backbone.conventions.segments]
    key = [TEMPLATES[backbone.family], task.digest, max_tokens, ways, backbone.frozen.tokenizer.loaded]
    return sha256_of_json(key if backbone.mask is None else [*key, backbone.mask])
