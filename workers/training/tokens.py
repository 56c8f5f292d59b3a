"""A task's splits as tokens, tokenised once on a machine however many workers ask."""

from collections.abc import Callable
from functools import partial
from pathlib import Path

import numpy as np
import torch

from ...spaces.hashing import sha256_of_json
from ..model.backbone import Backbone
from ..model.cutting import PAIRS
from ..model.identity import TEMPLATES
from ..model.node_cache import Tensors, once
from ..model.readouts.answer_tokens import AnswerTokens
from ..model.readouts.choice import joins_pairs, template_of
from ..model.readouts.encoding import Encoded, encode
from ..model.readouts.row_choices import RowChoices
from ..tasks import Task

CHOICES = ("choices", "choice_offsets", "choice_counts")
"""What a file calls the parts of `RowChoices`."""
ANSWERS = ("answers", "answer_places", "answer_offsets")
"""And those of `AnswerTokens`."""


def encoded(backbone: Backbone, task: Task, *, max_tokens: int, folder: Path | None) -> dict[str, Encoded]:
    """Return the task's train, validation and test splits, kept in `folder`/tokens for other workers, or made anew without a folder."""
    rows = {"train": task.train, "validation": task.validation, "test": task.test}
    make = partial(encode, backbone, max_tokens=max_tokens, template=task.template)
    if folder is None:
        return {split: make(data) for split, data in rows.items()}
    key = _key(backbone, task, max_tokens)
    paths = {split: folder / "tokens" / f"{key}-{split}.safetensors" for split in rows}
    return {split: _split(partial(make, data), paths[split]) for split, data in rows.items()}


def _split(make: Callable[[], Encoded], path: Path) -> Encoded:
    kept = once(path, lambda: _tensors(make()))
    types = kept["types"].numpy() if "types" in kept else None
    own = [kept[name].numpy() for name in CHOICES if name in kept]
    choices = RowChoices(*own) if own else None
    told = [kept[name].numpy() for name in ANSWERS if name in kept]
    answers = AnswerTokens(*told) if told else None
    targets = tuple(tuple(own) if isinstance(own, list) else own for own in kept["targets"].tolist())
    per_row = max(1, (len(kept["offsets"]) - 1) // max(1, len(targets)))
    return Encoded(kept["tokens"].numpy(), kept["offsets"].numpy(), targets, types, choices, answers, per_row)


def _tensors(data: Encoded) -> Tensors:
    tokens, offsets = torch.from_numpy(data.tokens), torch.from_numpy(data.offsets)
    made = {"tokens": tokens, "offsets": offsets, "targets": torch.from_numpy(np.asarray(data.targets))}
    if data.types is not None:
        made["types"] = torch.from_numpy(data.types)
    own = [] if data.choices is None else [data.choices.tokens, data.choices.offsets, data.choices.counts]
    told = [] if data.answers is None else [data.answers.tokens, data.answers.places, data.answers.offsets]
    beside = {**dict(zip(CHOICES, own, strict=False)), **dict(zip(ANSWERS, told, strict=False))}
    return {**made, **{name: torch.from_numpy(values) for name, values in beside.items()}}


def _key(backbone: Backbone, task: Task, max_tokens: int) -> str:
    """sha256 of all that the tokens depend on."""
    ways = [backbone.conventions.room, backbone.conventions.segments, *(["apart"] if backbone.shape.answers.apart else [])]
    key = [TEMPLATES[backbone.family], task.digest, max_tokens, ways, backbone.frozen.tokenizer.loaded]
    if joins_pairs(backbone, task):
        key = [PAIRS, *key]
    if task.kind == "generation":
        key = [template_of(backbone, task), str(backbone.tokenizer.chat_template or ""), *key]
    return sha256_of_json(key if backbone.mask is None else [*key, backbone.mask])
