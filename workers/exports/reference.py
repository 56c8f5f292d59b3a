"""What a native adapter should compute, by plain hooks on the plain model: for methods that have no PEFT or merged form to compare with.

One row at a time, unpadded, one trial, the family's own attention; none of the code that packs, batches and lays out rows. What it
shares with training is the methods' equations.
"""

import sys
from collections.abc import Sequence
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import pad
from transformers import AttentionInterface
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface

from ...spaces.errors import Failure
from ...spaces.shape import Linear, Shape
from ..method import KeysValues, LinearEffect, Method, NormEffect, Pooled, SoftPrompt
from ..model.architecture import bias_of, name_body, relative_bias, weight_of
from ..model.attention import attend_by
from ..model.backbone import Backbone, quiet
from ..model.pooling import side_by_side
from ..model.quantised import bits_of
from ..model.readouts.row_choice import folded
from ..model.sites import local
from ..model.text_part import KEYS
from .reading import read
from .stock_process import stock_model

Parts = Sequence[tuple[Method, dict[str, Tensor]]]
"""Each method of a trial with its trainable and frozen tensors."""
ATTENTION = "ulpt_reference"


@torch.no_grad()
def reference_outputs(backbone: Backbone, parts: Parts, inputs: dict[str, Tensor]) -> Tensor:
    """What `outputs.trained_reading` gives of the adapter's outputs, (rows, width or vocabulary); of a head, its scores (rows, labels)."""
    with quiet():
        model, shape = stock_model(backbone.source, backbone.kind, dict(KEYS), bits=bits_of(backbone.quantization)), backbone.shape
    for method, p in parts:
        if not isinstance(method, LinearEffect | NormEffect | KeysValues | SoftPrompt | Pooled):
            name = type(method).__name__.lower()
            raise Failure(f"no reference for {name}: it is neither a prompt, a prefix, a norm, a linear effect nor a head")
        if isinstance(method, LinearEffect):
            for site in method.sites(shape):
                _hook(model.get_submodule(site.name), method, local(p, site.key), site)
        if isinstance(method, NormEffect):
            _move_norms(model, shape, method, p)
        if isinstance(method, KeysValues):
            _put_in_front(model, shape, method, p)
    rows = zip(
        inputs["input_ids"], inputs.get("token_type_ids", inputs["input_ids"]), inputs["attention_mask"].sum(1).tolist(), strict=True
    )
    typed = "token_type_ids" in inputs
    if "choices" in inputs:
        told = [_labels(model, backbone, parts, ids[:length], own) for (ids, _, length), own in zip(rows, inputs["choices"], strict=True)]
        return folded(torch.stack(told).view(inputs["choices"].shape), inputs["choices"], mean=bool(inputs["per_token"]))
    if "answers" in inputs:
        pairs = zip(rows, inputs["answers"], inputs["behind"], strict=True)
        return torch.stack([_answer(model, backbone, parts, ids[:length], own, behind) for (ids, _, length), own, behind in pairs])
    if "labels" in inputs:
        return torch.stack([_labels(model, backbone, parts, ids[:length], inputs["labels"]) for ids, _, length in rows])
    read = torch.cat([_row(model, backbone, parts, ids[:length], types[:length] if typed else None) for ids, types, length in rows])
    head = _head(parts)
    return read if head is None else head[0].scores(head[1], side_by_side(read, 2 if backbone.shape.answers.apart else 1))


def _labels(model: Any, backbone: Backbone, parts: Parts, ids: Tensor, labels: Tensor) -> Tensor:
    """Log-likelihoods of all labels' tokens, (labels · width,), 0 where `labels` (labels, width) is -1."""
    told = torch.zeros(labels.shape)
    for row, label in zip(told, labels, strict=True):
        answer = label[label >= 0]
        if not len(answer):
            continue
        logits = _logits(model, backbone, parts, ids, None, answer=answer[:-1])
        row[: len(answer)] = logits[0, -len(answer) :].log_softmax(-1).gather(-1, answer[:, None])[:, 0]
    return told.flatten()


def _head(parts: Parts) -> tuple[Pooled, dict[str, Tensor]] | None:
    return next(((method, p) for method, p in parts if isinstance(method, Pooled)), None)


def _answer(model: Any, backbone: Backbone, parts: Parts, ids: Tensor, answer: Tensor, behind: Tensor) -> Tensor:
    """Log-likelihood (most,) of each of an answer's tokens, 0 where `answer` is -1."""
    own = answer[answer >= 0]
    before = own[:-1] if backbone.family == "encoder-decoder" else ids[:0]
    logits = _logits(model, backbone, parts, ids, None, answer=before)[0]
    read = logits if backbone.family == "encoder-decoder" else logits[-len(ids) :]
    told = torch.zeros(len(answer))
    told[: len(own)] = read[behind[: len(own)]].log_softmax(-1).gather(-1, own[:, None])[:, 0]
    return told


def _row(model: Any, backbone: Backbone, parts: Parts, ids: Tensor, types: Tensor | None) -> Tensor:
    """What is read of one text; for a head, its pooled state."""
    head = _head(parts)
    if head is not None:
        return _pooled(model, backbone, _given(model, backbone, parts, ids, types, answer=ids[:0]), head[0].place(backbone.shape), len(ids))
    found = _logits(model, backbone, parts, ids, types, answer=ids[:0])
    places = None if backbone.mask is None else (ids == backbone.tokenizer.mask_token_id).long().argmax()[None]
    return read(found, torch.ones(1, len(ids), dtype=torch.long), backbone.family, places)


def _logits(model: Any, backbone: Backbone, parts: Parts, ids: Tensor, types: Tensor | None, *, answer: Tensor) -> Tensor:
    """Outputs (1, positions, width or vocabulary) behind a text, and behind the `answer` that follows it; a prompt in front."""
    output = model(**_given(model, backbone, parts, ids, types, answer=answer))
    found: Tensor = output.last_hidden_state if backbone.kind == "encoder" else output.logits
    return found


def _given(model: Any, backbone: Backbone, parts: Parts, ids: Tensor, types: Tensor | None, *, answer: Tensor) -> dict[str, Tensor]:
    """Arguments of a pass over a text, a prompt in front and the `answer` behind."""
    decodes = backbone.family == "encoder-decoder"
    prompts = [(method, p) for method, p in parts if isinstance(method, SoftPrompt)]
    embeds = model.get_input_embeddings()(ids) * backbone.conventions.scale
    for method, p in prompts:
        embeds = method.embeddings(p, embeds)
    if not decodes:
        embeds = torch.cat([embeds, model.get_input_embeddings()(answer) * backbone.conventions.scale])
        ids = torch.cat([ids, answer])
    fronts = [method.prompt(p) for method, p in prompts]
    whole = torch.cat([*fronts, embeds])[None]
    given: dict[str, Tensor] = {"inputs_embeds": whole} if prompts else {"input_ids": ids[None]}
    given["attention_mask"] = torch.ones(whole.shape[:2], dtype=torch.long)
    if types is not None:
        given["token_type_ids"] = pad(types, (whole.shape[1] - len(ids), 0))[None]
    moved, first = sum(method.length for method, _ in parts if isinstance(method, KeysValues)), backbone.conventions.first_position
    if decodes:
        given["decoder_input_ids"] = torch.cat([torch.tensor([model.config.decoder_start_token_id]), answer])[None]
    elif moved and first is not None:
        given["position_ids"] = torch.arange(whole.shape[1])[None] + first + moved
    return given


def _pooled(model: Any, backbone: Backbone, given: dict[str, Tensor], how: str, length: int) -> Tensor:
    """The one text's pooled state (1, width)."""
    if backbone.family == "encoder-decoder":
        found: Tensor = model(**given, output_hidden_states=True).decoder_hidden_states[-1][:, 0]
        return found
    if backbone.kind != "encoder":
        name_body(model)
    text: Tensor = (model if backbone.kind == "encoder" else model.base_model)(**given).last_hidden_state[:, -length:]
    if how == "pooler":
        pooled: Tensor = model.pooler(text)
        return pooled
    return text.mean(1) if how == "mean" else text[:, -1 if how == "last" else 0]


def _hook(module: nn.Module, method: LinearEffect, p: dict[str, Tensor], site: Linear) -> None:
    """The linear's input x (1, tokens, inputs) becomes before(x), its output y becomes after(before(x), y).

    Shared experts get (tokens, inputs). A part of a module reads before(x) by itself, and changes its own outputs.
    """
    weight, bias = weight_of(module, site), bias_of(module, site)
    if site.share is not None:
        own = torch.tensor(site.share.places())

        def part(_: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> Tensor:
            x = method.before(p, site, args[0].flatten(0, -2))
            changed = y.flatten(0, -2).clone()
            changed[:, own] = method.after(p, site, x, nn.functional.linear(x, weight, bias), weight)
            return changed.view(y.shape)

        module.register_forward_hook(part)
        return

    def before(_: nn.Module, args: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        return (method.before(p, site, args[0].flatten(0, -2)).view(args[0].shape), *args[1:])

    def after(_: nn.Module, args: tuple[Tensor, ...], y: Tensor) -> Tensor:
        return method.after(p, site, args[0].flatten(0, -2), y.flatten(0, -2), weight).view(y.shape)

    module.register_forward_pre_hook(before)
    module.register_forward_hook(after)


def _move_norms(model: nn.Module, shape: Shape, method: NormEffect, p: dict[str, Tensor]) -> None:
    for norm in method.norms(shape):
        changes = zip(("weight", "bias"), method.affine(local(p, norm.key), norm), strict=True)
        for name, change in changes:
            if change is not None:
                model.get_submodule(norm.name).get_parameter(name).add_(change)


def _put_in_front(model: Any, shape: Shape, method: KeysValues, p: dict[str, Tensor]) -> None:
    """Let the attentions of a method find their keys and values (1, heads, n, head_dim) on themselves; a second method's come behind."""
    attend_by(model, ATTENTION)
    for site in method.sites(shape):
        module = model.get_submodule(site.name)
        made = [t.view(1, len(t), site.kv_heads, site.head_dim).transpose(1, 2) for t in method.keys_values(local(p, site.key), site)]
        earlier = getattr(module, ATTENTION, None)
        pair = made if earlier is None else [torch.cat([old, new], 2) for old, new in zip(earlier[:2], made, strict=True)]
        setattr(module, ATTENTION, (*pair, relative_bias(model, site.name)))


def _attend(module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any) -> Any:
    """The family's own attention, over the keys and values in front as well; no row here is padded, so none of them is closed."""
    own = sys.modules[type(module).__module__].eager_attention_forward
    found = getattr(module, ATTENTION, None)
    if found is not None:
        keys, values, relative = found
        n, tokens = keys.shape[2], query.shape[2]
        key, value = torch.cat([keys, key], 2), torch.cat([values, value], 2)
        attention_mask = None if attention_mask is None else pad(attention_mask, (n, 0))
        if relative is not None:
            front = relative.compute_bias(tokens, n + tokens, past_seen_tokens=n)[..., :n]
            options["position_bias"] = torch.cat([front, options["position_bias"][..., : key.shape[2] - n]], -1)
    return own(module, query, key, value, attention_mask, **options)


AttentionInterface.register(ATTENTION, _attend)
AttentionMaskInterface.register(ATTENTION, ALL_MASK_ATTENTION_FUNCTIONS["eager"])
