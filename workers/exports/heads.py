"""A head as stock libraries hold it: sentence-transformers' Dense behind its pooling, or the layer of a …ForSequenceClassification.

The second where that class has nothing but one linear map where ours is: without a bias over a decoder's last token, or over BERT's
pooler (`Handling.classifies`). Other classes put layers between, whose numbers would be made up.
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import safetensors.torch
import torch
from torch import Tensor, nn
from transformers import AutoModelForSequenceClassification, PreTrainedModel

from ...spaces.metrics import Kind
from ...spaces.shape import Shape
from ..method import Pooled
from ..model.backbone import Backbone, quiet
from ..model.pack import Pack
from ..training.trainer import bound_values
from . import merged, stock
from .outputs import head_of
from .scorer import sentence_files

DENSE = "2_Dense"
LAYERS = {"score": "score", "pooler": "classifier"}
"""What `Handling.classifies` says -> the name of the layer."""
MODES = {"mean": "mean_tokens", "first": "cls_token", "last": "lasttoken"}
"""Our poolings -> sentence-transformers'."""
PROBLEMS: Mapping[Kind, str] = {
    "classification": "single_label_classification",
    "multiple_choice": "single_label_classification",
    "regression": "regression",
    "multi_label": "multi_label_classification",
}
"""What transformers calls a kind of task: by it a pipeline takes a softmax, a sigmoid, or the number as it is."""
NUMBER = ("number",)
"""What the one output of a regression is called."""


def dense(method: Pooled, values: dict[str, Tensor], width: int) -> tuple[Tensor, Tensor]:
    """W (labels, width) and c (labels,) of the affine map that a head is, found by probing."""
    c = method.scores(values, torch.zeros(1, width))[0]
    return (method.scores(values, torch.eye(width)) - c).T.contiguous(), c


def by_itself(pack: Pack) -> Pack:
    """The head of a pack of one trial without its other methods; nothing where it has none."""
    parts = [part for group in pack.groups for part in group.parts if isinstance(part.method, Pooled)]
    alone = Pack([parts], device=pack.flat.device, dtype=pack.flat.dtype)
    alone.set_trial(alone.flat, 0, pack.of_trial(pack.flat, 0))
    return alone


def write_sentence_head(folder: Path, weights: tuple[Tensor, Tensor], *, how: str, max_tokens: int) -> None:
    """Put sentence-transformers' files beside a stock encoder: pooling, then Dense without an activation."""
    w, c = weights
    sentence_files(folder, ("Dense",), mode=MODES[how], width=w.shape[1], max_tokens=max_tokens)
    (folder / DENSE).mkdir()
    config = {"in_features": w.shape[1], "out_features": len(w), "bias": True, "activation_function": "torch.nn.modules.linear.Identity"}
    (folder / DENSE / "config.json").write_text(json.dumps(config, indent=2) + "\n", encoding="utf8")
    safetensors.torch.save_file({"linear.weight": w, "linear.bias": c}, folder / DENSE / "model.safetensors")


def classifier(backbone: Backbone, weights: tuple[Tensor, Tensor], labels: Sequence[str]) -> Backbone:
    """The stock …ForSequenceClassification around the frozen model's own body, with the head as its layer; its shape names its modules."""
    w, c = weights
    config: Any = type(backbone.model.config).from_dict({**backbone.model.config.to_dict(), **told(labels, backbone.shape.answers.kind)})
    if config.pad_token_id is None:
        config.pad_token_id = backbone.tokenizer.pad_token_id
    with torch.device("meta"), quiet():
        stock: PreTrainedModel = AutoModelForSequenceClassification.from_config(config)
    setattr(stock, stock.base_model_prefix, backbone.model.base_model)
    layer = nn.Linear(w.shape[1], len(w), bias=backbone.shape.handling.classifies == "pooler")
    layer.weight.data.copy_(w)
    if layer.bias is not None:
        layer.bias.data.copy_(c)
    setattr(stock, LAYERS[backbone.shape.handling.classifies], layer)
    stock.eval().requires_grad_(False)
    return replace(backbone, model=stock, shape=_shape(backbone, stock))


def _shape(backbone: Backbone, stock: PreTrainedModel) -> Shape:
    """The frozen model's shape with the names that its modules have in `stock`."""
    own = backbone.shape
    inside = f"{stock.base_model_prefix}." if backbone.model.base_model is backbone.model else ""
    linears = tuple(
        replace(site, name=inside + site.name, parts=tuple(replace(part, name=inside + part.name) for part in site.parts))
        for site in own.linears
    )
    norms = tuple(replace(site, name=inside + site.name) for site in own.norms)
    return replace(own, linears=linears, norms=norms, attentions=tuple(replace(site, name=inside + site.name) for site in own.attentions))


def told(labels: Sequence[str], kind: Kind) -> dict[str, Any]:
    """What a config says of the labels, and how many of them are right; of a regression, that its one output is a number."""
    names = dict(enumerate(NUMBER if kind == "regression" else labels))
    return {"id2label": names, "label2id": {label: i for i, label in names.items()}, "problem_type": PROBLEMS[kind]}


def tell_labels(folder: Path, labels: Sequence[str], kind: Kind, pad: int | None) -> None:
    """Say in a folder's config which labels there are, and what pads, which tells such a class where a text ends."""
    path = folder / "config.json"
    held = {**json.loads(path.read_text(encoding="utf8")), **told(labels, kind), "pad_token_id": pad}
    path.write_text(json.dumps(held, indent=2, sort_keys=True) + "\n", encoding="utf8")


def write_merged(backbone: Backbone, pack: Pack, folder: Path, *, labels: Sequence[str], max_tokens: int, dtype: torch.dtype) -> Backbone:
    """Write a folded model and the pack's head, if any, to be loaded by stock libraries; returns what was saved."""
    head = head_of(pack)
    if head is None:
        merged.write(backbone, folder, dtype=dtype)
        return backbone
    weights, how = dense(*head, backbone.shape.state_width), head[0].place(backbone.shape)
    if backbone.family == "encoder" and how != "pooler":
        merged.write(backbone, folder, dtype=dtype)
        write_sentence_head(folder, weights, how=how, max_tokens=max_tokens)
        return backbone
    whole = classifier(backbone, weights, labels)
    merged.write(whole, folder, dtype=dtype, exact=[whole.model.get_submodule(LAYERS[backbone.shape.handling.classifies])])
    tell_labels(folder, labels, backbone.shape.answers.kind, whole.model.config.pad_token_id)
    return whole


def write_peft(backbone: Backbone, pack: Pack, folder: Path, labels: Sequence[str]) -> dict[str, Tensor]:
    """Write a pack of one adapter as PEFT's, its head beside it in `modules_to_save`; returns the tensors that were meant."""
    head = head_of(pack)
    found = ((group.method, values) for group, values in zip(pack.groups, bound_values(pack), strict=True))
    (method, bound), *_ = (pair for pair in found if not isinstance(pair[0], Pooled))
    values = {name: value[0].detach() for name, value in bound.items()}
    if head is None:
        built = stock.to_peft(backbone, method, values)
        stock.write(backbone, built, folder)
        return built[1]
    w, c = dense(*head, backbone.shape.state_width)
    whole, layer = classifier(backbone, (w, c), labels), LAYERS[backbone.shape.handling.classifies]
    config, tensors = stock.to_peft(whole, method, values)
    named = {f"base_model.model.{layer}.weight": w} | ({f"base_model.model.{layer}.bias": c} if layer == "classifier" else {})
    stock.write(whole, (config, {**tensors, **named}), folder, layer=layer)
    return {**tensors, **named}
