"""Run as a script in a fresh process: load exports with stock transformers and peft only, and write their outputs for a probe.

It never imports this package, so that nothing of ours can make an export look right. An order is a line of JSON on stdin, its
reply a line of JSON on stdout: `{"error": null}` or one line about what went wrong.
"""

import json
import os
import sys
from collections.abc import Callable
from inspect import signature
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load_file, save_file
from transformers import (
    AutoConfig,
    AutoModel,
    AutoModelForCausalLM,
    AutoModelForMaskedLM,
    AutoModelForSeq2SeqLM,
    AutoModelForSequenceClassification,
    GenerationConfig,
)

DENSE = "2_Dense/model.safetensors"
LOADERS = {
    "encoder": AutoModel,
    "decoder": AutoModelForCausalLM,
    "encoder-decoder": AutoModelForSeq2SeqLM,
    "masked": AutoModelForMaskedLM,
}
Tensors = dict[str, torch.Tensor]


def stock_model(
    source: str,
    family: str,
    keys: dict[str, str] | None = None,
    *,
    classifies: bool = False,
    labels: int | None = None,
    bits: dict[str, Any] | None = None,
) -> Any:
    """A plain transformers model in float32, with the attention that transformers chooses; or its class for classification.

    Of a folder that holds a multimodal model its text part, whose tensors are called by patterns `keys` as its own class has them.
    With `bits`, settings as a `config.json` says them, its linears are kept in so few.
    """
    config = AutoConfig.from_pretrained(source, trust_remote_code=False)
    options: dict[str, Any] = {}
    text = config.get_text_config()
    if family == "decoder" and text is not config:
        text.tie_word_embeddings = getattr(config, "tie_word_embeddings", text.tie_word_embeddings)
        if hasattr(config, "quantization_config"):
            text.quantization_config = config.quantization_config
        config, options = text, {"key_mapping": keys}
    if labels is not None:
        config.num_labels = labels
    if bits is not None:
        options |= {"device_map": {"": "cpu"}}
        options |= {} if hasattr(config, "quantization_config") else {"quantization_config": few(bits)}
    loader = AutoModelForSequenceClassification if classifies else LOADERS[family]
    model = loader.from_pretrained(source, config=config, dtype=torch.float32, trust_remote_code=False, **options).eval()
    for module in model.modules():
        if hasattr(module, "support_avx512bf16_for_cpu"):
            module.support_avx512bf16_for_cpu = False  # a kernel of some CPUs rounds what it reads to bfloat16
        if hasattr(module, "compute_type_is_set"):
            module.compute_dtype, module.compute_type_is_set = torch.float32, True  # a folder in 4 bits may ask for less
    return model


def few(bits: dict[str, Any]) -> Any:
    """Transformers' own settings for weights in few bits."""
    from transformers.quantizers.auto import AutoQuantizationConfig  # loads every method's, so only where one is asked for

    return AutoQuantizationConfig.from_dict(dict(bits))


def answer(order: dict[str, Any]) -> None:
    """Answer one probe: `outputs` of the export, and for a peft one `base`, those of the model that it is put on.

    `family:pooling:labels` in the place of a family is one with a head of its own.
    """
    style, _, family = order["style"].partition(":")
    inputs = load_file(order["asked"])
    found = {}
    family, *head = family.split(":")
    if head:
        save_file({"outputs": with_head(style, order, inputs, family, *head)}, order["answered"])
        return
    bits = None if style == "merged" else order["bits"]
    model = stock_model(order["folder"] if style == "merged" else order["base"], family, order["keys"], bits=bits)
    if style == "peft":
        from peft import PeftModel

        found["base"] = run(model, inputs, family)
        model = PeftModel.from_pretrained(model, order["folder"]).eval()
    save_file({**found, "outputs": run(model, inputs, family)}, order["answered"])


def with_head(style: str, order: dict[str, Any], inputs: Tensors, family: str, how: str, labels: str = "0") -> torch.Tensor:
    """Scores (rows, labels) of an export with a head; of the style `states`, what a head reads of the frozen model."""
    folder = Path(order["folder"])
    if style == "states":
        return states(stock_model(order["base"], family, order["keys"], bits=order["bits"]), inputs, family, how)
    if (folder / DENSE).is_file():
        return sentence_scores(stock_model(str(folder), family), folder, inputs, how)
    if style == "merged":
        return class_scores(stock_model(str(folder), family, classifies=True), inputs)
    from peft import PeftModel

    model = stock_model(order["base"], family, order["keys"], bits=order["bits"], classifies=True, labels=int(labels))
    return class_scores(PeftModel.from_pretrained(model, order["folder"]).eval(), inputs)


def sentence_scores(model: Any, folder: Path, inputs: Tensors, how: str) -> torch.Tensor:
    """Label scores of an encoder with sentence-transformers' Dense behind its pooling."""
    layer = load_file(folder / DENSE)
    return states(model, inputs, "encoder", how) @ layer["linear.weight"].T + layer["linear.bias"]


@torch.no_grad()
def class_scores(model: Any, inputs: Tensors) -> torch.Tensor:
    """Logits of a stock class for classification, one unpadded row at a time, for it may not know what pads."""
    rows = []
    for number, mask in enumerate(inputs["attention_mask"].bool()):
        rows.append(model(**{name: value[number : number + 1, mask] for name, value in inputs.items()}).logits)
    return torch.cat(rows)


@torch.no_grad()
def run(model: Any, inputs: Tensors, family: str) -> torch.Tensor:
    """Outputs where labels are read, (rows, width or vocabulary), or of `labels` (labels, width) the log-likelihoods of all tokens.

    `places` (rows,), where given, are those of masks; of `choices` (rows, choices, width) the scores, the mean where `per_token` says so.
    Of `answers` (rows, most), each read behind the token that `behind` counts, the log-likelihood of each token.
    """
    if "answers" in inputs:
        return answered(model, inputs, family)
    if "choices" in inputs:
        rows = [row[mask.bool()] for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
        told = [likelihoods(model, row, own, family) for row, own in zip(rows, inputs["choices"], strict=True)]
        total = torch.stack(told).view(inputs["choices"].shape).sum(-1)
        return total / (inputs["choices"] >= 0).sum(-1).clamp(min=1) if bool(inputs["per_token"]) else total
    if "labels" in inputs:
        rows = [row[mask.bool()] for row, mask in zip(inputs["input_ids"], inputs["attention_mask"], strict=True)]
        return torch.stack([likelihoods(model, row, inputs["labels"], family) for row in rows])
    if family == "encoder-decoder":
        start = torch.full((len(inputs["input_ids"]), 1), model.config.decoder_start_token_id)
        return model(**inputs, decoder_input_ids=start).logits[:, 0].contiguous()  # type: ignore[no-any-return]
    places = inputs.get("places")
    mask, output = inputs["attention_mask"], model(**{name: tensor for name, tensor in inputs.items() if name != "places"})
    found = (output.last_hidden_state if family == "encoder" else output.logits)[:, -mask.shape[1] :]
    if places is not None:
        return found[torch.arange(len(found)), places].contiguous()  # type: ignore[no-any-return]
    if family == "decoder":
        return found[torch.arange(len(found)), mask.sum(1) - 1].contiguous()  # type: ignore[no-any-return]
    return ((found * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).contiguous()  # type: ignore[no-any-return]


def answered(model: Any, inputs: Tensors, family: str) -> torch.Tensor:
    """Log-likelihood (rows, most) of each row's answer tokens, row by row, unpadded; 0 where there are none."""
    told = torch.zeros(inputs["answers"].shape)
    rows = zip(inputs["input_ids"], inputs["attention_mask"].bool(), inputs["answers"], inputs["behind"], strict=True)
    for number, (ids, mask, answer, behind) in enumerate(rows):
        row, own = ids[mask][None], answer[answer >= 0]
        given = {"input_ids": row, "attention_mask": torch.ones_like(row)}
        if family == "encoder-decoder":
            given["decoder_input_ids"] = torch.cat([torch.tensor([model.config.decoder_start_token_id]), own[:-1]])[None]
        logits = model(**given).logits[0]
        places = behind[: len(own)] if family == "encoder-decoder" else behind[: len(own)] + len(logits) - row.shape[1]
        told[number, : len(own)] = logits[places].log_softmax(-1).gather(-1, own[:, None])[:, 0]
    return told


@torch.no_grad()
def written(model: Any, prompt: list[int], family: str, *, tokens: int, stops: list[int], pad: int) -> list[int]:
    """The new tokens that stock `generate` writes behind one prompt, greedily, by nothing but these settings.

    PEFT 0.21 looks for a cache under the name that it had before transformers 5.20. Behind its prompts `generate` therefore goes without
    one, and a prefix is handed to the base as the cache that it is.
    """
    ids = torch.tensor([prompt], device=model.device)
    start = model.config.decoder_start_token_id if family == "encoder-decoder" else None
    front: Any = getattr(model, "active_peft_config", None)
    fronted = getattr(front, "is_prompt_learning", False)
    prefix = fronted and front.peft_type == "PREFIX_TUNING"
    ends = {"eos_token_id": stops, "pad_token_id": pad, "decoder_start_token_id": start}
    neutral = GenerationConfig(do_sample=False, max_new_tokens=tokens, use_cache=bool(prefix or not fronted), **ends)
    base = model.get_base_model() if front is not None else model
    model.generation_config = base.generation_config = neutral  # what is left open in one of them is the other's
    seen = ids.shape[1] + (front.num_virtual_tokens if prefix else 0)
    given = {"attention_mask": torch.ones(1, seen, dtype=torch.long, device=ids.device)}
    if prefix:
        name = "cache" if "cache" in signature(base.forward).parameters else "past_key_values"
        given[name] = model.get_prompt(batch_size=1)
    found = (base if prefix else model).generate(input_ids=ids, generation_config=neutral, **given)[0].tolist()
    return found[1:] if family == "encoder-decoder" else found[len(prompt) :]  # type: ignore[no-any-return]


def likelihoods(model: Any, row: torch.Tensor, labels: torch.Tensor, family: str) -> torch.Tensor:
    """Log-likelihoods of all tokens of `labels` (labels, width) behind a text, or as the decoder's answer to it; 0 where they are -1."""
    count, width = labels.shape
    tokens, present = labels.clamp(min=0), (labels >= 0).long()
    texts, before = row.expand(count, -1), tokens[:, :-1]
    if family == "encoder-decoder":
        start = torch.full((count, 1), model.config.decoder_start_token_id)
        answers = torch.cat([start, before], 1)
        logits = model(input_ids=texts, attention_mask=torch.ones_like(texts), decoder_input_ids=answers).logits
    else:
        mask = torch.cat([torch.ones_like(texts), present[:, 1:]], 1)
        logits = model(input_ids=torch.cat([texts, before], 1), attention_mask=mask).logits
    told = logits[:, -width:].log_softmax(-1).gather(-1, tokens[..., None])[..., 0]
    return (told * present).flatten()  # type: ignore[no-any-return]


@torch.no_grad()
def states(model: Any, inputs: Tensors, family: str, how: str) -> torch.Tensor:
    """Pooled hidden states (rows, width), as the plain library computes them."""
    mask = inputs["attention_mask"]
    rows = torch.arange(len(mask))
    if family == "encoder-decoder":
        start = torch.full((len(mask), 1), model.config.decoder_start_token_id)
        output = model(**inputs, decoder_input_ids=start, output_hidden_states=True)
        return output.decoder_hidden_states[-1][:, 0].contiguous()  # type: ignore[no-any-return]
    body = model.base_model
    if family != "encoder" and body is model:  # Llama 4's class with a head calls its body otherwise than it says
        body = model.model
    output = body(**inputs)
    if how == "pooler":
        return output.pooler_output.contiguous()  # type: ignore[no-any-return]
    hidden = output.last_hidden_state
    if how == "mean":
        return ((hidden * mask[..., None]).sum(1) / mask.sum(1, keepdim=True)).contiguous()  # type: ignore[no-any-return]
    return hidden[rows, mask.sum(1) - 1 if how == "last" else 0 * rows].contiguous()  # type: ignore[no-any-return]


def serve(answer: Callable[[dict[str, Any]], None]) -> None:
    """Answer orders until stdin ends; whatever libraries print goes to stderr."""
    replies = os.fdopen(os.dup(1), "w")
    os.dup2(2, 1)
    for line in sys.stdin:
        error = None
        try:
            answer(json.loads(line))
        except Exception as problem:
            error = f"{type(problem).__name__}: {problem}".splitlines()[0]
        print(json.dumps({"error": error}), file=replies, flush=True)


if __name__ == "__main__":
    serve(answer)
